package hive

// addKey makes a key below another.
func (h *Hive) addKey(parent uint32, n name) (uint32, error) {
	off, err := h.alloc(nkName + len(n.raw))
	if err != nil {
		return 0, err
	}
	b := h.at(off)
	copy(b, "nk")
	if n.narrow {
		put16(b, nkFlags, flagNarrow)
	}
	put32(b, nkParent, parent)
	for _, at := range []int{nkSubkeyList, nkVolatile, nkValueList, nkClass} {
		put32(b, at, none)
	}
	put16(b, nkNameLength, uint16(len(n.raw)))
	copy(b[nkName:], n.raw)
	security := get32(h.at(parent), nkSecurity)
	put32(b, nkSecurity, security)
	if security != none {
		h.write32(security, skReferences, get32(h.at(security), skReferences)+1)
	}
	h.stamp(off)

	if err := h.addSubkey(parent, off); err != nil {
		return 0, err
	}
	h.write32(parent, nkSubkeys, get32(h.at(parent), nkSubkeys)+1)
	// The upper half are flags.
	if get16(h.at(parent), nkMaxName) < uint16(n.wideLen()) {
		h.write16(parent, nkMaxName, uint16(n.wideLen()))
	}
	h.stamp(parent)
	return off, nil
}

// removeKey removes a key with everything below it; of the root, only that.
func (h *Hive) removeKey(k key) error {
	if k.off == h.root {
		if err := h.empty(k.off); err != nil {
			return err
		}
		h.write32(k.off, nkSubkeys, 0)
		h.write32(k.off, nkSubkeyList, none)
		h.write32(k.off, nkMaxClass, 0)
		h.write16(k.off, nkMaxName, 0)
		if !k.has(flagPredefined) {
			h.write32(k.off, nkValues, 0)
			h.write32(k.off, nkValueList, none)
			h.write32(k.off, nkMaxValue, 0)
			h.write32(k.off, nkMaxData, 0)
		}
		h.stamp(k.off)
		return nil
	}
	parent := k.get(nkParent)
	if err := h.removeSubkey(parent, k.off); err != nil {
		return err
	}
	left := get32(h.at(parent), nkSubkeys) - 1
	h.write32(parent, nkSubkeys, left)
	if left == 0 {
		h.write32(parent, nkMaxClass, 0)
		h.write16(parent, nkMaxName, 0)
	}
	h.stamp(parent)
	return h.releaseKey(k.off)
}

// releaseKey releases all cells of a key and of those below it. How deep they lie was
// bounded when the tree was checked.
func (h *Hive) releaseKey(off uint32) error {
	if err := h.empty(off); err != nil {
		return err
	}
	b := h.at(off)
	if class := get32(b, nkClass); class != none && get16(b, nkClassLength) > 0 {
		h.release(class)
	}
	h.releaseSecurity(get32(b, nkSecurity))
	h.release(off)
	return nil
}

// empty releases what a key has: its values, and the keys below it.
func (h *Hive) empty(off uint32) error {
	k, err := h.key(off, off)
	if err != nil {
		return err
	}
	list, err := h.valueList(k)
	if err != nil {
		return err
	}
	for i := 0; i < len(list)/4; i++ {
		v := get32(list, 4*i)
		h.releaseData(v)
		h.release(v)
	}
	if list != nil {
		h.release(k.get(nkValueList))
	}
	all, err := h.leaves(k)
	if err != nil {
		return err
	}
	for _, l := range all {
		for i := range l.n {
			if err := h.releaseKey(l.subkey(i)); err != nil {
				return err
			}
		}
		h.release(l.off)
	}
	if len(all) > 0 && all[0].in != off {
		h.release(all[0].in) // the index root
	}
	return nil
}
