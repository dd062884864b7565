package top

import (
	"strings"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// glyphs are what bars are made of.
type glyphs struct {
	open, timeWait, free string
	knee, limit          string
	eighths              []string // of a cell, for plain bars
	marker               string   // of the row that is selected
	more                 string
}

var (
	blockGlyphs = glyphs{
		open: "█", timeWait: "▒", free: "·", knee: "╎", limit: "▏", marker: "▸", more: "↓",
		eighths: []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"},
	}
	asciiGlyphs = glyphs{open: "#", timeWait: "=", free: ".", knee: ":", limit: "|", marker: ">", more: "v", eighths: []string{"", "", "", "", "#", "#", "#", "#"}}
)

func (m *Model) glyphs() *glyphs {
	if m.opt.ASCII {
		return &asciiGlyphs
	}
	return &blockGlyphs
}

// held splits what is held of a pool into live connections and TIME_WAIT.
func held(p *pool.Pool) (open, timeWait int) {
	open = max(0, p.Held-p.States[socket.TimeWait])
	return open, max(0, p.Held-p.Reusable-open)
}

// bar draws a pool in w columns: what is held by live connections, by TIME_WAIT, what
// is free; the knee where it is; and the capacity, which is the limit, at the end.
func (m *Model) bar(r *Row, w int) string {
	if w < 2 {
		return m.pad("", w, false)
	}
	g, p, cells := m.glyphs(), &r.Pool, w-1
	open, timeWait := held(p)
	capacity := max(p.Capacity, 1)
	// A port that is held is seen, and so is one that is free.
	upTo := func(n int) int {
		c := (n*cells + capacity/2) / capacity
		switch {
		case n > 0 && c == 0:
			c = 1
		case n < capacity && c >= cells:
			c = cells - 1
		}
		return max(0, min(c, cells))
	}
	all := upTo(min(open+timeWait, capacity))
	live := min(upTo(min(open, capacity)), all)
	if timeWait > 0 && live == all && all > 1 {
		live--
	}
	if p.Capacity <= 0 {
		live, all = 0, cells
	}
	knee := -1
	if p.Knee > 0 && cells >= 4 {
		knee = min(p.Knee*cells/capacity, cells-1)
	}
	var b strings.Builder
	part := func(from, to int, sgr, glyph string) {
		if from < to {
			b.WriteString(m.paint(sgr, strings.Repeat(glyph, to-from)))
		}
	}
	piece := func(from, to int, sgr, glyph string) {
		if from <= knee && knee < to {
			part(from, knee, sgr, glyph)
			b.WriteString(m.paint(bold, g.knee))
			from = knee + 1
		}
		part(from, to, sgr, glyph)
	}
	sgr := r.Level.sgr()
	piece(0, live, sgr, g.open)
	piece(live, all, sgr, g.timeWait)
	piece(all, cells, faint, g.free)
	b.WriteString(m.paint(bold, g.limit))
	return b.String()
}

// plain draws a share of a whole in up to w columns.
func (m *Model) plain(n, of uint64, w int) string {
	if of == 0 || n == 0 || w < 1 {
		return ""
	}
	g := m.glyphs()
	eighths := int(max(1, float64(n)/float64(of)*float64(w)*8))
	return m.paint(cyan, strings.Repeat(g.open, eighths/8)+g.eighths[eighths%8])
}
