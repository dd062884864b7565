package hive

// Check checks the whole tree: that every key, list, value and its data is where it is
// said to be, and that no cell has two owners; and that the security descriptors are
// in their ring and count the keys that have them. The error is a [FormatError].
//
// Windows tolerates more, and repairs some of it.
func (h *Hive) Check() error {
	if h.b == nil {
		return errClosed
	}
	t, err := h.walkTree()
	if err != nil {
		return err
	}
	return h.checkSecurity(t)
}

// A tree is what a walk over all keys finds.
type tree struct {
	h          *Hive
	owned      marks             // cells that something has, but security descriptors
	references map[uint32]uint32 // keys that have a security descriptor, by its cell
	first      uint32            // some security descriptor
	unsorted   map[uint32]bool   // keys whose lists of subkeys are not sorted
}

// own says that the cell at from has the one at off for itself.
func (t *tree) own(from, off uint32) error {
	if t.owned.has(off) {
		return t.h.bad(from, "the cell at %#x has another owner, too", off)
	}
	t.owned.add(off)
	return nil
}

func (h *Hive) walkTree() (*tree, error) {
	t := &tree{h, newMarks(h.binsSize), make(map[uint32]uint32), none, make(map[uint32]bool)}
	root, err := h.rootKey()
	if err != nil {
		return nil, err
	}
	if err := t.own(root.off, root.off); err != nil {
		return nil, err
	}
	level := []key{root}
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxDepth {
			return nil, h.bad(level[0].off, "more than %d keys lie one below the other", maxDepth)
		}
		var next []key
		for _, k := range level {
			if next, err = t.key(k, next); err != nil {
				return nil, err
			}
		}
		level = next
	}
	return t, nil
}

// key checks what belongs to a key, and adds those below it to a list.
func (t *tree) key(k key, below []key) ([]key, error) {
	if n := get16(k.b, nkClassLength); k.get(nkClass) != none && n > 0 {
		b, err := t.h.cell(k.off, k.get(nkClass))
		if err != nil {
			return nil, err
		}
		if int(n) > len(b) {
			return nil, t.h.bad(k.off, "the class of the key does not fit into its cell")
		}
		if err := t.own(k.off, k.get(nkClass)); err != nil {
			return nil, err
		}
	}
	if sk := k.get(nkSecurity); sk != none {
		if err := t.h.security(k.off, sk); err != nil {
			return nil, err
		}
		t.references[sk]++
		t.first = sk
	}
	if err := t.values(k); err != nil {
		return nil, err
	}
	return t.subkeys(k, below)
}

func (t *tree) subkeys(k key, below []key) ([]key, error) {
	first := len(below)
	all, err := t.h.leaves(k)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 && all[0].in != k.off {
		if err := t.own(k.off, all[0].in); err != nil {
			return nil, err
		}
	}
	for _, l := range all {
		if err := t.own(l.in, l.off); err != nil {
			return nil, err
		}
		for i := range l.n {
			c, err := t.h.child(k, l, i)
			if err != nil {
				return nil, err
			}
			if err := t.own(l.off, c.off); err != nil {
				return nil, err
			}
			if i := len(below); i > first && below[i-1].name().compare(c.name()) >= 0 {
				t.unsorted[k.off] = true
			}
			below = append(below, c)
		}
	}
	return below, nil
}

func (t *tree) values(k key) error {
	list, err := t.h.valueList(k)
	if err != nil || list == nil {
		return err
	}
	at := k.get(nkValueList)
	if err := t.own(k.off, at); err != nil {
		return err
	}
	for i := 0; i < len(list)/4; i++ {
		v, err := t.h.value(at, get32(list, 4*i))
		if err != nil {
			return err
		}
		if err := t.own(at, v.off); err != nil {
			return err
		}
		d, err := t.h.data(v)
		if err != nil {
			return err
		}
		if v.get(vkSize)&inline != 0 || d.size == 0 {
			continue
		}
		cells := []uint32{v.get(vkData)}
		if d.segments != nil {
			cells = append(cells, d.list)
			for j := 0; j < len(d.segments)/4; j++ {
				cells = append(cells, get32(d.segments, 4*j))
			}
		}
		for _, c := range cells {
			if err := t.own(v.off, c); err != nil {
				return err
			}
		}
	}
	return nil
}
