package hive

import (
	"github.com/portroom/portroom/registry"
)

// Where the fields of a value are, in its cell.
const (
	vkNameLength = 2
	vkSize       = 4
	vkData       = 8 // offset of the data, or up to four bytes of it
	vkType       = 12
	vkFlags      = 16
	vkName       = 20

	vkNarrow = 1          // VALUE_COMP_NAME
	inline   = 0x80000000 // in vkSize

	// maxSegment is the most, in bytes, that one cell holds of a value's data since
	// version 1.4; longer data is cut up.
	maxSegment = 16344
)

// A value is a value's cell.
type value struct {
	off uint32
	b   []byte
}

// value returns the value at an offset that the cell at from names.
func (h *Hive) value(from, off uint32) (value, error) {
	b, err := h.cell(from, off)
	if err != nil {
		return value{}, err
	}
	v := value{off, b}
	switch {
	case len(b) < vkName || string(b[:2]) != "vk":
		return value{}, h.bad(off, "no value where one must be")
	case vkName+int(get16(b, vkNameLength)) > len(b):
		return value{}, h.bad(off, "the name of the value does not fit into its cell")
	case !v.name().narrow && get16(b, vkNameLength)%2 != 0:
		return value{}, h.bad(off, "the name of the value is half a character too long")
	}
	return v, nil
}

func (v value) get(at int) uint32 { return get32(v.b, at) }

func (v value) name() name {
	return name{v.b[vkName:][:get16(v.b, vkNameLength)], get16(v.b, vkFlags)&vkNarrow != 0}
}

// valueList returns the cell with the offsets of a key's values.
func (h *Hive) valueList(k key) ([]byte, error) {
	n := k.values()
	if n == 0 {
		return nil, nil
	}
	off := k.get(nkValueList)
	b, err := h.cell(k.off, off)
	if err != nil {
		return nil, err
	}
	if int64(n)*4 > int64(len(b)) {
		return nil, h.bad(off, "a list of %d values does not fit into its cell", n)
	}
	return b[:4*n], nil
}

// find returns the value of a name, its place in the list, and whether there is one.
func (h *Hive) find(k key, n name) (value, int, bool, error) {
	list, err := h.valueList(k)
	if err != nil {
		return value{}, 0, false, err
	}
	for i := 0; i < len(list)/4; i++ {
		v, err := h.value(k.get(nkValueList), get32(list, 4*i))
		if err != nil {
			return value{}, 0, false, err
		}
		if v.name().same(n) {
			return v, i, true, nil
		}
	}
	return value{}, 0, false, nil
}

// A data is where the data of a value lies.
type data struct {
	whole    []byte // if it is in one place
	size     int
	table    uint32 // cell that names the list of segments, if it is in many
	list     uint32
	segments []byte // offsets of the cells
}

// data returns where the data of a value lies, having checked that it is there.
func (h *Hive) data(v value) (data, error) {
	size, off := v.get(vkSize), v.get(vkData)
	switch {
	case size&inline != 0:
		if size &^= inline; size > 4 {
			return data{}, h.bad(v.off, "the value says that %d bytes lie in it, where 4 have place", size)
		}
		return data{whole: v.b[vkData:][:size], size: int(size)}, nil
	case size == 0:
		return data{}, nil
	}
	b, err := h.cell(v.off, off)
	if err != nil {
		return data{}, err
	}
	if int64(size) <= int64(len(b)) {
		return data{whole: b[:size], size: int(size)}, nil
	}
	if string(b[:2]) != "db" || len(b) < 8 {
		return data{}, h.bad(v.off, "data of %d bytes, in a cell of %d", size, len(b))
	}
	return h.segments(off, b, size)
}

// segments checks the list of segments that the table in the cell at off names. What
// it adds up to cannot be more than the hive has, if no cell is named twice. There may
// be more segments than are needed: chntpw adds one without data.
func (h *Hive) segments(off uint32, table []byte, size uint32) (data, error) {
	d := data{size: int(size), table: off, list: get32(table, 4)}
	list, err := h.cell(off, d.list)
	if err != nil {
		return data{}, err
	}
	n := int(get16(table, 2))
	if want := (int64(size) + maxSegment - 1) / maxSegment; int64(n) < want || 4*n > len(list) || size > h.binsSize {
		return data{}, h.bad(off, "data of %d bytes in %d segments of %d, named in a cell of %d bytes", size, n, maxSegment, len(list))
	}
	d.segments = list[:4*n]
	left := d.size
	for i := range n {
		b, err := h.cell(d.list, get32(d.segments, 4*i))
		if err != nil {
			return data{}, err
		}
		if part := min(left, maxSegment); part > len(b) {
			return data{}, h.bad(get32(d.segments, 4*i), "a segment of %d bytes, in a cell of %d", part, len(b))
		}
		left -= min(left, maxSegment)
	}
	return d, nil
}

// read returns a copy of the data.
func (h *Hive) read(d data) []byte {
	out := make([]byte, 0, d.size)
	if d.segments == nil {
		return append(out, d.whole...)
	}
	for i := 0; i < len(d.segments)/4; i++ {
		b := h.at(get32(d.segments, 4*i))
		out = append(out, b[:min(d.size-len(out), maxSegment)]...)
	}
	return out
}

// content is the value as others see it.
func (h *Hive) content(v value) (registry.Value, error) {
	d, err := h.data(v)
	if err != nil {
		return registry.Value{}, err
	}
	return registry.Value{Name: v.name().String(), Type: registry.Type(v.get(vkType)), Data: h.read(d)}, nil
}
