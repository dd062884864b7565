package hive

import (
	"unicode"

	"github.com/portroom/portroom/registry/internal/wide"
)

// upper is the capital of a character as RtlUpcaseUnicodeChar has it: where capital
// and small letter lead to each other. Windows keeps the micro sign, the dotless i,
// the long s and others as they are, although Unicode knows a capital for them.
func upper(u uint16) uint16 {
	if u < 0x80 {
		if 'a' <= u && u <= 'z' {
			u -= 'a' - 'A'
		}
		return u
	}
	up := unicode.ToUpper(rune(u))
	if up > 0xffff || unicode.ToLower(up) != rune(u) {
		return u
	}
	return uint16(up)
}

// A name is what a key or value is called, in a cell: one byte for each character
// if all are below 256, as most are, or UTF-16LE.
type name struct {
	raw    []byte
	narrow bool
}

func (n name) len() int {
	if n.narrow {
		return len(n.raw)
	}
	return len(n.raw) / 2
}

func (n name) unit(i int) uint16 {
	if n.narrow {
		return uint16(n.raw[i])
	}
	return get16(n.raw, 2*i)
}

func (n name) String() string {
	if !n.narrow {
		return wide.String(n.raw)
	}
	ascii := true
	for _, c := range n.raw {
		ascii = ascii && c < 0x80
	}
	if ascii {
		return string(n.raw)
	}
	r := make([]rune, len(n.raw))
	for i, c := range n.raw {
		r[i] = rune(c)
	}
	return string(r)
}

// compare orders names as the lists of subkeys are ordered, by the numbers of their
// characters in capitals. 0 are names that are the same to Windows.
func (n name) compare(m name) int {
	a, b := n.len(), m.len()
	for i := range min(a, b) {
		x, y := n.unit(i), m.unit(i)
		if x == y {
			continue
		}
		if x, y = upper(x), upper(y); x != y {
			return int(x) - int(y)
		}
	}
	return a - b
}

// same reports whether the names are the same to Windows. Names side by side often
// differ at the end only.
func (n name) same(m name) bool {
	if n.len() != m.len() {
		return false
	}
	for i := n.len() - 1; i >= 0; i-- {
		if x, y := n.unit(i), m.unit(i); x != y && upper(x) != upper(y) {
			return false
		}
	}
	return true
}

// hash is the hash that lists of subkeys have since Windows XP.
func (n name) hash() uint32 {
	var h uint32
	for i := range n.len() {
		h = 37*h + uint32(upper(n.unit(i)))
	}
	return h
}

// hint is the beginning of the name that older lists of subkeys have. A character
// that has no place in it ends Windows' own writing, which goes from the fourth to
// the first.
func (n name) hint() (h [4]byte) {
	for i := min(4, n.len()) - 1; i >= 0; i-- {
		u := n.unit(i)
		if u > 0xff {
			break
		}
		h[i] = byte(u)
	}
	return h
}

// wideLen is the length of the name in UTF-16, in bytes: what maxima are made of.
func (n name) wideLen() uint32 { return 2 * uint32(n.len()) }

// encodeName returns a name in the shorter of its two forms. It reports false if it
// is no text.
func encodeName(s string) (name, bool) {
	raw, ok := wide.Append(make([]byte, 0, 2*len(s)), s)
	n := name{raw: raw}
	for i := range n.len() {
		if n.unit(i) > 0xff {
			return n, ok
		}
	}
	short := make([]byte, n.len())
	for i := range short {
		short[i] = raw[2*i]
	}
	return name{short, true}, ok
}
