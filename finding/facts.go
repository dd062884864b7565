package finding

import (
	"net/netip"
	"time"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// System is an operating system, named as in [runtime.GOOS].
type System string

// The systems that rules and errors are known of.
const (
	Linux   System = "linux"
	Windows System = "windows"
	Darwin  System = "darwin"
	FreeBSD System = "freebsd"
)

// Title returns the name that people know the system by.
func (s System) Title() string {
	switch s {
	case Linux:
		return "Linux"
	case Windows:
		return "Windows"
	case Darwin:
		return "macOS"
	case FreeBSD:
		return "FreeBSD"
	}
	return string(s)
}

// The thresholds of portroom check, in percent of a pool's capacity.
const (
	DefaultWarn = 70
	DefaultCrit = 90
)

// Facts are what is known of one network namespace or host. What a reader could
// not learn stays at its zero value.
type Facts struct {
	System     System
	Warn, Crit int // thresholds in percent; both 0 for the defaults
	// Target is what commands of remedies name as --target, as a shell takes it; ""
	// for this host.
	Target string

	Pools  []pool.Pool   // tightest first
	Uptime time.Duration // since the system started; 0 when not known
	// TimeWaits is how many TIME_WAIT entries there are, listeners' included.
	TimeWaits int

	// Linux only.
	Settings *host.Settings
	Blocked  pool.Blocked
	Blockers []Blocker // who blocks ports, those who block most first
	// Bound are the TCP ports, in the range and outside, that are out of every pool
	// because somebody bound them or listens there.
	Bound port.Set
	// Claims say to whom ports belong, in the range and outside.
	Claims claim.Claims
	// First is the first namespace's settings when this one is another; nil else.
	First *host.Settings
	// FinTimeout is tcp_fin_timeout in seconds; 0 when not known.
	FinTimeout int
	// Recycle is tcp_tw_recycle; No also where the kernel has no such thing.
	Recycle socket.Tri
	// EhashEntries is tcp_ehash_entries: half of it is what the kernel sets
	// tcp_max_tw_buckets to (tcp_sk_init in net/ipv4/tcp_ipv4.c). 0 when not known.
	EhashEntries int
	// Overflows is TcpExt TCPTimeWaitOverflow: connections that skipped TIME_WAIT
	// because tcp_max_tw_buckets was reached.
	Overflows uint64
	// Conntrack is nil where connections are not tracked.
	Conntrack *Conntrack
	// IPv6 says whether the namespace has an IPv6 address.
	IPv6 socket.Tri

	// Held says who holds ports that somebody asked about. One that is not in it was
	// not looked at.
	Held map[uint16][]Holder

	// Windows is nil on other systems.
	Windows *WindowsFacts

	// SettingsOnly says that no socket was seen, so that nobody can tell whether
	// ports run short.
	SettingsOnly bool
}

// Blocker is a process that blocks ports for every destination.
type Blocker struct {
	Kind    pool.Kind
	PID     int    // 0 when not known
	Command string // "" when not known
	Ports   int
}

// Holder is a socket that holds a port, and whose it is.
type Holder struct {
	Proto       socket.Proto
	State       socket.State
	Local, Peer netip.AddrPort // Peer is the zero AddrPort for none
	PID         int            // 0 when not known
	Command     string         // "" when not known
}

// Conntrack is the state of the connection tracking of a namespace
// (/proc/sys/net/netfilter, /proc/net/stat/nf_conntrack).
type Conntrack struct {
	Count, Max   int
	TimeWait     time.Duration // nf_conntrack_tcp_timeout_time_wait
	InsertFailed uint64        // entries that clashed and were dropped
	Drop         uint64        // packets dropped because the table was full
}

// WindowsFacts are the settings of a Windows system, running or not, and what was
// counted on a running one.
type WindowsFacts struct {
	Settings *nt.Settings

	// Bound is how many TCP sockets hold a port without a connection; BoundBy is
	// the process with most of them and BoundMost its number.
	Bound, BoundMost int
	BoundBy          string
}

// command writes a command of portroom for the target.
func (f *Facts) command(words string) string {
	if f.Target != "" {
		words += " --target " + f.Target
	}
	return "portroom " + words
}

func (f *Facts) warn() float64 {
	if f.Warn == 0 && f.Crit == 0 {
		return DefaultWarn
	}
	return float64(f.Warn)
}

func (f *Facts) crit() float64 {
	if f.Warn == 0 && f.Crit == 0 {
		return DefaultCrit
	}
	return float64(f.Crit)
}
