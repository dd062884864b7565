package hive

import "slices"

// A saved is what lay somewhere before the change that is under way.
type saved struct {
	at  int // in the file
	old []byte
}

// save remembers bytes that are about to be changed.
func (h *Hive) save(at, n int) {
	h.undo = append(h.undo, saved{at, slices.Clone(h.b[at : at+n])})
}

// write changes bytes within a cell's content.
func (h *Hive) write(cell uint32, at int, b []byte) {
	pos := baseSize + int(cell) + 4 + at
	h.save(pos, len(b))
	copy(h.b[pos:], b)
}

func (h *Hive) write32(cell uint32, at int, n uint32) {
	var b [4]byte
	put32(b[:], 0, n)
	h.write(cell, at, b[:])
}

func (h *Hive) write16(cell uint32, at int, n uint16) {
	var b [2]byte
	put16(b[:], 0, n)
	h.write(cell, at, b[:])
}

// change carries out one change, as a whole or not at all.
func (h *Hive) change(f func() error) error {
	if err := h.prepare(); err != nil {
		return err
	}
	h.undo, h.released = h.undo[:0], h.released[:0]
	length, binsSize := len(h.b), h.binsSize
	if err := f(); err != nil {
		h.back(length, binsSize)
		return err
	}
	for _, off := range h.released {
		h.makeFree(off)
	}
	if len(h.undo) > 0 {
		h.edits++
	}
	clear(h.undo) // lets go of what was saved
	return nil
}

// back undoes what was written, and learns anew which cells are free.
func (h *Hive) back(length int, binsSize uint32) {
	for _, s := range slices.Backward(h.undo) {
		copy(h.b[s.at:], s.old)
	}
	h.b, h.binsSize = h.b[:length], binsSize
	if err := h.walkBins(); err != nil {
		// The seams are as they were before, when they were good.
		panic("hive: a change was not undone: " + err.Error())
	}
	h.free = newFree(h)
}
