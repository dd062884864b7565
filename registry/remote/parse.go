package remote

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/portroom/portroom/registry"
)

// What net(8) prints is in part the host's own text: names may hold quotes, line
// breaks and what looks like another line of the output. Nothing here panics or
// grows beyond what it reads.

// maxName bounds a name: Windows has 16,383 characters for values and 255 for
// keys, of up to 4 bytes each in UTF-8.
const maxName = 4 * 16383

// errCut says that the output ended before it was complete.
var errCut = errors.New("the answer ends in the middle")

// parseExport reads the values of the first key of a .reg file as `net rpc
// registry export` writes it with flags=7: every value in hexadecimal, whatever
// its type. more says that another key follows, so that this one's values are
// complete; without it they are if the closing comment was there, else the error
// is errCut.
func parseExport(r io.Reader) (values []registry.Value, more bool, err error) {
	p := exportParser{bufio.NewReaderSize(r, 64<<10)}
	if err := p.header(); err != nil {
		return nil, false, err
	}
	for {
		c, err := p.ReadByte()
		if err != nil {
			return nil, false, cut(err)
		}
		var v registry.Value
		switch c {
		case '\n':
			continue
		case '[':
			return values, true, nil
		case ';':
			return values, false, nil
		case '@':
		case '"':
			if v.Name, err = p.quoted(); err != nil {
				return nil, false, err
			}
		default:
			return nil, false, unexpected("a value's line", c)
		}
		if err := p.expect("=hex"); err != nil {
			return nil, false, err
		}
		if v.Type, err = p.typ(); err != nil {
			return nil, false, err
		}
		if v.Data, err = p.hex(); err != nil {
			return nil, false, err
		}
		values = append(values, v)
	}
}

type exportParser struct{ *bufio.Reader }

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return errCut
	}
	return err
}

func unexpected(where string, c byte) error {
	return fmt.Errorf("the answer of net(8) holds %q in %s", c, where)
}

// header passes over the first lines, to the end of the line that names the key.
func (p exportParser) header() error {
	for start := true; ; {
		c, err := p.ReadByte()
		if err != nil {
			return cut(err)
		}
		if start && c == '[' {
			break
		}
		start = c == '\n'
	}
	for {
		c, err := p.ReadByte()
		if err != nil {
			return cut(err)
		}
		if c == '\n' {
			return nil
		}
	}
}

func (p exportParser) quoted() (string, error) {
	var b strings.Builder
	for b.Len() <= maxName {
		c, err := p.ReadByte()
		if err != nil {
			return "", cut(err)
		}
		switch c {
		case '"':
			return b.String(), nil
		case '\\':
			if c, err = p.ReadByte(); err != nil {
				return "", cut(err)
			}
		}
		b.WriteByte(c)
	}
	return "", errors.New("the answer of net(8) holds a name that is too long")
}

func (p exportParser) expect(text string) error {
	for i := range len(text) {
		c, err := p.ReadByte()
		if err != nil {
			return cut(err)
		}
		if c != text[i] {
			return unexpected("a value's line", c)
		}
	}
	return nil
}

// typ reads ":" or "(1a):".
func (p exportParser) typ() (registry.Type, error) {
	c, err := p.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	if c == ':' {
		return registry.Binary, nil
	}
	if c != '(' {
		return 0, unexpected("a type", c)
	}
	var t uint32
	for digits := 0; ; digits++ {
		if c, err = p.ReadByte(); err != nil {
			return 0, cut(err)
		}
		if c == ')' && digits > 0 {
			return registry.Type(t), p.expect(":")
		}
		n, ok := digit(c)
		if !ok || digits == 8 {
			return 0, unexpected("a type", c)
		}
		t = t<<4 | uint32(n)
	}
}

// hex reads "00,01,02" to the end of its line; a backslash before a line's end
// continues it.
func (p exportParser) hex() ([]byte, error) {
	data := []byte{}
	for {
		c, err := p.ReadByte()
		if err != nil {
			return nil, cut(err)
		}
		switch c {
		case '\n':
			return data, nil
		case ',', ' ':
			continue
		case '\\':
			if err := p.expect("\n"); err != nil {
				return nil, err
			}
			continue
		}
		high, ok := digit(c)
		if !ok {
			return nil, unexpected("a value's data", c)
		}
		if c, err = p.ReadByte(); err != nil {
			return nil, cut(err)
		}
		low, ok := digit(c)
		if !ok {
			return nil, unexpected("a value's data", c)
		}
		data = append(data, high<<4|low)
	}
}

func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// appendImport appends the text of a .reg file that sets one value.
func appendImport(b []byte, path string, v registry.Value) []byte {
	b = fmt.Appendf(b, "Windows Registry Editor Version 5.00\n\n[%s]\n", path)
	if v.Name == "" {
		b = append(b, '@')
	} else {
		b = append(b, '"')
		b = append(b, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v.Name)...)
		b = append(b, '"')
	}
	b = fmt.Appendf(b, "=hex(%x):", uint32(v.Type))
	for i, c := range v.Data {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%02x", c)
	}
	// Samba takes a value in when it has seen the line after it.
	return append(b, "\n;\n"...)
}

// keyBlock is one key in the output of `net rpc registry enumerate`; the time is
// that of the last change.
var keyBlock = regexp.MustCompile(`(?s)\AKeyname   = (.*?)\nModtime   = [^\n]*\n\n`)

// parseKeys reads the names of the keys from the output of `net rpc registry
// enumerate`, in English. The values come after them.
func parseKeys(text string) ([]string, error) {
	var names []string
	for text != "" && !strings.HasPrefix(text, "Valuename  = ") {
		m := keyBlock.FindStringSubmatchIndex(text)
		if m == nil {
			return nil, errCut
		}
		name := text[m[2]:m[3]]
		if name == "" || len(name) > maxName || strings.Contains(name, `\`) {
			return nil, fmt.Errorf("the host has a key of the name %.100q, which cannot be", name)
		}
		names = append(names, name)
		text = text[m[1]:]
	}
	return names, nil
}
