package portmap

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

// Options say for which terminal [Text] draws.
type Options struct {
	Width int  // columns; 0 is 80, and less than 30 is drawn as 30
	Color bool // with the 16 ANSI colours
	ASCII bool // without block and Braille glyphs, for consoles whose font lacks them or draws them two columns wide
}

const (
	defaultWidth = 80
	minWidth     = 30
	maxRows      = 32

	entryWidth = 30 // a legend entry: 4 glyphs, name, count and share
	entryGap   = 4
)

// glyphs are, for each use, the steps from a cell that is little taken to one
// that is taken in full. Connected and TIME_WAIT need steps of different
// kinds: what will pass in a minute must not look like what will not, without
// colour either.
type glyphs [numUses][]rune

var (
	blocks = glyphs{
		pool.Free:        []rune("·"),
		pool.InTimeWait:  []rune("⣀⣤⣶⣿"),
		pool.Connected:   []rune("░▒▓█"),
		pool.UseBound:    []rune("bB"),
		pool.UseListen:   []rune("lL"),
		pool.UseReserved: []rune("xX"),
	}
	ascii = glyphs{
		pool.Free:        []rune("."),
		pool.InTimeWait:  []rune("':;t"),
		pool.Connected:   []rune("-+*#"),
		pool.UseBound:    []rune("bB"),
		pool.UseListen:   []rune("lL"),
		pool.UseReserved: []rune("xX"),
	}
)

// colours are SGR parameters. Free stays in the terminal's own colour: bright
// black cannot be seen in some dark themes. The others are the normal, not the
// bright six, which fade on white; blue, hard to read on black, is not used.
var colours = [numUses]string{
	pool.InTimeWait:  "33",
	pool.Connected:   "36",
	pool.UseBound:    "35",
	pool.UseListen:   "32",
	pool.UseReserved: "31",
}

// glyph returns the glyph of a cell.
func (g *glyphs) glyph(t *tally) (pool.Use, rune) {
	u := t.foremost()
	steps := g[u]
	if u == pool.Free {
		return u, steps[0]
	}
	total := t.total()
	taken := total - t[pool.Free]
	if len(steps) == 2 { // a capital from half the cell on
		return u, steps[min(2*taken/total, 1)]
	}
	return u, steps[(len(steps)*taken+total-1)/total-1]
}

// Text draws the ports of r as rows of glyphs no wider than opt.Width, with a
// legend below. Each row begins with the number of its first port; the line
// above the rows gives the distance from there.
//
// A glyph stands for one port if that takes at most 32 rows, else for as many
// consecutive ports, a power of two, as it takes to get there. It then shows
// what most of the ports that are not free are used for, and by shade, height
// or capital how many are not free.
//
// It is an error if r.First is above r.Last.
func Text(w io.Writer, m *pool.Map, r port.Range, opt Options) error {
	if err := check(r); err != nil {
		return err
	}
	width := opt.Width
	if width == 0 {
		width = defaultWidth
	}
	d := drawing{m: m, r: r, width: max(width, minWidth), color: opt.Color, glyphs: &blocks}
	if opt.ASCII {
		d.glyphs = &ascii
	}
	d.scale()
	d.ruler()
	d.rows()
	d.legend()
	_, err := w.Write(d.out.Bytes())
	return err
}

// drawing is a text map in the making.
type drawing struct {
	m      *pool.Map
	r      port.Range
	width  int
	color  bool
	glyphs *glyphs

	label int // columns of a port number
	cell  int // ports of a glyph
	group int // glyphs from one mark of the ruler to the next
	row   int // glyphs of a row, a multiple of group

	out  bytes.Buffer
	sgr  string // the colour in force
	size int
}

// scale chooses the cell. With single ports the marks stand at tens, else at
// eights, which then are round numbers too.
func (d *drawing) scale() {
	d.size = d.r.Len()
	d.label = len(fmt.Sprint(d.r.Last))
	for d.cell = 1; ; d.cell *= 2 {
		d.group = 8
		if d.cell == 1 {
			d.group = 10
		}
		d.row = (d.width - d.label - 1) / d.group * d.group
		if d.size <= maxRows*d.row*d.cell {
			return
		}
	}
}

func (d *drawing) ruler() {
	marks := strings.Builder{}
	for i := 0; i < d.row && i*d.cell < d.size; i += d.group {
		fmt.Fprintf(&marks, "%-*s", d.group, fmt.Sprintf("+%d", i*d.cell))
	}
	d.put("", fmt.Sprintf("%*s %s", d.label, "", strings.TrimRight(marks.String(), " ")))
	d.newline()
}

func (d *drawing) rows() {
	for at := 0; at < d.size; at += d.row * d.cell {
		d.put("", fmt.Sprintf("%*d ", d.label, int(d.r.First)+at))
		for c := at; c < min(at+d.row*d.cell, d.size); c += d.cell {
			t := count(d.m, int(d.r.First)+c, min(d.cell, d.size-c))
			u, g := d.glyphs.glyph(&t)
			d.put(colours[u], string(g))
		}
		d.newline()
	}
}

// legend has the uses that pass, or cost a port in one pool only, on the left
// and those that cost every pool a port on the right; where that is too wide,
// below.
func (d *drawing) legend() {
	d.newline()
	t := count(d.m, int(d.r.First), d.size)
	if d.width < 2*entryWidth+entryGap {
		for u := range pool.Use(numUses) {
			d.entry(u, &t)
			d.newline()
		}
	} else {
		for u := range pool.UseBound {
			d.entry(u, &t)
			d.put("", strings.Repeat(" ", entryGap))
			d.entry(u+pool.UseBound, &t)
			d.newline()
		}
	}
	d.newline()
	d.wrap(d.rule())
}

// entry is one use in the legend, entryWidth columns.
func (d *drawing) entry(u pool.Use, t *tally) {
	steps := d.glyphs[u]
	if d.cell == 1 {
		steps = steps[len(steps)-1:]
	}
	d.put(colours[u], string(steps))
	d.put("", fmt.Sprintf("%*s %-9s  %6s  %6s", 4-len(steps), "", names[u], thousands(t[u]), share(t[u], d.size)))
}

func (d *drawing) rule() string {
	ports := "ports"
	if d.size == 1 {
		ports = "port"
	}
	s := fmt.Sprintf("%s %s in %d-%d,", thousands(d.size), ports, d.r.First, d.r.Last)
	if d.cell == 1 {
		return s + " one to a glyph."
	}
	return fmt.Sprintf("%s %d to a glyph. A glyph shows what most of its ports that are not free are used for, "+
		"and how many are not free: in four steps up to 1/4, 1/2, 3/4 and all; "+
		"a small letter is less than half, a capital half or more.", s, d.cell)
}

// wrap writes s in lines of whole words.
func (d *drawing) wrap(s string) {
	col := 0
	for _, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case col == 0:
		case col+1+n > d.width:
			d.newline()
			col = 0
		default:
			d.put("", " ")
			col++
		}
		d.put("", word)
		col += n
	}
	d.newline()
}

// put writes s in a colour, "" being the terminal's own.
func (d *drawing) put(sgr, s string) {
	if d.color && sgr != d.sgr {
		d.out.WriteString("\x1b[" + sgr + "m")
		d.sgr = sgr
	}
	d.out.WriteString(s)
}

// newline ends the line in the terminal's own colour, so that a line taken
// out of the middle (head, grep) is still right.
func (d *drawing) newline() { d.put("", "\n") }
