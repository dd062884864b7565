// Package survey measures: it reads the settings and the sockets of one or more
// network namespaces and hands each account on.
package survey

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// Options choose what is measured.
type Options struct {
	Namespaces []netns.Namespace
	Engine     socket.Engine // how the TCP table is read
	Owners     bool          // find out who holds the ports
	Map        bool          // keep what each port is used for
	MapProto   socket.Proto  // by this protocol
	Port       uint16        // keep the sockets on this port

	// Suppose, if set, changes the settings that were read, so that the account is
	// the one after a change, with the sockets of now. Linux only.
	Suppose func(*host.Settings) error
	// Services keeps the sockets that wait for somebody. Linux only.
	Services bool

	// Visit, if set, is called when the sockets of a namespace are about to be read,
	// with a view that has its settings; what it returns is called for each socket.
	// When they have to be read again it is called again.
	Visit func(*View) func(*socket.Socket)

	// Opened, if set, says who opened a connection that is in TIME_WAIT, which the
	// kernel no longer knows. A running tracer does; see trace.Owners. It is asked
	// only with Owners.
	Opened func(netns uint64, src, dst netip.AddrPort) (pool.Owner, bool)

	// Progress, if set, is called before each namespace is read.
	Progress func(done, total int)
}

// An Account is what becomes of the sockets: a [pool.Table] or a [pool.Hostwide].
type Account interface {
	Pools(*socket.Owners) []pool.Pool
	Room(pool.Key, *socket.Owners) pool.Pool
	Blocked() pool.Blocked
	PortMap() *pool.Map
}

// A View is the account of one namespace, or of a host that has none.
type View struct {
	Namespace netns.Namespace
	Settings  *host.Settings // of Linux; else nil
	Table     Account
	Owners    *socket.Owners // nil when not asked for

	// Windows are the settings of a Windows host, Spaces what follows from them for
	// each protocol and family. Nil on Linux.
	Windows *nt.Settings
	Spaces  []pool.Space

	// Limited says why some numbers are bounds only; nil when nothing is missing.
	Limited error
	// Sockets are those on Options.Port.
	Sockets []Holder
	// Services are TCP sockets that listen on a port that was asked for by number,
	// and UDP sockets without a peer, in the range and outside.
	Services []Holder
	// PortBound says whether connect() passes over Options.Port.
	PortBound socket.Tri
	// TimeWaits is how many TIME_WAIT entries TCP has, in the range and outside.
	TimeWaits int

	cgroups map[int]string
}

// Holder is a socket and who has it open.
type Holder struct {
	socket.Socket
	Owner socket.Owner // zero when unknown
}

// Range returns the ephemeral range of a protocol; where IPv4 and IPv6 have one
// each, that of IPv4.
func (v *View) Range(proto socket.Proto) port.Range {
	if v.Settings != nil {
		return v.Settings.Range
	}
	for i := range v.Spaces {
		if s := &v.Spaces[i]; s.Proto == proto && !s.IPv6 {
			return s.Range
		}
	}
	return port.Range{}
}

// PoolRange returns the range that a pool draws from.
func (v *View) PoolRange(k pool.Key) port.Range {
	if v.Settings != nil {
		return v.Settings.Range
	}
	for i := range v.Spaces {
		s := &v.Spaces[i]
		switch {
		case s.Proto != k.Proto || s.IPv6 != k.Src.Is6():
		case k.Dst.IsValid() && s.Shared != nil:
			return *s.Shared
		default:
			return s.Range
		}
	}
	return port.Range{}
}

// InRange reports whether the system chooses a port by itself, for whatever
// protocol and family.
func (v *View) InRange(p uint16) bool {
	if v.Settings != nil {
		return v.Settings.Range.Contains(p)
	}
	for i := range v.Spaces {
		if s := &v.Spaces[i]; s.Range.Contains(p) || s.Shared != nil && s.Shared.Contains(p) {
			return true
		}
	}
	return false
}

// Shared reports whether a TCP port need be unique by its tuple only.
func (v *View) Shared(p uint16) bool {
	for i := range v.Spaces {
		if s := &v.Spaces[i]; s.Proto == socket.TCP && s.Shared != nil && s.Shared.Contains(p) {
			return true
		}
	}
	return false
}

// HasShared reports whether there is a range whose TCP ports need be unique by
// tuple only.
func (v *View) HasShared() bool {
	return slices.ContainsFunc(v.Spaces, func(s pool.Space) bool { return s.Shared != nil })
}

// Reserved reports whether a port is kept out of the choice: by
// ip_local_reserved_ports, or excluded for TCP.
func (v *View) Reserved(p uint16) bool {
	if v.Settings != nil {
		return v.Settings.Reserved.Contains(p)
	}
	for i := range v.Spaces {
		if s := &v.Spaces[i]; s.Proto == socket.TCP && s.Excluded.Contains(p) {
			return true
		}
	}
	return false
}

// Hostwide reports whether a port in use is out of reach for every destination.
func (v *View) Hostwide() bool { return v.Settings == nil }

// Cgroup returns the control group of a process, looked up once.
func (v *View) Cgroup(pid int) string {
	if pid == 0 {
		return ""
	}
	path, ok := v.cgroups[pid]
	if !ok && v.cgroups != nil {
		path = netns.Cgroup(pid)
		v.cgroups[pid] = path
	}
	return path
}

// Pools returns the pools of the namespace, tightest first, their owners with
// control groups.
func (v *View) Pools() []pool.Pool {
	pools := v.Table.Pools(v.Owners)
	for i := range pools {
		v.fill(&pools[i])
	}
	return pools
}

// Room returns the pool with this key.
func (v *View) Room(k pool.Key) pool.Pool {
	p := v.Table.Room(k, v.Owners)
	v.fill(&p)
	return p
}

func (v *View) fill(p *pool.Pool) {
	for i := range p.Owners {
		p.Owners[i].Cgroup = v.Cgroup(p.Owners[i].PID)
	}
}

// Vanished reports whether an error says that a namespace is no longer there.
func Vanished(err error) bool { return errors.Is(err, netns.ErrGone) }
