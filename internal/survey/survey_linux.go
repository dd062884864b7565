package survey

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// measure is one run over some namespaces.
type measure struct {
	Options
	reader    *socket.Reader
	limited   error                // why the buckets are not known
	bound     map[uint32]*port.Set // by namespace; nil when not known
	owners    *socket.Owners
	listsIdle bool // sock_diag lists bound and unconnected sockets
	cgroups   map[int]string
}

// attempts is how often an interrupted dump is repeated.
const attempts = 4

// Each measures the namespaces one after the other and calls fn inside each,
// on a thread that is in that namespace. A namespace that vanished is passed
// over when there are several; views are not kept, so that memory does not grow
// with the number of namespaces.
func Each(ctx context.Context, opt Options, fn func(*View) error) error {
	r, err := socket.NewReader(opt.Engine)
	if err != nil {
		return err
	}
	defer r.Close()

	m := measure{Options: opt, reader: r, limited: r.Limited(), cgroups: make(map[int]string)}
	if m.limited == nil {
		if m.bound, err = r.Buckets(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			m.limited = err
		}
	}
	release, err := host.KernelRelease("/")
	if err != nil {
		return err
	}
	m.listsIdle = release.AtLeast(6, 8)
	// Kernels before 6.8 show bound and unconnected sockets to nobody: they are
	// found among the open files.
	if opt.Owners || !m.listsIdle && m.limited == nil {
		if m.owners, err = r.Owners(ctx); err != nil {
			return fmt.Errorf("find who holds the sockets: %w", err)
		}
	}
	seen := 0
	for i, ns := range opt.Namespaces {
		if opt.Progress != nil {
			opt.Progress(i, len(opt.Namespaces))
		}
		err := ns.Do(func() error {
			v, err := m.namespace(ctx, ns)
			if err != nil {
				return err
			}
			return fn(v)
		})
		if errors.Is(err, netns.ErrGone) && len(opt.Namespaces) > 1 {
			continue
		}
		if err != nil {
			return err
		}
		seen++
	}
	if seen == 0 && len(opt.Namespaces) > 0 {
		return netns.ErrGone
	}
	return nil
}

// namespace measures the namespace that the calling thread is in.
func (m *measure) namespace(ctx context.Context, ns netns.Namespace) (*View, error) {
	settings, err := host.Read("/")
	if err != nil {
		return nil, err
	}
	v := &View{Namespace: ns, Settings: settings, Limited: m.limited, cgroups: m.cgroups}
	if m.Options.Owners {
		v.Owners = m.owners
	}
	for try := range attempts {
		interrupted, err := m.read(ctx, v)
		if err != nil {
			return nil, err
		}
		if !interrupted {
			break
		}
		if try == attempts-1 {
			v.Table.Interrupted()
		}
	}
	return v, nil
}

// read fills a fresh table.
func (m *measure) read(ctx context.Context, v *View) (interrupted bool, err error) {
	exact := m.bound != nil
	t := pool.New(v.Settings, exact, pool.Options{Owners: v.Owners != nil, Map: m.Map, MapProto: m.MapProto})
	v.Table, v.Sockets, v.PortBound = t, nil, socket.Unknown
	live := 0 // TCP sockets that the kernel counts as allocated
	add := func(s *socket.Socket) error {
		owner := v.Owners.Of(s.Inode)
		t.Add(s, owner)
		if s.Proto == socket.TCP && s.State != socket.TimeWait && !s.HalfOpenTimeWait && s.State != socket.SynRecv {
			live++
		}
		if m.Port != 0 && s.SrcPort == m.Port {
			v.keep(s, owner)
		}
		return nil
	}
	note := func(i bool, e error) {
		interrupted = interrupted || i
		if err == nil {
			err = e
		}
	}

	if exact {
		if set := m.bound[uint32(v.Namespace.ID)]; set != nil {
			for p := range set.All() {
				t.Block(p)
			}
		}
		if m.Port != 0 {
			set := m.bound[uint32(v.Namespace.ID)]
			v.PortBound = socket.TriOf(set != nil && set.Contains(m.Port))
		}
	} else {
		note(m.reader.UserPorts(ctx, func(s *socket.Socket) error {
			t.Block(s.SrcPort)
			if s.SrcPort == m.Port {
				v.PortBound = socket.Yes
			}
			return nil
		}))
	}
	switch {
	case m.Port != 0:
		// Only sock_diag tells how long a TIME_WAIT still lasts.
		note(m.reader.DiagTCP(ctx, add))
		if !m.listsIdle {
			m.idle(v, add)
		}
	case exact && m.reader.Iterates():
		// The iterator lists no idle sockets.
		if m.listsIdle {
			note(m.reader.BoundInactive(ctx, add))
		} else {
			m.idle(v, add)
		}
		note(m.reader.TCP(ctx, add))
	default:
		note(m.reader.TCP(ctx, add))
		if !m.listsIdle {
			m.idle(v, add)
		}
	}
	note(m.reader.UDP(ctx, add))
	if err != nil {
		return interrupted, err
	}
	if !m.listsIdle && m.limited != nil {
		n, err := allocated()
		if err != nil {
			return interrupted, err
		}
		t.Hidden(max(0, n-live))
	}
	return interrupted, nil
}

// idle adds the bound and unconnected sockets that were found among the files.
func (m *measure) idle(v *View, add func(*socket.Socket) error) {
	if m.owners == nil {
		return
	}
	for _, s := range m.owners.Bound[uint32(v.Namespace.ID)] {
		_ = add(&s)
	}
}

func (v *View) keep(s *socket.Socket, owner int32) {
	h := Holder{Socket: *s}
	if owner != socket.NoOwner {
		h.Owner = v.Owners.At(owner)
	}
	v.Sockets = append(v.Sockets, h)
}

// allocated returns how many TCP sockets the kernel has in all namespaces, the
// unconnected included: "alloc" in /proc/net/sockstat.
func allocated() (int, error) {
	const path = "/proc/thread-self/net/sockstat"
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) == 0 || fields[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(fields); i += 2 {
			if fields[i] == "alloc" {
				var n int
				if _, err := fmt.Sscan(fields[i+1], &n); err != nil {
					return 0, fmt.Errorf("%s: alloc is %q", path, fields[i+1])
				}
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%s has no TCP line with alloc", path)
}
