package regtext

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/internal/wide"
)

// A SyntaxError says where a file is not a .reg file.
type SyntaxError struct {
	Line int // from 1 on
	What string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

// Parse reads a file. The error is a [SyntaxError].
//
// It is stricter than regedit, which passes over what it does not understand: a
// file that says something else than its reader sees is refused.
func Parse(b []byte) (*File, error) {
	s, encoding, err := text(b)
	if err != nil {
		return nil, &SyntaxError{1, err.Error()}
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return nil, &SyntaxError{1 + strings.Count(s[:i], "\n"), "a zero character: this is no text"}
	}
	p := parser{s: s, line: 1}
	p.f.Encoding = encoding
	if err := p.header(); err != nil {
		return nil, err
	}
	for p.s != "" {
		if err := p.instruction(); err != nil {
			return nil, err
		}
	}
	p.f.End = p.comments
	return &p.f, nil
}

type parser struct {
	s        string // what is left
	line     int    // of the first character of s
	f        File
	comments []string // that belong to the next instruction
}

func (p *parser) errorf(format string, args ...any) error {
	return &SyntaxError{p.line, fmt.Sprintf(format, args...)}
}

// take returns the rest of the line without its end.
func (p *parser) take() string {
	line, rest, ended := strings.Cut(p.s, "\n")
	if ended {
		p.line++
	}
	p.s = rest
	return strings.TrimRight(line, "\r")
}

// blanks skips white space within the line.
func (p *parser) blanks() { p.s = strings.TrimLeft(p.s, " \t\r") }

// end takes what may follow an instruction: white space and a comment.
func (p *parser) end() error {
	p.blanks()
	switch {
	case p.s == "" || p.s[0] == '\n':
		p.take()
	case comment(p.s):
		p.comments = append(p.comments, p.take())
	default:
		return p.errorf("unexpected %s", excerpt(p.s))
	}
	return nil
}

// comment reports whether a line is one: Wine takes number signs for comments, too.
func comment(s string) bool { return s != "" && (s[0] == ';' || s[0] == '#') }

// excerpt is the beginning of the line for an error.
func excerpt(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s[:min(len(s), 200)]); len(r) > 30 {
		s = string(r[:30]) + "…"
	}
	if s = strings.TrimRight(s, " \t\r"); s == "" {
		return "the end of the line"
	}
	return strconv.Quote(s)
}

func (p *parser) header() error {
	first, _, _ := strings.Cut(p.s, "\n")
	p.f.LF = strings.Contains(p.s, "\n") && !strings.HasSuffix(first, "\r")
	for v, h := range headers {
		if strings.TrimRight(first, " \t\r") == h {
			p.f.Version = Version(v)
			p.take()
			return nil
		}
	}
	return p.errorf("not a .reg file: it begins with %s, not with %q or %q", excerpt(first), headers[Version5], headers[REGEDIT4])
}

func (p *parser) instruction() error {
	p.blanks()
	switch {
	case p.s == "":
		return nil
	case p.s[0] == '\n':
		p.take()
		return nil
	case comment(p.s):
		p.comments = append(p.comments, p.take())
		return nil
	case p.s[0] == '[':
		return p.key()
	case p.s[0] == '"' || p.s[0] == '@':
		return p.entry()
	}
	return p.errorf("%s is no key in brackets, no value and no comment", excerpt(p.s))
}

// key reads [path] or [-path]. A path may have brackets in it.
func (p *parser) key() error {
	line, _, _ := strings.Cut(p.s, "\n")
	end := strings.LastIndexByte(line, ']')
	if end < 0 {
		return p.errorf("the key's closing bracket is missing: %s", excerpt(line))
	}
	path, deleted := strings.CutPrefix(line[1:end], "-")
	if strings.Trim(path, `\`) == "" || strings.HasPrefix(path, "-") || strings.Contains(path, "\r") {
		return p.errorf("no name of a key: %s", excerpt(line))
	}
	if strings.Count(path, `\`) >= maxDepth {
		return p.errorf("a key below %d others, more than Windows allows", maxDepth)
	}
	p.s = p.s[end+1:]
	k := &Key{Path: path, Deleted: deleted}
	if err := p.end(); err != nil {
		return err
	}
	k.Comments, p.comments = p.comments, nil
	p.f.Keys = append(p.f.Keys, k)
	return nil
}

// entry reads "name"=data, @=data, "name"=- or @=-.
func (p *parser) entry() error {
	if len(p.f.Keys) == 0 {
		return p.errorf("a value before the first key: %s", excerpt(p.s))
	}
	k := p.f.Keys[len(p.f.Keys)-1]
	if k.Deleted {
		return p.errorf("a value of a key that is deleted: %s", excerpt(p.s))
	}
	var e Entry
	if p.s[0] == '@' {
		p.s = p.s[1:]
	} else {
		name, err := p.quoted()
		if err != nil {
			return err
		}
		if strings.ContainsRune(name, 0) {
			return p.errorf("a zero in the name of a value")
		}
		e.Name = name
	}
	p.blanks()
	if !strings.HasPrefix(p.s, "=") {
		return p.errorf("want = after the name of value %q, not %s", e.Name, excerpt(p.s))
	}
	p.s = p.s[1:]
	p.blanks()
	if strings.HasPrefix(p.s, "-") {
		p.s = p.s[1:]
		e.Deleted = true
	} else if err := p.data(&e.Value); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	e.Comments, p.comments = p.comments, nil
	k.Entries = append(k.Entries, e)
	return nil
}

// quoted reads a text in quotation marks. It may go over several lines: that is how
// regedit writes line ends.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	rest := p.s[1:]
	for {
		i := strings.IndexAny(rest, `"\`)
		if i < 0 {
			return "", p.errorf("the closing quotation mark is missing: %s", excerpt(p.s))
		}
		b.WriteString(rest[:i])
		if rest[i] == '"' {
			whole := p.s[:len(p.s)-len(rest)+i+1]
			p.line += strings.Count(whole, "\n")
			p.s = p.s[len(whole):]
			return b.String(), nil
		}
		if i+1 == len(rest) {
			return "", p.errorf("the closing quotation mark is missing: %s", excerpt(p.s))
		}
		switch c := rest[i+1]; c {
		case '\\', '"':
			b.WriteByte(c)
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case '0':
			b.WriteByte(0)
		default:
			p.line += strings.Count(p.s[:len(p.s)-len(rest)+i], "\n")
			return "", p.errorf(`unknown escape %s: write \\ for a backslash`, excerpt(rest[i:min(len(rest), i+2)]))
		}
		rest = rest[i+2:]
	}
}

// data reads what follows the equals sign.
func (p *parser) data(v *registry.Value) error {
	switch {
	case strings.HasPrefix(p.s, `"`):
		s, err := p.quoted()
		if err != nil {
			return err
		}
		v.Type = registry.SZ
		v.Data, _ = wide.Append(nil, s+"\x00")
		return nil
	case prefixFold(p.s, "dword:"):
		p.s = p.s[len("dword:"):]
		p.blanks()
		digits := p.digits()
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || len(digits) > 8 {
			return p.errorf("want one to eight hexadecimal digits after dword:, not %s", excerpt(digits+p.s))
		}
		v.Type, v.Data = registry.DWORD, binary.LittleEndian.AppendUint32(nil, uint32(n))
		return nil
	case prefixFold(p.s, "hex:"):
		p.s = p.s[len("hex:"):]
		v.Type = registry.Binary
	case prefixFold(p.s, "hex("):
		p.s = p.s[len("hex("):]
		digits := p.digits()
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || !strings.HasPrefix(p.s, "):") {
			return p.errorf("want the number of a type, as in hex(7):, not hex(%s", excerpt(digits+p.s))
		}
		p.s = p.s[len("):"):]
		v.Type = registry.Type(n)
	default:
		return p.errorf(`want the data of value %q as "text", dword:, hex: or hex(type):, not %s`, v.Name, excerpt(p.s))
	}
	b, err := p.hex()
	if err != nil {
		return err
	}
	if p.f.Version == REGEDIT4 && isText(v.Type) {
		b, _ = wide.Append(make([]byte, 0, 2*len(b)), fromANSI(b))
	}
	v.Data = b
	return nil
}

// isText reports whether REGEDIT4 holds a type's bytes in ANSI.
func isText(t registry.Type) bool {
	return t == registry.SZ || t == registry.ExpandSZ || t == registry.MultiSZ
}

func prefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// digits takes hexadecimal digits.
func (p *parser) digits() string {
	n := 0
	for n < len(p.s) && hexDigit(p.s[n]) >= 0 {
		n++
	}
	d := p.s[:n]
	p.s = p.s[n:]
	return d
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// hex takes bytes parted by commas, over several lines where a line ends in a
// backslash.
func (p *parser) hex() ([]byte, error) {
	b := []byte{}
	for comma := false; ; {
		p.blanks()
		switch {
		case strings.HasPrefix(p.s, `\`):
			p.s = p.s[1:]
			if err := p.end(); err != nil {
				return nil, err
			}
			for p.blanks(); comment(p.s); p.blanks() {
				p.comments = append(p.comments, p.take())
			}
			// The next line must go on, or the value that was meant is longer.
			if p.s == "" || hexDigit(p.s[0]) < 0 {
				return nil, p.errorf("the bytes break off before %s", excerpt(p.s))
			}
			continue
		case p.s == "" || hexDigit(p.s[0]) < 0:
			if comma {
				return nil, p.errorf("the bytes break off before %s", excerpt(p.s))
			}
			return b, nil
		}
		if len(b) > 0 && !comma {
			return nil, p.errorf("want a comma before %s", excerpt(p.s))
		}
		n := hexDigit(p.s[0])
		p.s = p.s[1:]
		if p.s != "" && hexDigit(p.s[0]) >= 0 {
			n = n<<4 | hexDigit(p.s[0])
			p.s = p.s[1:]
		}
		b = append(b, byte(n))
		p.blanks()
		if comma = strings.HasPrefix(p.s, ","); comma {
			p.s = p.s[1:]
		}
	}
}
