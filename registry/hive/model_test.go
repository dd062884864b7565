package hive

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/registry"
)

// A model is what a hive has to be: keys and values by their names in capitals.
type model struct {
	keys map[string]*modelKey // by path
}

type modelKey struct {
	name   string
	values map[string]registry.Value
}

func capital(s string) string { return strings.ToUpper(s) }

func newModel() *model {
	return &model{map[string]*modelKey{"": {values: map[string]registry.Value{}}}}
}

func (m *model) create(path string) {
	names := registry.Split(path)
	for i, name := range names {
		p := capital(strings.Join(names[:i+1], `\`))
		if m.keys[p] == nil {
			m.keys[p] = &modelKey{name, map[string]registry.Value{}}
		}
	}
}

func (m *model) set(path string, v registry.Value) {
	values := m.keys[capital(path)].values
	if old, ok := values[capital(v.Name)]; ok {
		v.Name = old.Name
	}
	values[capital(v.Name)] = v
}

func (m *model) deleteKey(path string) {
	path = capital(path)
	maps.DeleteFunc(m.keys, func(p string, _ *modelKey) bool { return p == path || strings.HasPrefix(p, path+`\`) })
}

// compare asks that the hive is what the model is.
func (m *model) compare(t *rapid.T, h *Hive) {
	below := make(map[string][]string)
	for path, k := range m.keys {
		if path != "" {
			above, _, found := cutLast(path)
			if !found {
				above = ""
			}
			below[above] = append(below[above], k.name)
		}
	}
	for path, k := range m.keys {
		keys, err := h.Keys(path)
		if err != nil {
			t.Fatal(err)
		}
		want := below[path]
		slices.SortFunc(want, func(a, b string) int {
			x, _ := encodeName(a)
			y, _ := encodeName(b)
			return x.compare(y)
		})
		if !slices.Equal(keys, want) {
			t.Fatalf("keys of %q: %q, want %q", path, keys, want)
		}
		values, err := h.Values(path)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]registry.Value)
		for _, v := range values {
			got[capital(v.Name)] = v
		}
		if len(values) != len(k.values) || !cmp.Equal(got, k.values, cmp.Comparer(bytes.Equal)) {
			t.Fatalf("values of %q: %s", path, cmp.Diff(k.values, got))
		}
	}
}

func cutLast(path string) (above, name string, found bool) {
	if i := strings.LastIndexByte(path, '\\'); i >= 0 {
		return path[:i], path[i+1:], true
	}
	return "", path, false
}

var (
	drawMinor = rapid.IntRange(minMinor, maxMinor)
	// Few names, so that operations meet, in both encodings and cases.
	drawName = rapid.OneOf(
		rapid.SampledFrom([]string{"a", "A", "b", "ab", "Ab", "services", "Services", "größe", "GRÖSSE", "GRÖßE", "日本", "жук", "ЖУК", "ÿ", "Ÿ", "😀"}),
		rapid.Map(rapid.IntRange(0, 2000), func(i int) string { return fmt.Sprint("key", i) }),
	)
	drawPath = rapid.Map(rapid.SliceOfN(drawName, 1, 4), func(names []string) string { return strings.Join(names, `\`) })
	drawSize = rapid.OneOf(rapid.IntRange(0, 6), rapid.IntRange(0, 200), rapid.SampledFrom([]int{4060, 4061, 16343, 16344, 16345, 16352, 32688, 32689, 70_000}))
)

func drawValue(t *rapid.T) registry.Value {
	return registry.Value{
		Name: rapid.OneOf(rapid.Just(""), drawName).Draw(t, "name"),
		Type: registry.Type(rapid.Uint32Range(0, 12).Draw(t, "type")),
		Data: fill(drawSize.Draw(t, "size")),
	}
}

// The hive is what the model is after any operations, whether it was read anew between
// them or not, and in order.
func TestAHiveIsWhatWasDoneToIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, err := New(Options{Minor: drawMinor.Draw(t, "version")})
		if err != nil {
			t.Fatal(err)
		}
		m := newModel()
		// drawKey is one that is there.
		drawKey := func(t *rapid.T) string {
			return rapid.SampledFrom(slices.Sorted(maps.Keys(m.keys))).Draw(t, "key")
		}
		must := func(t *rapid.T, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				path := registry.Join(drawKey(t), drawPath.Draw(t, "path"))
				if strings.Count(path, `\`) > 30 {
					return // deep enough
				}
				must(t, h.Create(path))
				m.create(path)
			},
			"many keys": func(t *rapid.T) {
				path := drawKey(t)
				for i := range rapid.IntRange(0, 60).Draw(t, "number") {
					p := registry.Join(path, fmt.Sprint("key", i*13))
					must(t, h.Create(p))
					m.create(p)
				}
			},
			"set": func(t *rapid.T) {
				path, v := drawKey(t), drawValue(t)
				must(t, h.Set(path, v))
				m.set(path, v)
			},
			"set again": func(t *rapid.T) {
				path, v := drawKey(t), drawValue(t)
				for name := range m.keys[path].values {
					v.Name = min(name, v.Name)
				}
				must(t, h.Set(path, v))
				m.set(path, v)
			},
			"delete": func(t *rapid.T) {
				path := drawKey(t)
				values := m.keys[path].values
				if len(values) == 0 {
					return // no value
				}
				name := rapid.SampledFrom(slices.Sorted(maps.Keys(values))).Draw(t, "name")
				must(t, h.Delete(path, name))
				delete(values, name)
			},
			"delete a key": func(t *rapid.T) {
				path := drawKey(t)
				if path == "" {
					return // the root stays
				}
				must(t, h.DeleteKey(path))
				m.deleteKey(path)
			},
			"what is absent": func(t *rapid.T) {
				if _, err := h.Get(drawKey(t), "never set"); err == nil {
					t.Fatal("a value that was never set is there")
				}
			},
			"read anew": func(t *rapid.T) {
				again, err := Parse(bytes.Clone(h.Bytes()), Options{})
				must(t, err)
				h = again
			},
			"": func(t *rapid.T) { must(t, h.Check()) },
		})
		m.compare(t, h)
		again, err := Parse(bytes.Clone(h.Bytes()), Options{})
		must(t, err)
		must(t, again.Check())
		m.compare(t, again)
	})
}
