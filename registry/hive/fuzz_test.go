package hive

import (
	"bytes"
	"encoding/binary"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
)

// small is a hive of one bin with as much as has place in it, so that the fuzzer's
// changes hit something.
func small(f *testing.F, minor int) []byte {
	h := empty(f, minor)
	for _, path := range []string{`Select`, `a\b\c`, `a\d`, `日本`} {
		if err := h.Create(path); err != nil {
			f.Fatal(err)
		}
	}
	for _, v := range []registry.Value{
		registry.NewDWORD("Current", 1), registry.NewSZ("", "default"), {Name: "Empty", Type: registry.Binary},
		{Name: "日本", Type: 0x10001, Data: []byte{1, 2, 3, 4, 5}},
	} {
		if err := h.Set("Select", v); err != nil {
			f.Fatal(err)
		}
	}
	return h.Bytes()
}

// hives are what the fuzzer damages. It is given the damage, not the hive: it would
// spend its time on making 8 KiB smaller that are zeros for the most part.
func hives(f *testing.F) (list [][]byte) {
	for minor := minMinor; minor <= maxMinor; minor++ {
		list = append(list, small(f, minor))
	}
	list = append(list, sample(f, 5))
	for _, minor := range []int{3, 5} {
		many := empty(f, minor)
		for i := range maxList + 50 {
			if err := many.Create(string(rune('a'+i%26)) + string(rune('a'+i/26))); err != nil {
				f.Fatal(err)
			}
		}
		list = append(list, many.Bytes())
	}
	return list
}

// damaged returns a hive in which two bytes are others for every four of the damage:
// where, in the header or the bins, and what. The checksum is made right.
func damaged(list [][]byte, which byte, damage []byte) []byte {
	b := bytes.Clone(list[int(which)%len(list)])
	for ; len(damage) >= 4; damage = damage[4:] {
		at := int(get16(damage, 0))
		if at >= 512 {
			at = baseSize + (at-512)%(len(b)-baseSize)
		}
		copy(b[at:], damage[2:4])
	}
	reseal(b)
	return b
}

// damage is some for the fuzzer to begin with.
var damage = []string{
	"", "\x04\x00\x09\x00", "\x28\x00\x00\x10", // the sequence number, the length of the bins
	"\x20\x02\x00\x00", "\x24\x02nk\x38\x02\x05\x00", // the first cell, the root key
}

// A place is where a value is, names in capitals.
type place struct{ path, name string }

// capitals are those that the hive takes names for the same by.
func capitals(s string) string {
	n, _ := encodeName(s)
	b := make([]byte, 0, 2*len(s))
	for i := range n.len() {
		b = binary.BigEndian.AppendUint16(b, upper(n.unit(i)))
	}
	return string(b)
}

// walked returns all values that can be read. What cannot be read is left out, unless
// it must be possible: then it is an error.
func walked(t *testing.T, h *Hive, must bool) map[place]registry.Value {
	all := make(map[place]registry.Value)
	keys := 0
	for paths := []string{""}; len(paths) > 0; {
		path := paths[len(paths)-1]
		paths = paths[:len(paths)-1]
		// Every key has a cell of its own.
		if keys++; keys > int(h.binsSize)/8 {
			t.Fatal("more keys than the hive has cells")
		}
		values, err := h.Values(path)
		if err != nil && must {
			t.Fatal(err)
		}
		for _, v := range values {
			if _, err := h.Get(path, v.Name); err != nil {
				t.Fatalf("a value that was listed: %v", err)
			}
			if at := (place{capitals(path), capitals(v.Name)}); all[at].Data == nil {
				all[at] = v
			}
		}
		list, err := h.Keys(path)
		if err != nil && must {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, k := range list {
			// Some names cannot be in paths, and some are there twice.
			if k == "" || strings.Contains(k, `\`) || seen[capitals(k)] {
				continue
			}
			seen[capitals(k)] = true
			paths = append(paths, registry.Join(path, k))
		}
	}
	return all
}

func FuzzParse(f *testing.F) {
	list := hives(f)
	for i := range list {
		for _, d := range damage {
			f.Add(byte(i), []byte(d))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, damage []byte) {
		h, err := Parse(damaged(list, which, damage), Options{})
		if err != nil {
			return
		}
		walked(t, h, h.Check() == nil)
	})
}

// FuzzChange asks that a hive that may be changed is in order after it, and all that
// the change does not concern as it was.
func FuzzChange(f *testing.F) {
	list := hives(f)
	for i := range list {
		for _, d := range damage {
			f.Add(byte(i), []byte(d), byte(0), "Select", "Current", uint16(4))
			f.Add(byte(i), []byte(d), byte(1), `a\b\new`, "x", uint16(20000))
			f.Add(byte(i), []byte(d), byte(2), "Select", "", uint16(0))
			f.Add(byte(i), []byte(d), byte(3), "a", "", uint16(0))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, damage []byte, what byte, path, name string, size uint16) {
		h, err := Parse(damaged(list, which, damage), Options{})
		if err != nil {
			return
		}
		before := walked(t, h, false)
		old := bytes.Clone(h.b)
		switch what % 4 {
		case 0:
			err = h.Set(path, registry.Value{Name: name, Type: 3, Data: make([]byte, size)})
		case 1:
			err = h.Create(path)
		case 2:
			err = h.Delete(path, name)
		case 3:
			err = h.DeleteKey(path)
		}
		if err != nil {
			if !bytes.Equal(old, h.b) {
				t.Fatal("a refused change has changed bytes")
			}
			return
		}
		again, err := Parse(bytes.Clone(h.Bytes()), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.walkTree(); err != nil {
			t.Fatal(err)
		}
		after := walked(t, again, true)
		key := capitals(registry.Join(registry.Split(path)...))
		for _, all := range []map[place]registry.Value{before, after} {
			maps.DeleteFunc(all, func(at place, _ registry.Value) bool {
				if what%4 == 3 {
					return key == "" || at.path == key || strings.HasPrefix(at.path, key+capitals(`\`))
				}
				return at.path == key && at.name == capitals(name)
			})
		}
		same := func(a, b registry.Value) bool {
			return a.Name == b.Name && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
		}
		if !maps.EqualFunc(before, after, same) {
			t.Fatalf("elsewhere (-before +after):\n%s", cmp.Diff(before, after))
		}
	})
}
