package hive

import "fmt"

const (
	binHeader  = 32
	binWritten = 20 // where the first bin has a copy of the time in the base block
	// minCell is the smallest cell: its length, 4 bytes, and as much again, because
	// cells begin at multiples of 8.
	minCell = 8
)

// marks is a set of cells, by their offset.
type marks []uint64

func newMarks(binsSize uint32) marks  { return make(marks, (binsSize/8+63)/64) }
func (m marks) has(off uint32) bool   { return m[off>>9]>>(off>>3&63)&1 != 0 }
func (m marks) add(off uint32)        { m[off>>9] |= 1 << (off >> 3 & 63) }
func (m marks) remove(off uint32)     { m[off>>9] &^= 1 << (off >> 3 & 63) }
func (m *marks) grow(binsSize uint32) { *m = append(*m, make(marks, int(binsSize/8+63)/64-len(*m))...) }

// walkBins checks the seams of bins and cells, and marks the cells that are in use.
func (h *Hive) walkBins() error {
	bins := h.bins()
	h.used = newMarks(uint32(len(bins)))
	for at := 0; at < len(bins); {
		b := bins[at:]
		if string(b[:4]) != "hbin" {
			return h.bad(uint32(at), "no bin begins here")
		}
		if n := get32(b, 4); n != uint32(at) {
			return h.bad(uint32(at), "the bin says that it begins %d bytes behind the header, not %d", n, at)
		}
		size := get32(b, 8)
		if size == 0 || size%page != 0 || int64(size) > int64(len(b)) {
			return h.bad(uint32(at), "a bin of %d bytes, with %d to the end: want a multiple of %d", size, len(b), page)
		}
		if err := h.walkCells(uint32(at)+binHeader, uint32(at)+size); err != nil {
			return err
		}
		at += int(size)
	}
	return nil
}

// walkCells marks the cells of one bin.
func (h *Hive) walkCells(at, end uint32) error {
	bins := h.bins()
	for at < end {
		size := int64(int32(get32(bins, int(at))))
		inUse := size < 0
		if inUse {
			size = -size
			h.used.add(at)
		}
		if size < minCell || size%8 != 0 || size > int64(end-at) {
			return h.bad(at, "a cell of %d bytes, with %d to the end of its bin: want a multiple of 8", size, end-at)
		}
		at += uint32(size)
	}
	return nil
}

// bad is the error of what is wrong at an offset.
func (h *Hive) bad(off uint32, format string, args ...any) error {
	return &FormatError{baseSize + int64(off), fmt.Sprintf(format, args...)}
}

// cell returns what is in the cell at an offset, without its length; from is the
// cell that names it.
func (h *Hive) cell(from, off uint32) ([]byte, error) {
	if off%8 != 0 || off >= h.binsSize || !h.used.has(off) {
		return nil, h.bad(from, "it leads to offset %#x, where no cell in use begins", off)
	}
	return h.at(off), nil
}

// at returns what is in a cell that is known to be one.
func (h *Hive) at(off uint32) []byte {
	return h.bins()[off+4 : off+h.size(off) : off+h.size(off)]
}

// size returns the length of a cell in use, its own four bytes included.
func (h *Hive) size(off uint32) uint32 { return -get32(h.bins(), int(off)) }
