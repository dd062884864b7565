package hive

// Where the fields of a security descriptor's cell are. All of a hive are in one ring,
// and each counts the keys that have it.
const (
	skNext       = 4
	skPrevious   = 8
	skReferences = 12
	skSize       = 16
	skDescriptor = 20
)

// security checks the cell of a security descriptor that the cell at from names.
func (h *Hive) security(from, off uint32) error {
	b, err := h.cell(from, off)
	if err != nil {
		return err
	}
	if len(b) < skDescriptor || string(b[:2]) != "sk" {
		return h.bad(off, "no security descriptor where one must be")
	}
	if int64(get32(b, skSize)) > int64(len(b)-skDescriptor) {
		return h.bad(off, "a security descriptor of %d bytes does not fit into its cell", get32(b, skSize))
	}
	return nil
}

// checkSecurity checks the ring of security descriptors, and that each counts the keys
// that have it.
func (h *Hive) checkSecurity(t *tree) error {
	ring, err := h.ring(t.first)
	if err != nil {
		return err
	}
	for off, n := range t.references {
		if !ring[off] {
			return h.bad(off, "the security descriptor is not in the ring of the others")
		}
		if has := get32(h.at(off), skReferences); has != n {
			return h.bad(off, "the security descriptor counts %d keys that have it, there are %d", has, n)
		}
	}
	for off := range ring {
		if t.owned.has(off) {
			return h.bad(off, "the security descriptor is in a cell that something else has, too")
		}
	}
	return nil
}

// ring returns the security descriptors that can be reached from one.
func (h *Hive) ring(at uint32) (map[uint32]bool, error) {
	ring := make(map[uint32]bool)
	if at == none {
		return ring, nil
	}
	for !ring[at] {
		ring[at] = true
		next := get32(h.at(at), skNext)
		if err := h.security(at, next); err != nil {
			return nil, err
		}
		if get32(h.at(next), skPrevious) != at {
			return nil, h.bad(next, "the ring of security descriptors is broken")
		}
		at = next
	}
	return ring, nil
}

// releaseSecurity counts one key less, and releases a descriptor that no key has any
// more. In a hive whose counts or ring were not right none is released: which ones are
// without a key is not certain.
func (h *Hive) releaseSecurity(off uint32) {
	if off == none {
		return
	}
	b := h.at(off)
	n := get32(b, skReferences)
	next, previous := get32(b, skNext), get32(b, skPrevious)
	switch {
	case n > 1:
		h.write32(off, skReferences, n-1)
	case !h.keepSecurity && next != off:
		h.write32(previous, skNext, next)
		h.write32(next, skPrevious, previous)
		h.release(off)
	}
}
