package hive

import (
	"fmt"
	"slices"

	"github.com/portroom/portroom/registry"
)

const (
	// maxCellData is the longest data, in bytes, that Windows keeps in one cell: it
	// allocates none above 1 MiB (HSANE_CELL_MAX).
	maxCellData = 1 << 20
	// maxData is what the number of segments, of 16 bits, allows.
	maxData = 0xffff * maxSegment
)

// setValue writes one value of a key.
func (h *Hive) setValue(k key, n name, v registry.Value) error {
	most := maxCellData
	if h.minor >= minorBigData {
		most = maxData
	}
	if len(v.Data) > most {
		return fmt.Errorf("value %q of %d bytes: a hive of version 1.%d holds %d at most", v.Name, len(v.Data), h.minor, most)
	}
	old, _, ok, err := h.find(k, n)
	if err != nil {
		return err
	}
	off := old.off
	if !ok {
		if off, err = h.addValue(k.off, n); err != nil {
			return err
		}
	}
	if err := h.setData(off, v.Data); err != nil {
		return err
	}
	h.write32(off, vkType, uint32(v.Type))
	h.write16(off, vkFlags, get16(h.at(off), vkFlags)&vkNarrow)
	h.raise(k.off, nkMaxValue, n.wideLen())
	h.raise(k.off, nkMaxData, uint32(len(v.Data)))
	h.stamp(k.off)
	return nil
}

// addValue puts a value without data behind the others of a key.
func (h *Hive) addValue(k uint32, n name) (uint32, error) {
	off, err := h.alloc(vkName + len(n.raw))
	if err != nil {
		return 0, err
	}
	b := h.at(off)
	copy(b, "vk")
	put16(b, vkNameLength, uint16(len(n.raw)))
	put32(b, vkSize, inline)
	if n.narrow {
		put16(b, vkFlags, vkNarrow)
	}
	copy(b[vkName:], n.raw)

	count := get32(h.at(k), nkValues)
	list, err := h.resize(get32(h.at(k), nkValueList), int(count)*4, int(count+1)*4)
	if err != nil {
		return 0, err
	}
	h.write32(list, int(count)*4, off)
	h.write32(k, nkValueList, list)
	h.write32(k, nkValues, count+1)
	return off, nil
}

// resize returns a cell with place for more, which has what the one at off has. Where
// that one has no place it is released; where there is none yet, had is 0.
func (h *Hive) resize(off uint32, had, want int) (uint32, error) {
	if had > 0 && want <= len(h.at(off)) {
		return off, nil
	}
	// Some more, so that lists that grow by one are not copied each time.
	larger, err := h.alloc(want + want/8)
	if err != nil {
		return 0, err
	}
	if had > 0 {
		copy(h.at(larger), h.at(off)[:had])
		h.release(off)
	}
	return larger, nil
}

// setData gives a value other data.
func (h *Hive) setData(v uint32, b []byte) error {
	old, err := h.data(value{v, h.at(v)})
	if err != nil {
		return err
	}
	off := get32(h.at(v), vkData)
	alone := get32(h.at(v), vkSize)&inline == 0 && old.size > 0 && old.segments == nil
	switch {
	case len(b) <= 4:
		h.releaseData(v)
		var in [4]byte
		copy(in[:], b)
		h.write(v, vkData, in[:])
		h.write32(v, vkSize, uint32(len(b))|inline)
		return nil
	case alone && h.size(off) == cellSize(len(b)) && !h.segmented(len(b)):
		h.write(off, 0, b)
		h.write32(v, vkSize, uint32(len(b)))
		return nil
	}
	off, err = h.store(b)
	if err != nil {
		return err
	}
	h.releaseData(v)
	h.write32(v, vkData, off)
	h.write32(v, vkSize, uint32(len(b)))
	return nil
}

// segmented reports whether data of a length is cut up.
func (h *Hive) segmented(n int) bool { return h.minor >= minorBigData && n > maxSegment }

// store puts data, longer than four bytes, into new cells and returns the first.
func (h *Hive) store(b []byte) (uint32, error) {
	if !h.segmented(len(b)) {
		off, err := h.alloc(len(b))
		if err == nil {
			copy(h.at(off), b)
		}
		return off, err
	}
	table, err := h.alloc(8)
	if err != nil {
		return 0, err
	}
	n := (len(b) + maxSegment - 1) / maxSegment
	list, err := h.alloc(4 * n)
	if err != nil {
		return 0, err
	}
	copy(h.at(table), "db")
	put16(h.at(table), 2, uint16(n))
	put32(h.at(table), 4, list)
	i := 0
	for part := range slices.Chunk(b, maxSegment) {
		// Four bytes to spare, as a full segment's cell has: hivex and others take the
		// last eight bytes of a cell for none of the data.
		off, err := h.alloc(len(part) + 4)
		if err != nil {
			return 0, err
		}
		copy(h.at(off), part)
		put32(h.at(list), 4*i, off)
		i++
	}
	return table, nil
}

// releaseData releases the cells that a value's data lies in.
func (h *Hive) releaseData(v uint32) {
	size, off := get32(h.at(v), vkSize), get32(h.at(v), vkData)
	if size == 0 || size&inline != 0 {
		return
	}
	// It was found good before; what is not in one cell is in segments.
	if int64(size) > int64(len(h.at(off))) {
		list, n := get32(h.at(off), 4), int(get16(h.at(off), 2))
		for i := range n {
			h.release(get32(h.at(list), 4*i))
		}
		h.release(list)
	}
	h.release(off)
}

// removeValue removes the value that is the i-th of a key.
func (h *Hive) removeValue(k uint32, v value, i int) error {
	h.releaseData(v.off)
	h.release(v.off)
	list, count := get32(h.at(k), nkValueList), int(get32(h.at(k), nkValues))
	if count == 1 {
		h.release(list)
		h.write32(k, nkValueList, none)
		h.write32(k, nkMaxValue, 0)
		h.write32(k, nkMaxData, 0)
	} else {
		h.write(list, 4*i, slices.Clone(h.at(list)[4*(i+1):4*count]))
	}
	h.write32(k, nkValues, uint32(count-1))
	h.stamp(k)
	return nil
}
