package hive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
)

// fill returns data of a length that says where it is out of order.
func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8 ^ i*7)
	}
	return b
}

func TestValuesOfEveryLength(t *testing.T) {
	lengths := []int{0, 1, 3, 4, 5, 8, 11, 12, 13, 4052, 4060, 4061, 16343, 16344, 16345, 2 * 16344, 2*16344 + 1, 3*16344 + 5, 1 << 20}
	for minor := minMinor; minor <= maxMinor; minor++ {
		t.Run(fmt.Sprintf("version 1.%d", minor), func(t *testing.T) {
			h := empty(t, minor)
			// From every length to every other, in one value.
			for _, from := range lengths {
				for _, to := range lengths {
					for _, n := range []int{from, to} {
						if err := h.Set("", registry.Value{Name: "v", Type: registry.Binary, Data: fill(n)}); err != nil {
							t.Fatal(err)
						}
					}
					if v, err := h.Get("", "V"); err != nil || !bytes.Equal(v.Data, fill(to)) {
						t.Fatalf("from %d to %d bytes: %d bytes, %v", from, to, len(v.Data), err)
					}
				}
			}
			again := checked(t, h)
			for _, n := range lengths {
				if err := again.Set("", registry.Value{Name: fmt.Sprint(n), Type: registry.Type(n), Data: fill(n)}); err != nil {
					t.Fatal(err)
				}
			}
			again = checked(t, again)
			for _, n := range lengths {
				v, err := again.Get("", fmt.Sprint(n))
				if err != nil || v.Type != registry.Type(n) || !bytes.Equal(v.Data, fill(n)) {
					t.Errorf("%d bytes: %d bytes of type %v, %v", n, len(v.Data), v.Type, err)
				}
			}
			// In one cell up to version 1.3, in segments later.
			k, _ := again.rootKey()
			n, _ := encodeName("16345")
			v, _, _, err := again.find(k, n)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := again.data(v); err != nil || (d.segments != nil) != (minor >= minorBigData) {
				t.Errorf("segments: %v, %v", d.segments, err)
			}
		})
	}
}

func TestDataThatIsTooLongIsRefused(t *testing.T) {
	for minor, most := range map[int]int{3: 1 << 20, 5: 65535 * 16344} {
		h := empty(t, minor)
		before := bytes.Clone(h.Bytes())
		if err := h.Set("", registry.Value{Name: "x", Data: make([]byte, most+1)}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("holds %d at most", most)) {
			t.Errorf("version 1.%d: %v", minor, err)
		}
		if !bytes.Equal(before, h.Bytes()) {
			t.Error("bytes were changed")
		}
	}
}

func TestNamesThatWindowsDoesNotTakeAreRefused(t *testing.T) {
	h := empty(t, 5)
	deep := strings.Repeat(`x\`, maxDepth)
	for what, err := range map[string]error{
		"a key of 256 characters":     h.Create(strings.Repeat("x", 256)),
		"a key of no text":            h.Create("a\xffb"),
		"513 keys":                    h.Create(deep + "x"),
		"a value of 16384 characters": h.Set("", registry.NewDWORD(strings.Repeat("x", 16384), 1)),
		"a value of no text":          h.Set("", registry.NewDWORD("\xff", 1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	for what, err := range map[string]error{
		"delete a value of no text": h.Delete("", "\xff"),
		"a key of no text":          h.DeleteKey("\xff"),
		"a key too deep":            h.DeleteKey(deep + "x"),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"a key of 255 characters":     h.Create(strings.Repeat("日", 255)),
		"a value of 16383 characters": h.Set("", registry.NewDWORD(strings.Repeat("日", 16383), 1)),
		"half a surrogate pair":       h.Create("a\xed\xa0\x80b"),
		"512 keys":                    h.Create(deep),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := checked(t, h).DeleteKey("x"); err != nil {
		t.Error(err)
	}
}

// listsOf returns the signatures and lengths of the lists of a key.
func TestFreeCellsAreUsedAgain(t *testing.T) {
	for minor := minMinor; minor <= maxMinor; minor++ {
		h := empty(t, minor)
		var length int
		for round := range 20 {
			for i := range 100 {
				key := fmt.Sprintf(`k%d\below`, i)
				if err := h.Create(key); err != nil {
					t.Fatal(err)
				}
				for _, n := range []int{4, 40, 400, 4000, 17000} {
					// Other lengths in each round, so that not all fits in its old place.
					if err := h.Set(key, registry.Value{Name: fmt.Sprint(n), Data: fill(n + (n/50)*(round%3))}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range 100 {
				if err := h.DeleteKey(fmt.Sprintf(`k%d`, i)); err != nil {
					t.Fatal(err)
				}
			}
			switch n := len(h.Bytes()); {
			case round == 2:
				length = n
			case round > 2 && n > length+length/20:
				t.Fatalf("version 1.%d: %d bytes after %d rounds, %d after 3", minor, n, round+1, length)
			}
		}
		h = checked(t, h)
		// All is free but the root and its descriptor: no two free cells side by side.
		if _, err := h.walkTree(); err != nil {
			t.Fatal(err)
		}
		cells := 0
		for bin := uint32(0); bin < h.binsSize; {
			end := bin + get32(h.bins(), int(bin)+8)
			before := false
			for at := bin + binHeader; at < end; cells++ {
				size := get32(h.bins(), int(at))
				isFree := int32(size) > 0
				if isFree && before {
					t.Fatalf("two free cells side by side at %#x", at)
				}
				if before = isFree; !isFree {
					size = -size
				}
				at += size
			}
			bin = end
		}
		if n := countMarks(h.used); n != 2 {
			t.Errorf("version 1.%d: %d cells are in use, want 2", minor, n)
		}
	}
}

func countMarks(m marks) (n int) {
	for off := uint32(0); int(off>>9) < len(m); off += 8 {
		if m.has(off) {
			n++
		}
	}
	return n
}

// A change that fails at its very end is undone.
func TestAChangeIsDoneAsAWholeOrNotAtAll(t *testing.T) {
	broken := errors.New("broken")
	set := func(v registry.Value) func(h *Hive) error {
		return func(h *Hive) error {
			k, err := h.open("Select")
			if err != nil {
				return err
			}
			n, _ := encodeName(v.Name)
			return h.setValue(k, n, v)
		}
	}
	remove := func(path string) func(h *Hive) error {
		return func(h *Hive) error {
			k, err := h.open(path)
			if err != nil {
				return err
			}
			return h.removeKey(k)
		}
	}
	for name, do := range map[string]func(h *Hive) error{
		"a key": func(h *Hive) error {
			n, _ := encodeName("new")
			_, err := h.addKey(h.root, n)
			return err
		},
		"the deletion of a tree": remove("ControlSet001"),
		"the deletion of all":    remove(""),
		"long data":              set(registry.Value{Name: "new", Data: fill(200_000)}),
		"longer data":            set(registry.Value{Name: "long", Data: fill(200_000)}),
		"data in its place":      set(registry.NewDWORD("Current", 9)),
		"shorter data":           set(registry.Value{Name: "long", Data: fill(20)}),
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Parse(append(bytes.Clone(sample(t, 5)), make([]byte, 999)...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			length, used := len(h.b), slices.Clone(h.used)
			want := contents(t, h)
			err = h.change(func() error {
				if err := do(h); err != nil {
					t.Fatal(err)
				}
				return broken
			})
			if !errors.Is(err, broken) {
				t.Fatalf("error %v", err)
			}
			if !cmp.Equal(used, h.used) || length != len(h.b) || h.edits != 0 {
				t.Errorf("other cells are in use, or %d bytes, were %d, or %d changes", len(h.b), length, h.edits)
			}
			if diff := cmp.Diff(want, contents(t, checked(t, h))); diff != "" {
				t.Errorf("(-before +after):\n%s", diff)
			}
			if err := h.change(func() error { return do(h) }); err != nil {
				t.Errorf("the second time: %v", err)
			}
			checked(t, h)
		})
	}
}

// contents are all values, by path and name; keys have an entry of their own.
func contents(t testing.TB, h *Hive) map[string]registry.Value {
	t.Helper()
	all := make(map[string]registry.Value)
	for paths := []string{""}; len(paths) > 0; {
		path := paths[len(paths)-1]
		paths = paths[:len(paths)-1]
		values, err := h.Values(path)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = registry.Value{}
		for _, v := range values {
			all[path+"|"+v.Name] = v
		}
		keys, err := h.Keys(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			paths = append(paths, registry.Join(path, k))
		}
	}
	return all
}
