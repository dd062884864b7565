package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// The colours of the verdict, as SGR codes of the terminal's own palette.
const (
	red    = "31;1"
	yellow = "33;1"
	green  = "32;1"
	bold   = "1"
	faint  = "2"
)

// paint wraps text in a colour where the output takes colours.
func (a *app) paint(sgr, text string) string {
	if !a.color || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// left writes how many connects are left: the number, or the lower bound as
// "≥ 81"; where there is no lower bound worth the name, the upper as "≤ 81".
func left(p *pool.Pool) string {
	if p.Open() {
		return "≤ " + strconv.Itoa(p.HeadroomMax)
	}
	if p.Exact() {
		return strconv.Itoa(p.Headroom)
	}
	return "≥ " + strconv.Itoa(p.Headroom)
}

// percent writes a share without rounding 99.9 up to 100 or 0.1 down to 0.
func percent(share float64) string {
	n := int(share*100 + 0.5)
	if n == 100 && share < 1 {
		n = 99
	}
	if n == 0 && share > 0 {
		return "<1%"
	}
	return strconv.Itoa(n) + "%"
}

// ceiling writes a rate in connects per second.
func ceiling(p *pool.Pool) string {
	if p.Key.Proto == socket.UDP {
		return "-"
	}
	if p.CeilingMax > 0 {
		return strings.TrimSuffix(rate(p.CeilingPerSecond), "/s") + "-" + rate(p.CeilingMax)
	}
	return rate(p.CeilingPerSecond)
}

func rate(perSecond float64) string {
	if perSecond >= 1000 {
		return fmt.Sprintf("%.0f/s", perSecond)
	}
	return fmt.Sprintf("%.1f/s", perSecond)
}

func holder(o pool.Owner) string {
	return fmt.Sprintf("%s[%d]", clean(o.Command), o.PID)
}

// clean makes a process name safe to print: any program may choose its own.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// A table lines up cells. Columns whose number is in right are aligned to the
// right.
type table struct {
	head  []string
	rows  [][]string
	sgr   []string // colour of each row, "" for none
	right map[int]bool
	drop  []string // the columns that a narrow terminal goes without, first to last
}

func (t *table) add(sgr string, cells ...string) {
	t.rows = append(t.rows, cells)
	t.sgr = append(t.sgr, sgr)
}

// writeTable prints the table no wider than the terminal: columns are left out
// as the table says, and what is too long then is cut at the end.
func (a *app) writeTable(w io.Writer, t *table) error {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	hidden := make(map[int]bool)
	for _, name := range t.drop {
		i := slices.Index(t.head, name)
		if a.width == 0 || total <= a.width {
			break
		}
		hidden[i] = true
		total -= widths[i] + 2
	}
	line := func(row []string, sgr string) error {
		var b strings.Builder
		for i, c := range row {
			if hidden[i] {
				continue
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if b.Len() > 0 {
				b.WriteString("  ")
			}
			if t.right[i] {
				b.WriteString(pad + c)
			} else {
				b.WriteString(c + pad)
			}
		}
		text := a.cut(strings.TrimRight(b.String(), " "))
		_, err := fmt.Fprintln(w, a.paint(sgr, text))
		return err
	}
	if err := line(t.head, bold); err != nil {
		return err
	}
	for i, row := range t.rows {
		if err := line(row, t.sgr[i]); err != nil {
			return err
		}
	}
	return nil
}

// cut shortens a line to the width of the terminal.
func (a *app) cut(s string) string {
	if a.width == 0 || utf8.RuneCountInString(s) <= a.width {
		return s
	}
	r := []rune(s)
	return string(r[:max(a.width-1, 0)]) + "…"
}

// wrap breaks a paragraph at blanks to the width of the terminal, the lines
// after the first indented. lead columns of the first line are taken already.
func (a *app) wrap(lead int, s, indent string) string {
	width := a.width
	if width == 0 {
		return s
	}
	var b strings.Builder
	col := lead
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case col+1+n > width:
			b.WriteString("\n" + indent)
			col = utf8.RuneCountInString(indent)
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	return b.String()
}

// count writes a number with its noun: "1 port", "3 ports", "2 processes".
func count(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	case strings.HasSuffix(noun, "ry"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
