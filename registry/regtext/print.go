package regtext

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/internal/wide"
)

// lineLength is the column, in UTF-16 units, from which on regedit goes on in the
// next line (as seen in files that Wine's regedit writes).
const lineLength = 77

// Print writes the file. The error says what cannot be written in its form: a
// character that is not in Windows-1252 if that is its encoding or its version
// REGEDIT4, a zero or a line end in a name.
func (f *File) Print() ([]byte, error) {
	eol := "\r\n"
	if f.LF {
		eol = "\n"
	}
	if f.Version != Version5 && f.Version != REGEDIT4 {
		return nil, fmt.Errorf("write .reg file: unknown %v", f.Version)
	}
	var b strings.Builder
	line := func(s string) { b.WriteString(s); b.WriteString(eol) }
	line(f.Version.String())
	for _, k := range f.Keys {
		b.WriteString(eol)
		if err := f.comments(line, k.Comments); err != nil {
			return nil, err
		}
		if err := f.checkPath(k.Path); err != nil {
			return nil, fmt.Errorf("write .reg file: %w", err)
		}
		if k.Deleted {
			if len(k.Entries) > 0 {
				return nil, fmt.Errorf("write .reg file: key %q is deleted and has values", k.Path)
			}
			line("[-" + k.Path + "]")
			continue
		}
		line("[" + k.Path + "]")
		for _, e := range k.Entries {
			if err := f.comments(line, e.Comments); err != nil {
				return nil, err
			}
			text, err := f.entry(e, eol)
			if err != nil {
				return nil, fmt.Errorf("write .reg file: key %q: %w", k.Path, err)
			}
			line(text)
		}
	}
	b.WriteString(eol)
	if err := f.comments(line, f.End); err != nil {
		return nil, err
	}
	out, err := f.encode(b.String())
	if err != nil {
		return nil, fmt.Errorf("write .reg file: %w", err)
	}
	return out, nil
}

func (f *File) comments(line func(string), list []string) error {
	for _, c := range list {
		if !comment(c) || strings.ContainsAny(c, "\n\x00") || strings.HasSuffix(c, "\r") || !f.takes(c) {
			return fmt.Errorf("write .reg file: %q is no comment of one line in %v", c, f.Encoding)
		}
		line(c)
	}
	return nil
}

// checkPath says whether a file of this form can hold the path of a key.
func (f Form) checkPath(path string) error {
	switch {
	case strings.Trim(path, `\`) == "" || strings.HasPrefix(path, "-"):
		return fmt.Errorf("%q is no path of a key", path)
	case strings.Count(path, `\`) >= maxDepth:
		return fmt.Errorf("key %.60q… lies below %d others, more than Windows allows", path, maxDepth)
	case strings.ContainsAny(path, "\r\n\x00"):
		return fmt.Errorf("key %q has a line end or a zero in its name: a .reg file cannot hold that", path)
	case !f.takes(path):
		return fmt.Errorf("key %q cannot be written in %v", path, f.Encoding)
	}
	return nil
}

// checkValue says whether a file of this form can hold the value.
func (f Form) checkValue(v registry.Value) error {
	_, err := f.entry(Entry{Value: v}, "\n")
	return err
}

func (f Form) entry(e Entry, eol string) (string, error) {
	if strings.ContainsRune(e.Name, 0) {
		return "", fmt.Errorf("value %q has a zero in its name: a .reg file cannot hold that", e.Name)
	}
	if !f.takes(e.Name) {
		return "", fmt.Errorf("the name of value %q cannot be written in %v", e.Name, f.Encoding)
	}
	left := "@="
	if e.Name != "" {
		left = `"` + escape.Replace(e.Name) + `"=`
	}
	if e.Deleted {
		return left + "-", nil
	}
	switch {
	case e.Type == registry.SZ:
		if s, ok := f.quotable(e.Data); ok && plain(s) {
			return left + `"` + escape.Replace(s) + `"`, nil
		}
	case e.Type == registry.DWORD && len(e.Data) == 4:
		return fmt.Sprintf("%sdword:%08x", left, binary.LittleEndian.Uint32(e.Data)), nil
	}
	data := e.Data
	if f.Version == REGEDIT4 && isText(e.Type) {
		var ok bool
		if data, ok = toANSI(wide.String(data)); !ok || len(e.Data)%2 != 0 {
			// A REGEDIT4 file in Unicode holds more between quotation marks than in bytes.
			if s, ok := f.quotable(e.Data); ok && e.Type == registry.SZ {
				return left + `"` + escape.Replace(s) + `"`, nil
			}
			return "", fmt.Errorf("the text of value %q cannot be written in a REGEDIT4 file, which is ANSI (Windows-1252): use version 5.00", e.Name)
		}
	}
	if e.Type == registry.Binary {
		return hexText(left+"hex:", data, eol), nil
	}
	return hexText(fmt.Sprintf("%shex(%x):", left, uint32(e.Type)), data, eol), nil
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\x00", `\0`)

// quotable returns the text of a REG_SZ, without the zero that ends it, if it can
// stand between quotation marks.
func (f Form) quotable(data []byte) (string, bool) {
	s, zero := strings.CutSuffix(wide.String(data), "\x00")
	return s, zero && len(data)%2 == 0 && f.takes(s)
}

// plain reports whether every reader of .reg files sees the same text: they treat
// line ends, zeros and halves of surrogate pairs differently. Such text is better
// written as bytes.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' })
}

func hexText(left string, data []byte, eol string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, len(left)+len(data)*4)
	b = append(b, left...)
	units, _ := wide.Append(nil, left)
	column := len(units) / 2
	for i, c := range data {
		b = append(b, digits[c>>4], digits[c&15])
		if i == len(data)-1 {
			break
		}
		b = append(b, ',')
		if column += 3; column >= lineLength {
			b = append(b, '\\')
			b = append(b, eol...)
			b = append(b, "  "...)
			column = 2
		}
	}
	return string(b)
}
