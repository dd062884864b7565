package hive

import (
	"errors"
	"slices"
	"sort"
)

// How many entries a list of subkeys has at most, as in Windows. Lists with hints (lf)
// that are full become lists without (li); full ones of these and of those with hashes
// (lh) are cut in halves below an index root (ri). Below an index root Windows 2000
// takes every list for one without hints, so lf must not be there.
const (
	maxHints = (page - binHeader - 4 - 4) / 8
	maxList  = (page-binHeader-4-4)/4 - 1
	maxRoot  = 0xffff
)

// entry returns what a list has for a key, in its own form.
func entry(sig string, off uint32, n name) []byte {
	b := make([]byte, 8)
	put32(b, 0, off)
	switch sig {
	case "lf":
		hint := n.hint()
		copy(b[4:], hint[:])
	case "lh":
		put32(b, 4, n.hash())
	default:
		return b[:4]
	}
	return b
}

func (l leaf) sig() string { return string(l.b[:2]) }

// nameAt is the name of the i-th subkey. That the key is one was checked.
func (h *Hive) nameAt(l leaf, i int) name {
	off := l.subkey(i)
	return key{off, h.at(off)}.name()
}

// addSubkey puts a key into the list of the one above, where its name belongs.
func (h *Hive) addSubkey(parent, off uint32) error {
	n := key{off, h.at(off)}.name()
	k, err := h.key(parent, parent)
	if err != nil {
		return err
	}
	all, err := h.leaves(k)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		sig := "lf"
		if h.minor >= minorHash {
			sig = "lh"
		}
		_, err := h.newLeaf(sig, entry(sig, off, n), parent, nkSubkeyList)
		return err
	}
	// The first list whose last name is behind the new one, or else the last list.
	at := min(sort.Search(len(all), func(i int) bool {
		return all[i].n > 0 && h.nameAt(all[i], all[i].n-1).compare(n) > 0
	}), len(all)-1)
	l := all[at]
	i := sort.Search(l.n, func(i int) bool { return h.nameAt(l, i).compare(n) > 0 })

	if l.sig() == "lf" && l.n >= maxHints {
		if l, err = h.dropHints(l); err != nil {
			return err
		}
	}
	if l.sig() != "lf" && l.n >= maxList {
		right, err := h.split(parent, l)
		if err != nil {
			return err
		}
		// Both halves have moved.
		half := l.n / 2
		if l, err = h.leafAt(right.in, right.at-4); err != nil {
			return err
		}
		if i > half {
			l, i = right, i-half
		}
	}
	return h.insert(l, i, entry(l.sig(), off, n))
}

// newLeaf makes a list of some entries and names it at a place in a cell.
func (h *Hive) newLeaf(sig string, entries []byte, in uint32, at int) (leaf, error) {
	off, err := h.alloc(4 + len(entries))
	if err != nil {
		return leaf{}, err
	}
	step := 8
	if sig == "li" {
		step = 4
	}
	b := h.at(off)
	copy(b, sig)
	put16(b, 2, uint16(len(entries)/step))
	copy(b[4:], entries)
	h.write32(in, at, off)
	return h.leafAt(in, at)
}

// insert puts an entry into a list before the i-th.
func (h *Hive) insert(l leaf, i int, e []byte) error {
	rest := slices.Clone(l.b[4+i*l.step : 4+l.n*l.step])
	off, err := h.resize(l.off, 4+l.n*l.step, 4+(l.n+1)*l.step)
	if err != nil {
		return err
	}
	h.write(off, 4+i*l.step, append(e, rest...))
	h.write16(off, 2, uint16(l.n+1))
	h.write32(l.in, l.at, off)
	return nil
}

// dropHints makes a list with hints one without.
func (h *Hive) dropHints(l leaf) (leaf, error) {
	b := make([]byte, 4+4*l.n)
	copy(b, "li")
	put16(b, 2, uint16(l.n))
	for i := range l.n {
		put32(b, 4+4*i, l.subkey(i))
	}
	h.write(l.off, 0, b)
	return h.leafAt(l.in, l.at)
}

// split cuts a list in halves below an index root, which is made if there is none, and
// returns the second. The first is named before it.
func (h *Hive) split(parent uint32, l leaf) (leaf, error) {
	if l.in == parent {
		root, err := h.alloc(12)
		if err != nil {
			return leaf{}, err
		}
		b := h.at(root)
		copy(b, "ri")
		put16(b, 2, 1)
		put32(b, 4, l.off)
		h.write32(parent, nkSubkeyList, root)
		l.in, l.at = root, 4
	}
	n := int(get16(h.at(l.in), 2))
	if n == maxRoot {
		return leaf{}, errors.New("the key above has as many keys as it can have")
	}
	root, err := h.resize(l.in, 4+4*n, 4+4*(n+1))
	if err != nil {
		return leaf{}, err
	}
	h.write32(parent, nkSubkeyList, root)
	h.write(root, l.at+4, slices.Clone(h.at(root)[l.at:4+4*n]))
	h.write16(root, 2, uint16(n+1))

	half := l.n / 2
	b := h.at(l.off)
	right, err := h.newLeaf(l.sig(), slices.Clone(b[4+half*l.step:4+l.n*l.step]), root, l.at+4)
	if err != nil {
		return leaf{}, err
	}
	h.write16(l.off, 2, uint16(half))
	return right, nil
}

// removeSubkey takes a key out of the list of the one above. Lists that become empty
// go; an index root with one list stays one, as in Windows.
func (h *Hive) removeSubkey(parent, off uint32) error {
	k, err := h.key(parent, parent)
	if err != nil {
		return err
	}
	all, err := h.leaves(k)
	if err != nil {
		return err
	}
	for _, l := range all {
		for i := range l.n {
			if l.subkey(i) != off {
				continue
			}
			if l.n > 1 {
				h.write(l.off, 4+i*l.step, slices.Clone(l.b[4+(i+1)*l.step:4+l.n*l.step]))
				h.write16(l.off, 2, uint16(l.n-1))
				return nil
			}
			h.release(l.off)
			if l.in == parent {
				h.write32(parent, nkSubkeyList, none)
				return nil
			}
			n := int(get16(h.at(l.in), 2))
			if n == 1 {
				h.release(l.in)
				h.write32(parent, nkSubkeyList, none)
				return nil
			}
			h.write(l.in, l.at, slices.Clone(h.at(l.in)[l.at+4:4+4*n]))
			h.write16(l.in, 2, uint16(n-1))
			return nil
		}
	}
	return h.bad(off, "the key is not in the list of the one above")
}
