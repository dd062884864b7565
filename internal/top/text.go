package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/portroom/portroom/forecast"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// SGR codes of the terminal's own palette, as the other commands have them.
const (
	red     = "31;1"
	yellow  = "33;1"
	green   = "32"
	cyan    = "36"
	bold    = "1"
	faint   = "2"
	inverse = "7"
)

// Bold, faint and inverse are no colours: NO_COLOR leaves them.
func (m *Model) paint(sgr, text string) string {
	if text == "" || sgr == "" || !m.opt.Color && sgr != bold && sgr != faint && sgr != inverse {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (l Level) sgr() string { return [...]string{green, yellow, red}[l] }

// clean makes a text that others chose safe to draw: any program may name itself.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func holder(o pool.Owner) string { return process(o.Command, o.PID) }

func process(command string, pid int) string {
	if pid == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%s[%d]", clean(command), pid)
}

func destination(r *Row) string {
	switch k := r.Pool.Key; {
	case k.Dst.IsValid():
		return k.Dst.String()
	case k.Proto == socket.TCP && k.Src.Is6(): // one pool for all destinations
		return "tcp over IPv6"
	case k.Proto == socket.TCP:
		return "tcp over IPv4"
	}
	return r.Pool.Key.Proto.String() + " from " + r.Pool.Key.Src.String()
}

func namespaceName(label string, id uint64) string {
	if label == "" {
		return strconv.FormatUint(id, 10)
	}
	return clean(label)
}

// width is how many columns a text takes.
func width(s string) int { return ansi.StringWidth(s) }

// cut shortens a text to so many columns.
func (m *Model) cut(s string, w int) string {
	tail := "…"
	if m.opt.ASCII {
		tail = "~"
	}
	if w < 1 {
		return ""
	}
	return ansi.Truncate(s, w, tail)
}

// pad makes a text exactly so many columns wide.
func (m *Model) pad(s string, w int, right bool) string {
	s = m.cut(s, w)
	blank := strings.Repeat(" ", max(0, w-width(s)))
	if right {
		return blank + s
	}
	return s + blank
}

// fit returns the first of several ways to say something that fits, else the last one
// cut.
func (m *Model) fit(w int, ways ...string) string {
	for _, s := range ways {
		if width(s) <= w {
			return s
		}
	}
	return m.cut(ways[len(ways)-1], w)
}

// ends puts one text to the left and one to the right; where both do not fit, the
// left one alone.
func (m *Model) ends(w int, left, right string) string {
	gap := w - width(left) - width(right)
	if gap < 1 || right == "" {
		return m.cut(left, w)
	}
	return left + strings.Repeat(" ", gap) + right
}

// wrap breaks a sentence at blanks into lines of at most w columns.
func (m *Model) wrap(s string, w int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) > w:
			lines = append(lines, m.cut(line, w))
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, m.cut(line, w))
}

// perSecond writes a rate without its unit.
func perSecond(r float64) string {
	switch {
	case r == 0:
		return "0"
	case r < 0.05:
		return "<0.1"
	case r < 9.95:
		return fmt.Sprintf("%.1f", r)
	}
	return fmt.Sprintf("%.0f", r)
}

// percent writes a share without rounding 99.9 up to 100 or 0.1 down to 0.
func percent(share float64) string {
	n := int(math.Round(share * 100))
	switch {
	case n >= 100 && share < 1:
		n = 99
	case n <= 0 && share > 0:
		return "<1%"
	}
	return strconv.Itoa(n) + "%"
}

// brief writes when a pool is full in seven columns.
func brief(f *forecast.Forecast) string {
	switch {
	case f == nil:
		return "-"
	case f.Full.Never:
		return "never"
	case f.Full.In == 0:
		return "now"
	}
	s := shortSpan(f.Full.In)
	if f.Rough {
		return "~" + s
	}
	return s
}

// shortSpan writes a length of time in one unit.
func shortSpan(d time.Duration) string {
	switch {
	case d < time.Minute-time.Second/2:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour-time.Minute/2:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour-time.Hour/2:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f d", d.Hours()/24)
}

// lifetime writes the upper end of a class.
func lifetime(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return shortSpan(d)
}

// interval writes how long it is from one measurement to the next.
func interval(d time.Duration) string {
	if s := d.Seconds(); s != math.Trunc(s) && s < 10 {
		return fmt.Sprintf("%.1f s", s)
	}
	return shortSpan(d)
}

// counted writes a number with its noun.
func counted(n uint64, noun string) string {
	if n != 1 {
		if strings.HasSuffix(noun, "s") {
			noun += "e"
		}
		noun += "s"
	}
	return strconv.FormatUint(n, 10) + " " + noun
}
