package hive

// Where the fields of a key node are, in its cell.
const (
	nkFlags       = 2
	nkWritten     = 4
	nkParent      = 16
	nkSubkeys     = 20
	nkSubkeyList  = 28
	nkVolatile    = 32 // list of volatile subkeys, without meaning in a file
	nkValues      = 36
	nkValueList   = 40
	nkSecurity    = 44
	nkClass       = 48
	nkMaxName     = 52 // of subkeys; the upper half has flags since Windows XP SP3
	nkMaxClass    = 56
	nkMaxValue    = 60
	nkMaxData     = 64
	nkNameLength  = 72
	nkClassLength = 74
	nkName        = 76
)

// Flags of a key node.
const (
	flagRoot       = 0x04 // KEY_HIVE_ENTRY
	flagNoDelete   = 0x08 // KEY_NO_DELETE
	flagNarrow     = 0x20 // KEY_COMP_NAME
	flagPredefined = 0x40 // KEY_PREDEF_HANDLE: in place of a number of values it has a handle
)

// A key is a key node: its cell. Bytes of a cell are good until the next change.
type key struct {
	off uint32
	b   []byte
}

// key returns the key node at an offset that the cell at from names.
func (h *Hive) key(from, off uint32) (key, error) {
	b, err := h.cell(from, off)
	if err != nil {
		return key{}, err
	}
	k := key{off, b}
	switch {
	case len(b) < nkName || string(b[:2]) != "nk":
		return key{}, h.bad(off, "no key where one must be")
	case nkName+int(get16(b, nkNameLength)) > len(b):
		return key{}, h.bad(off, "the name of the key does not fit into its cell")
	case !k.name().narrow && get16(b, nkNameLength)%2 != 0:
		return key{}, h.bad(off, "the name of the key is half a character too long")
	}
	return k, nil
}

func (k key) get(at int) uint32    { return get32(k.b, at) }
func (k key) has(flag uint16) bool { return get16(k.b, nkFlags)&flag != 0 }

func (k key) name() name {
	return name{k.b[nkName:][:get16(k.b, nkNameLength)], k.has(flagNarrow)}
}

// values is how many values the key has.
func (k key) values() uint32 {
	if k.has(flagPredefined) {
		return 0
	}
	return k.get(nkValues)
}

// A leaf is a list of subkeys: the only one of a key, or one of those that an index
// root (ri) names.
type leaf struct {
	off  uint32
	b    []byte
	n    int    // subkeys in it
	step int    // bytes that each takes
	in   uint32 // cell that names it: the key's, or that of the index root
	at   int    // where
}

// subkey returns the offset of one.
func (l leaf) subkey(i int) uint32 { return get32(l.b, 4+i*l.step) }

// list returns what is in a list of offsets with a signature: how many there are.
func (h *Hive) list(off uint32, b []byte, step int) (int, error) {
	if n := int(get16(b, 2)); 4+n*step <= len(b) {
		return n, nil
	}
	return 0, h.bad(off, "a list of %d entries does not fit into its cell", get16(b, 2))
}

// leafAt returns the list that is named at a place in a cell.
func (h *Hive) leafAt(in uint32, at int) (leaf, error) {
	l, err := h.leaf(in, get32(h.at(in), at))
	l.in, l.at = in, at
	return l, err
}

// leaf returns the list at an offset that the cell at from names. Its cell has four
// bytes at least, as all cells.
func (h *Hive) leaf(from, off uint32) (leaf, error) {
	b, err := h.cell(from, off)
	if err != nil {
		return leaf{}, err
	}
	l := leaf{off: off, b: b}
	switch string(b[:2]) {
	case "lf", "lh":
		l.step = 8
	case "li":
		l.step = 4
	default:
		return leaf{}, h.bad(off, "no list of subkeys where one must be")
	}
	l.n, err = h.list(off, b, l.step)
	return l, err
}

// leaves returns the lists of a key's subkeys, whose entries are as many as the key
// says it has: that bounds what a list that is named twice can cost.
func (h *Hive) leaves(k key) ([]leaf, error) {
	want := int64(k.get(nkSubkeys))
	if want == 0 {
		return nil, nil
	}
	if want > int64(h.binsSize)/(nkName+4) {
		return nil, h.bad(k.off, "the key says that it has %d subkeys, for which the hive is too small", want)
	}
	off := k.get(nkSubkeyList)
	b, err := h.cell(k.off, off)
	if err != nil {
		return nil, err
	}
	if string(b[:2]) != "ri" {
		l, err := h.leafAt(k.off, nkSubkeyList)
		if err != nil {
			return nil, err
		}
		if want != int64(l.n) {
			return nil, h.bad(k.off, "the key says that it has %d subkeys, its list has %d", want, l.n)
		}
		return []leaf{l}, nil
	}
	n, err := h.list(off, b, 4)
	if err != nil {
		return nil, err
	}
	var all []leaf
	for i := range n {
		l, err := h.leafAt(off, 4+4*i)
		if err != nil {
			return nil, err
		}
		if want -= int64(l.n); want < 0 {
			break
		}
		all = append(all, l)
	}
	if want != 0 {
		return nil, h.bad(k.off, "the key says that it has %d subkeys, its lists have others", k.get(nkSubkeys))
	}
	return all, nil
}

// child returns the subkey that a list has at i. It must know k as its parent:
// therefore no key can be reached on two ways, and no way leads in a circle.
func (h *Hive) child(k key, l leaf, i int) (key, error) {
	c, err := h.key(l.off, l.subkey(i))
	if err != nil {
		return key{}, err
	}
	if c.get(nkParent) != k.off {
		return key{}, h.bad(c.off, "the key is in the list of one at %#x, but below one at %#x", k.off, c.get(nkParent))
	}
	return c, nil
}

// lookup returns the subkey of a name, and whether there is one.
func (h *Hive) lookup(k key, n name) (key, bool, error) {
	all, err := h.leaves(k)
	if err != nil {
		return key{}, false, err
	}
	if c, ok := h.bisect(k, all, n); ok {
		return c, true, nil
	}
	// Not all writers sort as Windows does: what is not where it belongs is looked for
	// everywhere, if it is not known that the lists are sorted.
	if h.free != nil && !h.unsorted[k.off] {
		return key{}, false, nil
	}
	for _, l := range all {
		for i := range l.n {
			c, err := h.child(k, l, i)
			if err != nil {
				return key{}, false, err
			}
			if c.name().same(n) {
				return c, true, nil
			}
		}
	}
	return key{}, false, nil
}

// bisect looks for a subkey where it is if the lists are sorted.
func (h *Hive) bisect(k key, all []leaf, n name) (key, bool) {
	for len(all) > 0 {
		l := all[len(all)/2]
		lo, hi := 0, l.n
		for lo < hi {
			i := (lo + hi) / 2
			c, err := h.child(k, l, i)
			if err != nil {
				return key{}, false
			}
			order := n.compare(c.name())
			switch {
			case order == 0:
				return c, true
			case order < 0:
				hi = i
			default:
				lo = i + 1
			}
		}
		switch {
		case lo == 0 && l.n > 0:
			all = all[:len(all)/2]
		case lo == l.n:
			all = all[len(all)/2+1:]
		default:
			return key{}, false
		}
	}
	return key{}, false
}
