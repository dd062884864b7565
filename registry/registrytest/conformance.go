// Package registrytest holds every kind of registry to one behaviour.
package registrytest

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

// Options say what a store cannot do, and why a test must not ask for it.
type Options struct {
	// Base is a key below which the test may do what it likes; "" for the root.
	Base string
	// Reopen, if set, closes the store, opens it again and returns it, so that it
	// is seen that changes last.
	Reopen func(t *testing.T, s registry.Store) registry.Store
	// Without are types of values that the store does not take.
	Without []registry.Type
	// MaxData, if not 0, is the longest value that the store takes, in bytes.
	MaxData int
	// ANSI says that the store takes names and text of Windows-1252 only.
	ANSI bool
	// FewKeys keeps the number of calls small, for stores that are slow.
	FewKeys bool
}

// values of every type, and of the lengths at which hives change their form:
// inline up to 4 bytes, one cell up to 16,344, segments beyond.
func values(o Options) []registry.Value {
	long := func(n int) []byte { return bytes.Repeat([]byte{0xa5, 0x5a, 0}, n/3+1)[:n] }
	list := []registry.Value{
		registry.NewDWORD("MaxUserPort", 65534),
		registry.NewSZ("ProductName", "Microsoft Windows XP – Größe 日本 😀"),
		registry.NewMultiSZ("ReservedPorts", "1433-1434", "4000-4000"),
		registry.NewSZ("", "the default value"),
		{Name: "Path", Type: registry.ExpandSZ, Data: registry.NewSZ("", `%SystemRoot%\system32`).Data},
		{Name: "Empty", Type: registry.Binary, Data: []byte{}},
		{Name: "Byte", Type: registry.Binary, Data: long(1)},
		{Name: "Four", Type: registry.Binary, Data: long(4)},
		{Name: "Five", Type: registry.Binary, Data: long(5)},
		{Name: "Big", Type: registry.DWORDBigEndian, Data: []byte{0, 0, 1, 2}},
		{Name: "Quad", Type: registry.QWORD, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{Name: "Nothing", Type: registry.None, Data: []byte{}},
		{Name: "Resources", Type: registry.FullResourceDescriptor, Data: long(40)},
		{Name: "Größe", Type: registry.Binary, Data: long(7)},
		{Name: "日本", Type: registry.Binary, Data: long(9)},
		{Name: "in one cell", Type: registry.Binary, Data: long(16344)},
		{Name: "in two segments", Type: registry.Binary, Data: long(16345)},
		{Name: "in many", Type: registry.Binary, Data: long(100_000)},
	}
	if o.ANSI {
		list[1] = registry.NewSZ("ProductName", "Microsoft Windows XP – Größe €")
		list = slices.DeleteFunc(list, func(v registry.Value) bool { return v.Name == "日本" })
	}
	return slices.DeleteFunc(list, func(v registry.Value) bool {
		return slices.Contains(o.Without, v.Type) || o.MaxData > 0 && len(v.Data) > o.MaxData
	})
}

// Run holds the store to the behaviour that package registry describes.
func Run(t *testing.T, s registry.Store, o Options) {
	t.Helper()
	at := func(path string) string { return registry.Join(o.Base, path) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	absent := func(what string, err error, value bool) {
		t.Helper()
		var a *registry.AbsentError
		if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &a) || a.IsValue != value {
			t.Errorf("%s: error %v, want an AbsentError with IsValue %v", what, err, value)
		}
	}

	_, err := s.Keys(at("none"))
	absent("keys of an absent key", err, false)
	_, err = s.Values(at(`none\below`))
	absent("values of an absent key", err, false)
	_, err = s.Get(at("none"), "x")
	absent("a value of an absent key", err, false)
	absent("set in an absent key", s.Set(at("none"), registry.NewDWORD("x", 1)), false)
	absent("delete in an absent key", s.Delete(at("none"), "x"), false)
	absent("delete an absent key", s.DeleteKey(at("none")), false)

	const key = `ControlSet001\Services\Tcpip\Parameters`
	must(s.Create(at(key)))
	must(s.Create(at(strings.ToUpper(key)))) // it is there already
	keys, err := s.Keys(at(`ControlSet001\services`))
	if err != nil || !cmp.Equal(keys, []string{"Tcpip"}) {
		t.Errorf("keys %q, %v: want Tcpip, in the case it was created with", keys, err)
	}
	_, err = s.Get(at(key), "MaxUserPort")
	absent("an absent value", err, true)
	absent("delete an absent value", s.Delete(at(key), "MaxUserPort"), true)

	want := values(o)
	for _, v := range want {
		if err := s.Set(at(key), v); err != nil {
			t.Fatalf("set %q: %v", v.Name, err)
		}
	}
	compare := func(path string, want []registry.Value) {
		t.Helper()
		got, err := s.Values(at(path))
		must(err)
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Errorf("values of %s (-want +got):\n%s", path, diff)
		}
		for _, v := range want {
			for _, name := range []string{v.Name, strings.ToUpper(v.Name)} {
				got, err := s.Get(at(path), name)
				if err != nil || !equal(got, v) {
					t.Errorf("get %q: %v, %v", name, got.Type, err)
				}
			}
		}
	}
	compare(key, want)
	if o.Reopen != nil {
		must(s.Flush())
		s = o.Reopen(t, s)
		compare(key, want)
	}

	// To set again replaces value and type, whatever the case of the name.
	must(s.Set(at(key), registry.NewDWORD("maxuserport", 5000)))
	must(s.Set(at(key), registry.NewSZ("productname", "short")))
	got, err := s.Get(at(key), "MaxUserPort")
	must(err)
	if n, err := got.Uint32(); err != nil || n != 5000 {
		t.Errorf("MaxUserPort is %d, %v", n, err)
	}
	got, err = s.Get(at(key), "ProductName")
	must(err)
	if text, err := got.Text(); err != nil || text != "short" {
		t.Errorf("ProductName is %q, %v", text, err)
	}
	if all, err := s.Values(at(key)); err != nil || len(all) != len(want) {
		t.Errorf("%d values, %v: want %d", len(all), err, len(want))
	}
	must(s.Delete(at(key), "MAXUSERPORT"))
	_, err = s.Get(at(key), "MaxUserPort")
	absent("a deleted value", err, true)

	// Many keys side by side, in an order that is not theirs.
	n := 1200
	if o.FewKeys {
		n = 12
	}
	for i := range n {
		must(s.Create(at(fmt.Sprintf(`many\key%04d`, i*7919%n))))
	}
	must(s.Set(at(`many\key0003`), registry.NewDWORD("deep", 3)))
	keys, err = s.Keys(at("many"))
	must(err)
	slices.Sort(keys)
	if len(keys) != n || keys[0] != "key0000" || keys[n-1] != fmt.Sprintf("key%04d", n-1) {
		t.Errorf("%d keys from %q to %q, want %d", len(keys), keys[0], keys[len(keys)-1], n)
	}
	must(s.DeleteKey(at(`many\KEY0003`)))
	_, err = s.Get(at(`many\key0003`), "deep")
	absent("a value of a deleted key", err, false)
	must(s.DeleteKey(at("many")))
	_, err = s.Keys(at("many"))
	absent("a key deleted with all below", err, false)
	if o.Reopen != nil {
		must(s.Flush())
		s = o.Reopen(t, s)
		_, err = s.Keys(at("many"))
		absent("a key deleted with all below, read anew", err, false)
	}
	must(s.DeleteKey(at("ControlSet001")))
	must(s.Flush())
	must(s.Close())
}

func equal(a, b registry.Value) bool {
	return strings.EqualFold(a.Name, b.Name) && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
}

// sorted is a copy in the order of the names, empty data made alike.
func sorted(list []registry.Value) []registry.Value {
	list = slices.Clone(list)
	for i := range list {
		if len(list[i].Data) == 0 {
			list[i].Data = nil
		}
	}
	slices.SortFunc(list, func(a, b registry.Value) int { return strings.Compare(a.Name, b.Name) })
	return list
}
