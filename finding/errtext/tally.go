package errtext

import (
	"net/netip"

	"github.com/portroom/portroom/finding"
)

// MaxKinds is how many kinds of error a [Tally] tells apart. A log has a handful;
// the bound keeps one that is made to be hostile from taking memory.
const MaxKinds = 64

// maxExample is how many bytes of a kind's first line are kept.
const maxExample = 200

// A Kind is what the lines of a log have in common that are counted together: the
// same error, of the same system, in the same call.
type Kind struct {
	Match       Match
	Count       int
	First, Last string // times, "" where the log has none
	Line        int    // number of the first line, from 1
	Example     string // the first line, shortened and fit to be shown
}

// A Tally counts the errors of a log, line by line. The zero Tally is empty
// and takes errors for those of no system in particular.
type Tally struct {
	// Here is the system that errors are taken for whose lines do not say of which.
	Here finding.System

	Lines      int
	Recognised int
	Others     int    // recognised lines beyond the first MaxKinds kinds
	Kinds      []Kind // in the order in which they appeared

	index map[string]int
	last  string // the time of the last line that was asked for its time
	prev  []byte // the beginning of the last line that may have one
}

// Add takes in one line, without its end.
func (t *Tally) Add(line string) {
	t.Lines++
	m, ok := Recognise(line)
	if !ok {
		// An error without a time has that of the line before, of which a stack trace
		// is the tail. Most lines are never asked.
		if len(line) > 0 && line[0] != ' ' && line[0] != '\t' {
			t.prev = append(t.prev[:0], line[:min(len(line), stampWithin)]...)
		}
		return
	}
	t.Recognised++
	if t.Here != "" {
		m.Settle(t.Here)
	}
	if w := When(line); w != "" {
		t.last = w
	} else if w := When(string(t.prev)); w != "" {
		t.last = w
	}
	t.prev = t.prev[:0]
	i, ok := t.index[m.key()]
	if !ok {
		if len(t.Kinds) == MaxKinds {
			t.Others++
			return
		}
		i = len(t.Kinds)
		if t.index == nil {
			t.index = make(map[string]int)
		}
		t.index[m.key()] = i
		t.Kinds = append(t.Kinds, Kind{Match: m, First: t.last, Line: t.Lines, Example: Readable(line, maxExample)})
	}
	k := &t.Kinds[i]
	k.Count++
	k.Last = t.last
	if m.Dst != k.Match.Dst {
		k.Match.Dst = netip.AddrPort{} // toward more than one destination
	}
	if m.Port != k.Match.Port {
		k.Match.Port = 0
	}
}
