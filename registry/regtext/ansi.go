package regtext

import (
	"strings"
	"unicode/utf8"
)

// upper is what the bytes 0x80 to 0x9f of Windows-1252 stand for; all others
// are the code points of the same number. The five that the code page leaves free
// are the control characters of the same number, as in Windows' own conversion
// (bestfit1252.txt at unicode.org) and in index-windows-1252.txt of the WHATWG.
var upper = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

func fromANSI(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		if c >= 0x80 && c < 0xa0 {
			s.WriteRune(upper[c-0x80])
		} else {
			s.WriteRune(rune(c))
		}
	}
	return s.String()
}

// toANSI reports false if the text has a character that is not in Windows-1252.
func toANSI(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
next:
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			return nil, false
		case r < 0x80 || r >= 0xa0 && r <= 0xff:
			b = append(b, byte(r))
			continue
		}
		for j, u := range upper {
			if u == r {
				b = append(b, byte(0x80+j))
				continue next
			}
		}
		return nil, false
	}
	return b, true
}
