// Package wide is UTF-16LE text as Windows keeps it: any sequence of 16-bit units.
//
// Halves of surrogate pairs, which are no characters, are kept in strings as the
// three bytes that UTF-8 would use if it had them. Such a string is no valid UTF-8.
package wide

import (
	"encoding/binary"
	"unicode/utf8"
)

// String decodes UTF-16LE. An odd byte at the end is dropped.
func String(b []byte) string {
	out := make([]byte, 0, len(b)/2)
	unit := func(i int) rune { return rune(binary.LittleEndian.Uint16(b[i:])) }
	for i := 0; i+1 < len(b); i += 2 {
		u := unit(i)
		if high(u) && i+3 < len(b) && low(unit(i+2)) {
			out = utf8.AppendRune(out, 0x10000+(u-0xd800)<<10+(unit(i+2)-0xdc00))
			i += 2
			continue
		}
		if high(u) || low(u) {
			out = append(out, 0xe0|byte(u>>12), 0x80|byte(u>>6&0x3f), 0x80|byte(u&0x3f))
			continue
		}
		out = utf8.AppendRune(out, u)
	}
	return string(out)
}

// Append appends the text as UTF-16LE. It reports false if there are bytes in it
// that [String] does not make; they become U+FFFD.
func Append(b []byte, s string) ([]byte, bool) {
	ok := true
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			if len(s) >= 3 && s[0] == 0xed && s[1]&0xe0 == 0xa0 && s[2]&0xc0 == 0x80 {
				r, n = 0xd000|rune(s[1]&0x3f)<<6|rune(s[2]&0x3f), 3
			} else {
				ok = false
			}
		}
		if r >= 0x10000 {
			r -= 0x10000
			b = binary.LittleEndian.AppendUint16(b, uint16(0xd800+r>>10))
			r = 0xdc00 + r&0x3ff
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
		s = s[n:]
	}
	return b, ok
}

func high(u rune) bool { return u >= 0xd800 && u < 0xdc00 }
func low(u rune) bool  { return u >= 0xdc00 && u < 0xe000 }
