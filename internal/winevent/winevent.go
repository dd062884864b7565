// Package winevent reads what the Windows event log says about ports: from the
// live log, or from a file that `wevtutil qe System /f:xml` wrote.
//
// The log keeps such events scarce: Windows writes one and then is silent for
// long, so a count says that it happened, not how often. That there are none
// proves nothing.
package winevent

import (
	"errors"
	"slices"
	"time"
)

// ErrUnreadable says that the live event log could not be read.
var ErrUnreadable = errors.New("the event log could not be read")

// An Event is one entry of the log, as far as it concerns ports.
type Event struct {
	ID         int
	Time       time.Time // zero when the entry has none that can be read
	Record     uint64    // its number in the log
	Computer   string
	Parameters []string // what the message has in place of %1, %2 …
}

// provider is the source of the events, in the System log. Other providers use
// the same numbers for other things.
const provider = "Tcpip"

// HalfOpen is the event that no port was short of.
const HalfOpen = 4226

// A Kind is one number of event and what it means.
type Kind struct {
	ID      int
	Title   string
	Meaning string
	Since   string // the system that brought it
}

// Kinds are the events that concern ports, from the messages of tcpip.sys.
var Kinds = []Kind{
	{
		ID: HalfOpen, Title: "half-open limit reached", Since: "Windows XP SP2",
		Meaning: "more connects were waiting for an answer than the system allows at once; the others were queued, not refused, and no port was short",
	},
	{
		ID: 4227, Title: "port still in TIME_WAIT", Since: "Windows Vista",
		Meaning: "a connect failed because the port chosen had just been used to the same destination; connections are opened and closed too fast for the range",
	},
	{
		ID: 4231, Title: "no TCP port left", Since: "Windows Vista",
		Meaning: "a request for an ephemeral TCP port failed because all were in use",
	},
	{
		ID: 4266, Title: "no UDP port left", Since: "Windows Vista",
		Meaning: "a request for an ephemeral UDP port failed because all were in use",
	},
}

// KindOf returns what is known of a number, and whether it concerns ports.
func KindOf(id int) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.ID == id })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}

// A Count sums up the events of one kind.
type Count struct {
	Kind
	Count       int
	First, Last time.Time // of those with a time; zero when none has one
}

// A Log is what a log says about ports.
type Log struct {
	Counts []Count // of the kinds that occur, by number
	Total  int     // events of any kind that were looked at
	// Cut says that there are more events than were read, all of them older.
	Cut bool
}

// add takes one event into the log.
func (l *Log) add(e *Event) {
	k, ok := KindOf(e.ID)
	if !ok {
		return
	}
	i, found := slices.BinarySearchFunc(l.Counts, e.ID, func(c Count, id int) int { return c.ID - id })
	if !found {
		l.Counts = slices.Insert(l.Counts, i, Count{Kind: k})
	}
	c := &l.Counts[i]
	c.Count++
	if e.Time.IsZero() {
		return
	}
	if c.First.IsZero() || e.Time.Before(c.First) {
		c.First = e.Time
	}
	if e.Time.After(c.Last) {
		c.Last = e.Time
	}
}
