package regtext

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/portroom/portroom/registry/internal/wide"
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
		return wide.String(b), UTF16, nil
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
		b, _ := wide.Append(append([]byte(nil), bomUTF16LE...), s)
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
		_, ok := wide.Append(nil, s)
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
