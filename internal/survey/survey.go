// Package survey measures: it reads the settings and the sockets of one or more
// network namespaces and hands each account on.
package survey

import (
	"errors"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
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

	// Progress, if set, is called before each namespace is read.
	Progress func(done, total int)
}

// A View is the account of one namespace.
type View struct {
	Namespace netns.Namespace
	Settings  *host.Settings
	Table     *pool.Table
	Owners    *socket.Owners // nil when not asked for

	// Limited says why some numbers are bounds only; nil when nothing is missing.
	Limited error
	// Sockets are those on Options.Port.
	Sockets []Holder
	// PortBound says whether connect() passes over Options.Port.
	PortBound socket.Tri

	cgroups map[int]string
}

// Holder is a socket and who has it open.
type Holder struct {
	socket.Socket
	Owner socket.Owner // zero when unknown
}

// Cgroup returns the control group of a process, looked up once.
func (v *View) Cgroup(pid int) string {
	if pid == 0 {
		return ""
	}
	path, ok := v.cgroups[pid]
	if !ok {
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
