package hive

import (
	"errors"
	"slices"
)

// errTooLarge is the error of a hive that cannot take more.
var errTooLarge = errors.New("the hive would grow beyond 2 GiB")

// buckets is how many lengths of free cells have a list of their own: all that can
// occur in a bin of one page.
const buckets = page / 8

// A free knows the free cells of a hive. Cells never reach over the end of their bin,
// and a header lies between those of two bins, so neighbours are always of one bin.
type free struct {
	size  map[uint32]uint32 // of each, by its offset
	start map[uint32]uint32 // of each, by where it ends
	// lists has offsets by length, the last list those that are longer. What is no
	// longer free, or has another length now, is dropped when it is come across.
	lists [buckets + 1][]uint32
}

// newFree learns the free cells from the seams, which are known to be good.
func newFree(h *Hive) *free {
	f := &free{size: make(map[uint32]uint32), start: make(map[uint32]uint32)}
	bins := h.bins()
	for bin := uint32(0); bin < h.binsSize; {
		end := bin + get32(bins, int(bin)+8)
		for at := bin + binHeader; at < end; {
			size := get32(bins, int(at))
			if int32(size) > 0 {
				f.add(at, size)
			} else {
				size = -size
			}
			at += size
		}
		bin = end
	}
	return f
}

func bucket(size uint32) int { return int(min(size/8, buckets)) }

func (f *free) add(off, size uint32) {
	f.size[off], f.start[off+size] = size, off
	i := bucket(size)
	f.lists[i] = append(f.lists[i], off)
}

func (f *free) remove(off uint32) {
	delete(f.start, off+f.size[off])
	delete(f.size, off)
}

// take removes and returns the smallest cell of a length at least, and its length.
func (f *free) take(size uint32) (off, has uint32, ok bool) {
	for i := bucket(size); i < buckets; i++ {
		for list := f.lists[i]; len(list) > 0; list = f.lists[i] {
			off := list[len(list)-1]
			f.lists[i] = list[:len(list)-1]
			if has, ok := f.size[off]; ok && bucket(has) == i {
				f.remove(off)
				return off, has, true
			}
		}
	}
	long := slices.DeleteFunc(f.lists[buckets], func(off uint32) bool { return bucket(f.size[off]) != buckets })
	slices.Sort(long)
	f.lists[buckets] = slices.Compact(long)
	best := uint32(none)
	for _, o := range f.lists[buckets] {
		if n := f.size[o]; n >= size && n < best {
			off, best, ok = o, n, true
		}
	}
	if ok {
		f.remove(off)
	}
	return off, best, ok
}

// cellSize is the length of a cell for some content.
func cellSize(content int) uint32 { return (uint32(content) + 4 + 7) &^ 7 }

// alloc returns a new cell for some content, all zeros.
func (h *Hive) alloc(content int) (uint32, error) {
	if content > MaxSize-2*baseSize {
		return 0, errTooLarge
	}
	size := cellSize(content)
	off, has, ok := h.free.take(size)
	if !ok {
		var err error
		if off, has, err = h.newBin(size); err != nil {
			return 0, err
		}
	}
	h.seam(off, -size)
	if has > size {
		h.seam(off+size, has-size)
		h.free.add(off+size, has-size)
	}
	h.used.add(off)
	clear(h.at(off))
	return off, nil
}

// seam writes the length of a cell, which is negative if it is in use.
func (h *Hive) seam(off, size uint32) {
	h.save(baseSize+int(off), 4)
	put32(h.bins(), int(off), size)
}

// newBin puts a bin at the end of the others for a cell of some length, and returns
// the whole of it as one cell, and its length. What a file has behind its bins has no
// meaning.
func (h *Hive) newBin(cell uint32) (off, has uint32, err error) {
	bin := h.binsSize
	size := (uint64(cell) + binHeader + page - 1) &^ (page - 1)
	if baseSize+uint64(bin)+size > MaxSize {
		return 0, 0, errTooLarge
	}
	end := baseSize + int(bin) + int(size)
	if old := len(h.b); end > old {
		h.b = slices.Grow(h.b, end-old)[:end]
		clear(h.b[old:])
	}
	h.binsSize += uint32(size)
	h.used.grow(h.binsSize)
	pos := baseSize + int(bin)
	h.save(pos, binHeader)
	b := h.b[pos:]
	clear(b[:binHeader])
	copy(b, "hbin")
	put32(b, 4, bin)
	put32(b, 8, uint32(size))
	return bin + binHeader, uint32(size) - binHeader, nil
}

// release says that a cell is no longer needed. It becomes free when the change that is
// under way is done: until then what is in it may have to come back.
func (h *Hive) release(off uint32) { h.released = append(h.released, off) }

// makeFree makes a cell in use a free one, together with free neighbours.
func (h *Hive) makeFree(off uint32) {
	size := h.size(off)
	h.used.remove(off)
	end := off + size
	if n, ok := h.free.size[end]; ok {
		h.free.remove(end)
		size += n
	}
	if start, ok := h.free.start[off]; ok {
		size += h.free.size[start]
		h.free.remove(start)
		off = start
	}
	h.seam(off, size)
	h.free.add(off, size)
}
