package hive

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
)

func listsOf(t *testing.T, h *Hive, path string) (root bool, sigs []string, lengths []int) {
	t.Helper()
	k, err := h.open(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := h.leaves(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		sigs, lengths = append(sigs, l.sig()), append(lengths, l.n)
		root = l.in != k.off
	}
	return root, slices.Compact(sigs), lengths
}

func TestManySubkeysAreInListsAsWindowsHasThem(t *testing.T) {
	for minor := minMinor; minor <= maxMinor; minor++ {
		t.Run(fmt.Sprintf("version 1.%d", minor), func(t *testing.T) {
			const n = 3000
			order := rand.New(rand.NewPCG(1, uint64(minor))).Perm(n)
			h := empty(t, minor)
			var want []string
			for i, j := range order {
				name := fmt.Sprintf("key%04d", j)
				want = append(want, name)
				if err := h.Create(name); err != nil {
					t.Fatal(err)
				}
				root, sigs, lengths := listsOf(t, h, "")
				for _, l := range lengths {
					if l > maxList || sigs[0] == "lf" && l > maxHints {
						t.Fatalf("after %d keys: a list %s of %d entries", i+1, sigs[0], l)
					}
				}
				kind := "lh"
				if minor < minorHash {
					kind = "lf"
					if i+1 > maxHints {
						kind = "li"
					}
				}
				if !cmp.Equal(sigs, []string{kind}) || root != (i+1 > maxList) {
					t.Fatalf("after %d keys: lists %q, below an index root: %v", i+1, sigs, root)
				}
			}
			h = checked(t, h)
			slices.Sort(want)
			if keys, err := h.Keys(""); err != nil || !cmp.Equal(keys, want) {
				t.Fatalf("%d keys, %v; sorted: %v", len(keys), err, slices.IsSorted(keys))
			}
			for i, j := range order {
				if err := h.DeleteKey(fmt.Sprintf("KEY%04d", j)); err != nil {
					t.Fatal(err)
				}
				if i%500 == 499 {
					h = checked(t, h)
				}
			}
			k, _ := h.rootKey()
			if k.get(nkSubkeys) != 0 || k.get(nkSubkeyList) != none || k.get(nkMaxName) != 0 {
				t.Errorf("%d subkeys, list at %#x, longest name %d", k.get(nkSubkeys), k.get(nkSubkeyList), k.get(nkMaxName))
			}
		})
	}
}

func TestListsHaveHintsAndHashesOfNames(t *testing.T) {
	names := []string{"a", "Ab", "ÿ", "日", "a日", "abc日", "abcdefg", "ßstraße", "😀"}
	for minor, want := range map[int]func(name) uint32{
		3: func(n name) uint32 { h := n.hint(); return get32(h[:], 0) },
		5: name.hash,
	} {
		h := empty(t, minor)
		for _, n := range names {
			if err := h.Create(n); err != nil {
				t.Fatal(err)
			}
		}
		k, _ := h.rootKey()
		all, err := h.leaves(k)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all[0].n {
			n := h.nameAt(all[0], i)
			if got := get32(all[0].b, 4+8*i+4); got != want(n) {
				t.Errorf("version 1.%d: %q has %#x, want %#x", minor, n, got, want(n))
			}
			if i > 0 && h.nameAt(all[0], i-1).compare(n) >= 0 {
				t.Errorf("%q is not before %q", h.nameAt(all[0], i-1), n)
			}
		}
	}
	for s, want := range map[string]struct {
		hash uint32
		hint string
	}{
		"key_with": {0, "key_"},
		"a日":       {37*'A' + '日', "\x00\x00\x00\x00"},
		"abc日":     {0, "\x00\x00\x00\x00"},
		"日bc":      {0, "\x00bc\x00"},
	} {
		n, _ := encodeName(s)
		if got := n.hint(); string(got[:]) != want.hint {
			t.Errorf("the hint of %q is %q, want %q", s, got, want.hint)
		}
		if want.hash != 0 && n.hash() != want.hash {
			t.Errorf("the hash of %q is %#x, want %#x", s, n.hash(), want.hash)
		}
	}
}

func TestMaximaAndCountsAreKept(t *testing.T) {
	h := empty(t, 5)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(h.Create(`k\short`))
	k := cellOf(t, h, "k")
	put16(h.at(k), nkMaxName+2, 0xabcd) // flags that are not ours
	do(h.Create(`k\Größere 日本`))
	do(h.Set("k", registry.NewDWORD("number", 1)))
	do(h.Set("k", registry.Value{Name: "bytes", Data: make([]byte, 100)}))
	check := func(name, value, data, subkeys, values uint32) {
		t.Helper()
		got := []uint32{uint32(get16(h.at(k), nkMaxName)), get32(h.at(k), nkMaxValue), get32(h.at(k), nkMaxData), get32(h.at(k), nkSubkeys), get32(h.at(k), nkValues)}
		if diff := cmp.Diff([]uint32{name, value, data, subkeys, values}, got); diff != "" {
			t.Errorf("longest names and data, numbers (-want +got):\n%s", diff)
		}
		if get16(h.at(k), nkMaxName+2) != 0xabcd {
			t.Errorf("the flags are %#x", get16(h.at(k), nkMaxName+2))
		}
	}
	check(2*10, 2*6, 100, 2, 2)
	do(h.DeleteKey(`k\Größere 日本`))
	do(h.Delete("k", "bytes"))
	check(2*10, 2*6, 100, 1, 1) // as in Windows: too high is allowed
	do(h.DeleteKey(`k\short`))
	do(h.Delete("k", "number"))
	check(0, 0, 0, 0, 0)
}

func TestSecurityDescriptorsCountTheirKeys(t *testing.T) {
	h := empty(t, 5)
	for _, path := range []string{`a\b\c`, `a\d`, `e`} {
		if err := h.Create(path); err != nil {
			t.Fatal(err)
		}
	}
	root := get32(h.at(h.root), nkSecurity)
	count := func() uint32 { return get32(h.at(root), skReferences) }
	if count() != 6 {
		t.Errorf("%d keys, want 6", count())
	}
	// A second descriptor, of the key a\b alone.
	second, err := h.alloc(skDescriptor + len(descriptor))
	if err != nil {
		t.Fatal(err)
	}
	copy(h.at(second), h.at(root))
	put32(h.at(second), skReferences, 1)
	put32(h.at(second), skNext, root)
	put32(h.at(second), skPrevious, root)
	put32(h.at(root), skNext, second)
	put32(h.at(root), skPrevious, second)
	put32(h.at(root), skReferences, 5)
	put32(h.at(cellOf(t, h, `a\b`)), nkSecurity, second)
	h = checked(t, h)
	if err := h.Create(`a\b\f`); err != nil { // has that of the key above
		t.Fatal(err)
	}
	if got := get32(h.at(second), skReferences); got != 2 {
		t.Errorf("%d keys have the second, want 2", got)
	}
	if err := h.DeleteKey(`a`); err != nil {
		t.Fatal(err)
	}
	if count() != 2 || get32(h.at(root), skNext) != root || get32(h.at(root), skPrevious) != root || h.used.has(second) {
		t.Errorf("%d keys; the ring goes to %#x and %#x; the second is in use: %v", count(), get32(h.at(root), skNext), get32(h.at(root), skPrevious), h.used.has(second))
	}
	checked(t, h)

	// Where the counts are wrong, no descriptor is released.
	if err := h.Create(`a`); err != nil {
		t.Fatal(err)
	}
	put32(h.at(root), skReferences, 1)
	again, err := Parse(bytes.Clone(h.Bytes()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Check(); err == nil || !strings.Contains(err.Error(), "counts 1 keys") {
		t.Errorf("%v", err)
	}
	for _, path := range []string{"a", "e"} {
		if err := again.DeleteKey(path); err != nil {
			t.Fatal(err)
		}
	}
	if !again.used.has(root) || again.security(root, root) != nil {
		t.Error("the root's descriptor was released")
	}
}
