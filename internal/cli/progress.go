package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress tells a person on a terminal how far a long measurement is. It keeps
// quiet for the first half second.
type progress struct {
	w     io.Writer
	begun time.Time
	last  time.Time
	shown bool
}

func (p *progress) show(done, total int) {
	p.line("namespace %d of %d", done+1, total)
}

// bar draws how much of a thing is done.
func (p *progress) bar(name string, share float64) {
	const cells = 30
	n := int(max(0, min(1, share)) * cells)
	p.line("%s [%s%s] %3.0f%%", name, strings.Repeat("#", n), strings.Repeat(".", cells-n), share*100)
}

func (p *progress) line(format string, args ...any) {
	now := time.Now()
	if p.begun.IsZero() {
		p.begun = now
	}
	if now.Sub(p.begun) < 500*time.Millisecond || now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.w, "\r\x1b[Kportroom: "+format, args...)
}

// clear wipes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
