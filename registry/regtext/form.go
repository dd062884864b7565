package regtext

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Form is how a file is written.
type Form struct {
	Version  Version
	Encoding Encoding
	LF       bool // lines end in LF, not in CR LF
}

// Version is what the first line of a file says.
type Version int

// The versions.
const (
	Version5 Version = iota // Windows 2000 and later
	REGEDIT4                // Windows 95, NT 4.0 and later
)

var headers = [...]string{"Windows Registry Editor Version 5.00", "REGEDIT4"}

// String returns the first line of such a file.
func (v Version) String() string {
	if v < 0 || int(v) >= len(headers) {
		return fmt.Sprintf("version %d", int(v))
	}
	return headers[v]
}

// Encoding is how a file's characters are stored.
type Encoding int

// The encodings.
const (
	UTF16   Encoding = iota // UTF-16LE with a byte order mark
	UTF8                    // UTF-8 without a byte order mark
	UTF8BOM                 // UTF-8 with a byte order mark
	ANSI                    // taken for Windows-1252
)

var encodings = [...]string{"UTF-16LE", "UTF-8", "UTF-8 with byte order mark", "ANSI (taken for Windows-1252)"}

// String names the encoding for people.
func (e Encoding) String() string {
	if e < 0 || int(e) >= len(encodings) {
		return fmt.Sprintf("encoding %d", int(e))
	}
	return encodings[e]
}

var (
	bomUTF16LE = []byte{0xff, 0xfe}
	bomUTF16BE = []byte{0xfe, 0xff}
	bomUTF8    = []byte{0xef, 0xbb, 0xbf}
)

// text decodes a file. Without a byte order mark it is ANSI if it is REGEDIT4, and
// otherwise UTF-8 if it can be.
func text(b []byte) (string, Encoding, error) {
	switch {
	case bytes.HasPrefix(b, bomUTF16LE):
		b = b[len(bomUTF16LE):]
		if len(b)%2 != 0 {
			return "", 0, errors.New("UTF-16 text of an odd number of bytes: the file is cut off")
		}
		return fromUTF16(b), UTF16, nil
	case bytes.HasPrefix(b, bomUTF16BE):
		return "", 0, errors.New("UTF-16 text with the high byte first: save it as UTF-16LE or UTF-8")
	case bytes.HasPrefix(b, bomUTF8):
		b = b[len(bomUTF8):]
		if !utf8.Valid(b) {
			return "", 0, errors.New("a UTF-8 byte order mark, but no UTF-8 text: save it as UTF-16LE or UTF-8")
		}
		return string(b), UTF8BOM, nil
	case len(b) > 1 && (b[0] == 0 || b[1] == 0):
		return "", 0, errors.New("UTF-16 text without a byte order mark: save it as UTF-16LE with one, or as UTF-8")
	case bytes.HasPrefix(b, []byte(headers[REGEDIT4])) || !utf8.Valid(b):
		return fromANSI(b), ANSI, nil
	}
	return string(b), UTF8, nil
}

// encode is the inverse of text for a whole file.
func (f Form) encode(s string) ([]byte, error) {
	switch f.Encoding {
	case UTF16:
		b, _ := toUTF16(append([]byte(nil), bomUTF16LE...), s)
		return b, nil
	case UTF8:
		if f.Version == REGEDIT4 && !ascii(s) {
			return nil, errors.New("a REGEDIT4 file without a byte order mark is ANSI: choose another encoding")
		}
		return []byte(s), nil
	case UTF8BOM:
		return append(append([]byte(nil), bomUTF8...), s...), nil
	case ANSI:
		b, ok := toANSI(s)
		if !ok {
			return nil, errors.New("a character that is not in Windows-1252")
		}
		if f.Version != REGEDIT4 && utf8.Valid(b) && !ascii(s) {
			return nil, errors.New("as ANSI the file would be taken for UTF-8: choose another encoding")
		}
		return b, nil
	}
	return nil, fmt.Errorf("unknown %v", f.Encoding)
}

// takes reports whether the text can be part of such a file.
func (f Form) takes(s string) bool {
	switch f.Encoding {
	case UTF16:
		_, ok := toUTF16(nil, s)
		return ok
	case ANSI:
		_, ok := toANSI(s)
		return ok
	}
	return utf8.ValidString(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fromUTF16 decodes UTF-16LE, the halves of surrogate pairs into three bytes each.
func fromUTF16(b []byte) string {
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

// toUTF16 appends the text as UTF-16LE. It reports false if there are bytes in it
// that fromUTF16 does not make; they become U+FFFD.
func toUTF16(b []byte, s string) ([]byte, bool) {
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
