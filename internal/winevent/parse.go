package winevent

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// Limits on what comes from outside. An entry of the log is 64 KiB at most
// (MS-EVEN6), its XML a small multiple of that.
const (
	mostEvent      = 1 << 20 // bytes of one event as UTF-8
	mostDepth      = 32      // elements within each other
	mostParameters = 16
	mostText       = 256 // bytes of one parameter or name
)

// ReadFile sums up a file that `wevtutil qe System /f:xml` wrote.
func ReadFile(name string) (*Log, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// Read sums up a stream of events.
func Read(r io.Reader) (*Log, error) {
	l := &Log{}
	total, err := Each(r, func(e *Event) error {
		l.add(e)
		return nil
	})
	l.Total = total
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Each calls fn for every event of a stream that concerns ports, and returns how
// many of any kind there were. The stream is what wevtutil prints: <Event>
// elements one after another, with or without an element around all of them, in
// UTF-8, in UTF-16 with or without a byte order mark, or in an 8-bit code page,
// of which only ASCII is understood. The event is reused from call to call.
//
// A stream without any event is an error unless it is blank, which is what
// wevtutil prints when nothing matches.
func Each(r io.Reader, fn func(*Event) error) (total int, err error) {
	text, err := utf8Reader(r)
	if err != nil {
		return 0, err
	}
	in := &bounded{r: text, left: mostEvent}
	p := &parser{d: xml.NewDecoder(in), in: in}
	// The bytes are UTF-8 by now, whatever the declaration says.
	p.d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	foreign := ""
	for depth := 0; ; {
		tok, err := p.d.Token()
		if errors.Is(err, io.EOF) && depth == 0 {
			if total == 0 && foreign != "" {
				return 0, fmt.Errorf("there is no event in it, but %s: want what wevtutil qe System /f:xml prints", foreign)
			}
			return total, nil
		}
		if err != nil {
			return total, p.wrap(err, total)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if t.Name.Local != "Event" {
				if foreign == "" {
					foreign = fmt.Sprintf("<%s>", cut(t.Name.Local))
				}
				if depth++; depth > mostDepth {
					return total, p.wrap(errDepth, total)
				}
				continue
			}
			concerns, err := p.event()
			if err != nil {
				return total, p.wrap(err, total)
			}
			total++
			in.left = mostEvent
			if concerns {
				if err := fn(&p.e); err != nil {
					return total, err
				}
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if s := bytes.TrimSpace(t); len(s) > 0 && foreign == "" {
				foreign = strconv.Quote(cut(string(s)))
			}
		}
	}
}

var (
	errDepth = errors.New("elements are nested too deeply for an event")
	errLong  = fmt.Errorf("an event is longer than %d bytes", mostEvent)
	errEVTX  = errors.New("this is the log itself (.evtx): export it with wevtutil qe FILE /lf:true /f:xml")
)

type parser struct {
	d  *xml.Decoder
	in *bounded
	e  Event
}

// wrap says where the stream went wrong.
func (p *parser) wrap(err error, total int) error {
	if p.in.spent {
		err = errLong
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("after %d events, at byte %d of the text: %w", total, p.d.InputOffset(), err)
}

// event reads the rest of an <Event> into p.e and reports whether it concerns
// ports.
func (p *parser) event() (bool, error) {
	p.e = Event{Parameters: p.e.Parameters[:0]}
	var path []string // the names of the open elements within the event
	var text []byte   // of the innermost
	source := ""
	for {
		tok, err := p.d.Token()
		if err != nil {
			return false, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			text = text[:0]
			if len(path) > mostDepth {
				return false, errDepth
			}
			switch strings.Join(path, "/") {
			case "System/Provider":
				source = attribute(t, "Name")
				if source == "" {
					source = attribute(t, "EventSourceName")
				}
			case "System/TimeCreated":
				p.e.Time, _ = time.Parse(time.RFC3339Nano, attribute(t, "SystemTime"))
			}
		case xml.CharData:
			if room := mostText - len(text); room > 0 {
				text = append(text, t[:min(len(t), room)]...)
			}
		case xml.EndElement:
			if len(path) == 0 {
				_, known := KindOf(p.e.ID)
				return known && strings.EqualFold(source, provider), nil
			}
			value := strings.TrimSpace(strings.ToValidUTF8(string(text), ""))
			switch strings.Join(path, "/") {
			case "System/EventID":
				p.e.ID, _ = strconv.Atoi(value)
			case "System/EventRecordID":
				p.e.Record, _ = strconv.ParseUint(value, 10, 64)
			case "System/Computer":
				p.e.Computer = value
			case "EventData/Data":
				if len(p.e.Parameters) < mostParameters {
					p.e.Parameters = append(p.e.Parameters, value)
				}
			}
			path, text = path[:len(path)-1], text[:0]
		}
	}
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return cut(a.Value)
		}
	}
	return ""
}

// cut shortens text from outside.
func cut(s string) string {
	if len(s) <= mostText {
		return s
	}
	n := mostText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// bounded is a reader that fails after so many bytes, until it is given more.
type bounded struct {
	r     io.Reader
	left  int
	spent bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.spent = true
		return 0, errLong
	}
	// In small bites, so that what is read ahead of an event's end is little.
	const bite = 4 << 10
	n, err := b.r.Read(p[:min(len(p), b.left, bite)])
	b.left -= n
	return n, err
}

// utf8Reader decodes the stream: by its byte order mark, or UTF-16 when every
// other of the first bytes is zero, else as UTF-8. What is not valid, and what XML
// does not allow, becomes U+FFFD.
func utf8Reader(r io.Reader) (io.Reader, error) {
	head := make([]byte, 8)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("ElfFile")) {
		return nil, errEVTX
	}
	enc := unicode.UTF8
	switch {
	case len(head) >= 4 && head[0] != 0 && head[1] == 0 && head[3] == 0:
		enc = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case len(head) >= 4 && head[0] == 0 && head[1] != 0 && head[2] == 0:
		enc = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	decode := unicode.BOMOverride(enc.NewDecoder())
	legal := runes.Map(func(r rune) rune {
		// The characters of XML 1.0, section 2.2.
		if r == '\t' || r == '\n' || r == '\r' || 0x20 <= r && r <= 0xd7ff || 0xe000 <= r && r <= 0xfffd || r >= 0x10000 {
			return r
		}
		return utf8.RuneError
	})
	return transform.NewReader(io.MultiReader(bytes.NewReader(head), r), transform.Chain(decode, legal)), nil
}
