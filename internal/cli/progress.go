package cli

import (
	"fmt"
	"io"
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
	now := time.Now()
	if p.begun.IsZero() {
		p.begun = now
	}
	if now.Sub(p.begun) < 500*time.Millisecond || now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.w, "\rportroom: namespace %d of %d", done+1, total)
}

// clear wipes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
