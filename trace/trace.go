// Package trace watches outgoing TCP connections in the kernel: who connects from
// where to whom, which connects are refused for want of a source port, which side
// closes first, how long connections live, and whose the TIME_WAIT entries are that
// they leave behind. No system tells any of this afterwards: a refused connect
// changes no counter, and a TIME_WAIT has no owner.
//
// # What is counted
//
// [Start] attaches one BPF program to the tracepoint sock:inet_sock_set_state. The
// program counts; [Tracer.Read] reads the counts, one [Row] for each [Flow]. A
// refused connect is also sent as a [Refusal], at a bounded rate; the counts hold
// all of them. docs/trace.md says how each thing is told, and what is not seen.
//
// # Bounds
//
// Memory in the kernel is set by [Options] and does not grow. What finds no room is
// counted in [Lost], so that the counts and the loss add up to what happened.
//
// # Where it runs
//
// Linux 5.12 and later with BTF, as root or with CAP_BPF and CAP_PERFMON. Elsewhere
// Start returns an [UnavailableError].
package trace

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"
)

// Options bound the memory that a tracer takes in the kernel. Zero means the
// default.
type Options struct {
	// Flows is how many flows are counted apart at a time, 408 bytes each, by
	// default 16,384. Those that rest make room for new ones.
	Flows int
	// Sockets is how many connections are followed at a time, those in TIME_WAIT
	// included, 32 bytes each, by default 262,144. It is rounded up to a power of
	// two.
	Sockets int
}

// The defaults of Options.
const (
	DefaultFlows   = 16384
	DefaultSockets = 262144
)

// Flow is what is counted apart: the connects of one process from one address to
// one destination.
type Flow struct {
	Netns    uint64         // inode number of the network namespace
	Src      netip.Addr     // IPv4 never in v4-mapped form
	Dst      netip.AddrPort // likewise
	Ifindex  uint32         // the interface the sockets are bound to, 0 for none
	PID      int            // in the initial PID namespace
	CgroupID uint64         // in the unified hierarchy
}

// Lifetimes is how many classes of length lifetimes are counted in.
const Lifetimes = 32

// shortest is the binary logarithm of half the upper end of the first class, in ns
// (SHORTEST in bpf/trace.bpf.c).
const shortest = 20

// LifetimeBelow returns the upper end of a class: 2.1 ms for 0, twice that for each
// further one. The last class has none, and 0 is returned.
func LifetimeBelow(class int) time.Duration {
	if class >= Lifetimes-1 {
		return 0
	}
	return 1 << (class + shortest + 1)
}

// Counts are numbers of connections.
type Counts struct {
	Connects     uint64 // connect() that came to look for a port or had one by bind()
	Refused      uint64 // of them, found no port (EADDRNOTAVAIL)
	RefusedBound uint64 // of them, had bound a port whose tuple was taken (the same error)
	Failed       uint64 // of them, refused by the peer, timed out, or given up
	ClosedHere   uint64 // connections that this side closed first: they leave a TIME_WAIT here
	ClosedThere  uint64 // that the peer closed first
	Aborted      uint64 // that were reset, by whichever side, before either had closed
	Lost         uint64 // that were not followed to their end, see Lost

	// Lifetimes counts ended connections by the time from connect() to the end of
	// the socket, TIME_WAIT not included, see LifetimeBelow. It is exact to a tick
	// of the kernel (1 to 10 ms).
	Lifetimes [Lifetimes]uint64
}

// Ended returns how many of the connects are over, whatever became of them.
func (c *Counts) Ended() uint64 {
	return c.Refused + c.RefusedBound + c.Failed + c.ClosedHere + c.ClosedThere + c.Aborted + c.Lost
}

// Open returns how many of the connections are under way or established.
func (c *Counts) Open() uint64 {
	if n := c.Ended(); n < c.Connects {
		return c.Connects - n
	}
	return 0
}

// each calls fn with the same count of both.
func (c *Counts) each(d *Counts, fn func(a, b *uint64)) {
	fn(&c.Connects, &d.Connects)
	fn(&c.Refused, &d.Refused)
	fn(&c.RefusedBound, &d.RefusedBound)
	fn(&c.Failed, &d.Failed)
	fn(&c.ClosedHere, &d.ClosedHere)
	fn(&c.ClosedThere, &d.ClosedThere)
	fn(&c.Aborted, &d.Aborted)
	fn(&c.Lost, &d.Lost)
	for i := range c.Lifetimes {
		fn(&c.Lifetimes[i], &d.Lifetimes[i])
	}
}

// Add adds d to c.
func (c *Counts) Add(d *Counts) { c.each(d, func(a, b *uint64) { *a += *b }) }

// Sub returns what was counted since before.
func (c Counts) Sub(before *Counts) Counts {
	c.each(before, func(a, b *uint64) { *a -= *b })
	return c
}

// Row is what was counted of one flow.
type Row struct {
	// ID tells rows apart. A flow that rested for long and comes back has a second
	// row with another ID; the first may still be there for a while.
	ID uint64
	Flow
	Command string // comm of the process, at most 15 bytes
	Cgroup  string // path in the unified hierarchy; where that is the root, that of the process
	Counts
}

// Lost is what could not be kept for want of room. Zero when all is well.
type Lost struct {
	// Connects and Refused were counted, but not to which flow (Options.Flows).
	Connects uint64
	Refused  uint64
	// Followed are live connections that made room for others, so that their end is
	// not counted (Options.Sockets).
	Followed uint64
	// Owners are TIME_WAIT entries whose owner was forgotten within 60 s
	// (Options.Sockets).
	Owners uint64
	// Unseen are changes of state, of whatever TCP socket, that came in the midst of
	// another on the same processor: the kernel runs no program within itself. What
	// they were is not known.
	Unseen uint64
	// Events are refusals that were not sent because the reader was too slow. They
	// are in the counts.
	Events uint64
}

// Any reports whether anything was lost that the counts do not hold.
func (l Lost) Any() bool { return l.Connects|l.Refused|l.Followed|l.Owners|l.Unseen != 0 }

// Totals are numbers of connections of all flows together.
type Totals struct {
	Connects     uint64
	Refused      uint64
	RefusedBound uint64
	Failed       uint64
	Closed       uint64 // by whichever side, or reset
}

// Aggregates is what a tracer has counted since it started.
type Aggregates struct {
	At      time.Time
	Rows    []Row
	Retired Counts // of flows that rested and made room
	Total   Totals // of all, those that no row holds included
	Lost    Lost
	// Limited are refusals that were not sent one by one because there were too
	// many of them. They are in the counts.
	Limited uint64
}

// Since returns what was counted since before, for each row that changed. before may
// be nil.
func (a *Aggregates) Since(before *Aggregates) []Row {
	known := make(map[uint64]*Counts)
	if before != nil {
		for i := range before.Rows {
			known[before.Rows[i].ID] = &before.Rows[i].Counts
		}
	}
	var changed []Row
	for _, r := range a.Rows {
		if c := known[r.ID]; c != nil {
			r.Counts = r.Sub(c)
		}
		if r.Connects|r.Ended() != 0 {
			changed = append(changed, r)
		}
	}
	return changed
}

// Refusal is a connect() that failed with EADDRNOTAVAIL for want of a port.
type Refusal struct {
	Flow
	Time    time.Time
	Command string
	Cgroup  string
	Port    uint16 // the port that was bound and whose tuple was taken; 0 for none, none was found
	Refused uint64 // refusals of this kind of this flow since the tracer started, this one included
}

// An UnavailableError says in one sentence why connections cannot be traced here.
type UnavailableError struct {
	Reason string
	Err    error
}

func (e *UnavailableError) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// ErrClosed is what a tracer answers with after Close.
var ErrClosed = errors.New("the tracer is closed")

func (o Options) sizes() (flows, sets int, err error) {
	flows, sockets := o.Flows, o.Sockets
	if flows == 0 {
		flows = DefaultFlows
	}
	if sockets == 0 {
		sockets = DefaultSockets
	}
	if flows < 1 || flows > 1<<20 {
		return 0, 0, fmt.Errorf("trace %d flows: want 1 to %d", o.Flows, 1<<20)
	}
	if sockets < ways || sockets > 1<<24 {
		return 0, 0, fmt.Errorf("trace %d sockets: want %d to %d", o.Sockets, ways, 1<<24)
	}
	return flows, 1 << bits.Len(uint((sockets+ways-1)/ways-1)), nil
}

// ways is how many sockets share a set (WAYS in bpf/trace.bpf.c).
const ways = 4
