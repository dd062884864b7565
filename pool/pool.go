// Package pool does the accounting: it turns what a host is set to and the
// sockets it holds into pools of source ports, each with the number of further
// connects that the kernel would grant.
//
// It is pure: no I/O, no operating system. [Table] takes the sockets of one Linux
// network namespace one at a time and keeps counts only; [Hostwide] does so for
// systems on which a port in use is out of reach for every destination.
//
// # Exactness
//
// [Pool.Headroom] is the number of connects that succeed from now on, one after
// another, if nothing is released meanwhile. Where a fact that decides it could
// not be read, Headroom is a lower bound, [Pool.HeadroomMax] an upper bound, and
// [Pool.Inexact] says why.
package pool

import (
	"net/netip"
	"slices"

	"github.com/portroom/portroom/socket"
)

// Key names a pool. Where one pool serves all destinations Dst is the zero
// AddrPort: for UDP, and on hosts whose pools are host-wide, where Src is
// unspecified as well.
type Key struct {
	Proto   socket.Proto
	Src     netip.Addr     // local address; unspecified for a UDP socket that was not bound
	Dst     netip.AddrPort // IPv4 never in v4-mapped form
	Ifindex uint32         // the interface such sockets are bound to, 0 for none
}

// Reason is why a headroom is a pair of bounds.
type Reason string

// The reasons there are.
const (
	// OddRange: the number of ports in the range is odd, so the search may leave
	// out one of the two end ports, depending on a secret starting offset.
	OddRange Reason = "odd-range"
	// NoBuckets: the state of the bind buckets could not be read, so a port that
	// any socket uses may be closed to every connect().
	NoBuckets Reason = "no-buckets"
	// NoStamps: it is not known which TIME_WAIT entries tcp_tw_reuse lets go.
	NoStamps Reason = "no-timestamps"
	// Orphans: connections that were closed on this side only wait in FIN_WAIT2,
	// and it is not known whether this kernel lets tcp_tw_reuse take them over:
	// before 6.12 some do.
	Orphans Reason = "orphans"
	// HiddenSockets: the kernel holds sockets that it does not list (bound and
	// unconnected, before Linux 6.8).
	HiddenSockets Reason = "hidden-sockets"
	// Interrupted: the socket table changed so fast that no dump was consistent.
	Interrupted Reason = "interrupted"
	// Device: sockets bound to an interface and sockets bound to none share the
	// tuple, perhaps the same ports of it.
	Device Reason = "device"
	// StepWidth: ip_local_port_step_width is set; its search has not been
	// verified.
	StepWidth Reason = "step-width"
	// V6Only: it is not known which IPv6 sockets also occupy IPv4.
	V6Only Reason = "v6only"
	// Unlisted: the system does not list sockets that are bound and not connected,
	// nor how many there are, so nothing is certain but the upper bound.
	Unlisted Reason = "unlisted-bound"
	// SharedRange: ports are shared per tuple, but not those that a socket bound,
	// and which did cannot be seen.
	SharedRange Reason = "shared-range"
)

// Pool is the account of one pool. All integers are counts of ports.
type Pool struct {
	Key Key

	Range    int // ports in the ephemeral range
	Blocked  int // ports of the range out of every pool: reserved, listening, bound
	Capacity int // Range − Blocked: what an empty pool would give
	Held     int // ports of the capacity whose tuple is taken, TIME_WAIT included
	Reusable int // of Held: TIME_WAIT entries that connect() may take over now

	Headroom    int // connects that would succeed; the lower bound unless exact
	HeadroomMax int // the upper bound
	Inexact     []Reason

	// BindHeadroom is how many bind(Src, 0) would succeed, with bounds alike.
	BindHeadroom    int
	BindHeadroomMax int

	// States counts the sockets of the pool in the range by state, those on
	// blocked ports included.
	States [socket.NumStates]int

	// Knee is half the capacity: with more ports held, each connect() first walks
	// the full half of the range that it prefers. 0 where there is no such knee
	// (UDP).
	Knee int
	// CeilingPerSecond is the highest rate of connects that the pool sustains
	// when each connection ends at once on this side: Capacity ÷ hold time. 0
	// where no port is held after close (UDP).
	CeilingPerSecond float64
	// CeilingMax is the same by the shortest hold time, where the hold time is
	// uncertain and CeilingPerSecond goes by the longest; else 0.
	CeilingMax float64

	Owners []Owner // those who hold most first; empty when not asked for
}

// Exact reports whether Headroom is the number and not a bound.
func (p *Pool) Exact() bool { return len(p.Inexact) == 0 }

// Open reports whether only the upper bound says something: Headroom is 0 for want
// of a better one.
func (p *Pool) Open() bool { return slices.Contains(p.Inexact, Unlisted) }

// Used is the share of the capacity that is not available, 0 to 1, by the
// cautious bound where there is one. A pool without any capacity is fully used.
func (p *Pool) Used() float64 {
	if p.Capacity <= 0 {
		return 1
	}
	room := p.Headroom
	if p.Open() {
		room = p.HeadroomMax
	}
	return 1 - float64(room)/float64(p.Capacity)
}

// PastKnee reports whether connects to this pool have become slow.
func (p *Pool) PastKnee() bool { return p.Knee > 0 && p.Held-p.Reusable > p.Knee }

// Owner is a process and how many ports of a pool it holds.
type Owner struct {
	PID     int    // 0 when it could not be found out
	Command string // comm, at most 15 bytes
	Cgroup  string // path within the unified hierarchy, "" when unknown
	Ports   int
}
