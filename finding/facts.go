package finding

import (
	"time"

	"github.com/portroom/portroom/host"
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
	Warn, Crit int // thresholds in percent; 0 for the defaults

	Pools  []pool.Pool   // tightest first
	Uptime time.Duration // since the system started; 0 when not known

	// Linux only.
	Settings *host.Settings
	Blocked  pool.Blocked
	Blockers []Blocker // who blocks ports, those who block most first
	// Listeners are the TCP ports, in the range and outside, that somebody listens
	// on and asked for by number, as far as that is known.
	Listeners port.Set
	// First is the first namespace's settings when this one is another; nil else.
	First *host.Settings
	// FinTimeout is tcp_fin_timeout in seconds; 0 when not known.
	FinTimeout int
	// Recycle is tcp_tw_recycle; No also where the kernel has no such thing.
	Recycle socket.Tri
	// EhashEntries is tcp_ehash_entries: half of it is what the kernel sets
	// tcp_max_tw_buckets to (tcp_sk_init in net/ipv4/tcp_ipv4.c). 0 when not known.
	EhashEntries int
	// TimeWaits is how many TIME_WAIT entries there are, listeners' included.
	TimeWaits int
	// Overflows is TcpExt TCPTimeWaitOverflow: connections that skipped TIME_WAIT
	// because tcp_max_tw_buckets was reached.
	Overflows uint64
	// Conntrack is nil where connections are not tracked.
	Conntrack *Conntrack
	// NodePorts is the range of Kubernetes NodePorts where a kube-proxy or a kubelet
	// runs; nil elsewhere.
	NodePorts *port.Range
	// IPv6 says whether the namespace has an IPv6 address.
	IPv6 socket.Tri

	// Windows is nil on other systems.
	Windows *WindowsFacts
}

// Blocker is a process that blocks ports for every destination.
type Blocker struct {
	Kind    pool.Kind
	PID     int    // 0 when not known
	Command string // "" when not known
	Ports   int
}

// Conntrack is the state of the connection tracking of a namespace
// (/proc/sys/net/netfilter, /proc/net/stat/nf_conntrack).
type Conntrack struct {
	Count, Max   int
	TimeWait     time.Duration // nf_conntrack_tcp_timeout_time_wait
	InsertFailed uint64        // entries that clashed and were dropped
	Drop         uint64        // packets dropped because the table was full
}

// WindowsFacts are the settings and counts of a Windows host, or of a registry of
// one that does not run.
type WindowsFacts struct {
	Release string // for people, such as "Windows Server 2003"
	// Modern says that it is Vista, Server 2008 or later: the dynamic range is set
	// by netsh, and MaxUserPort is a leftover.
	Modern bool
	// Build is the build number, such as 7601; 0 when not known.
	Build int

	MaxUserPort       RegistryNumber
	TcpTimedWaitDelay RegistryNumber

	// Dynamic is the TCP range for IPv4, nil when not known.
	Dynamic *port.Range
	// Excluded are the TCP ports that are excluded from every allocation.
	Excluded port.Set

	// Bound is how many TCP sockets hold a port without a connection; BoundBy is
	// the process with most of them and BoundMost its number.
	Bound, BoundMost int
	BoundBy          string
	// TimeWaits is how many TCP connections are in TIME_WAIT.
	TimeWaits int
}

// RegistryNumber is a value that ought to be a REG_DWORD.
type RegistryNumber struct {
	Present bool
	Type    string // such as REG_DWORD; "" is taken for REG_DWORD
	Number  uint32 // when Type is REG_DWORD
}

// ok reports whether the value is there and of the right type.
func (n RegistryNumber) ok() bool { return n.Present && (n.Type == "" || n.Type == "REG_DWORD") }

func (f *Facts) warn() float64 {
	if f.Warn == 0 {
		return DefaultWarn
	}
	return float64(f.Warn)
}

func (f *Facts) crit() float64 {
	if f.Crit == 0 {
		return DefaultCrit
	}
	return float64(f.Crit)
}
