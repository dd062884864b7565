package survey

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
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
	listsIdle bool // sock_diag lists bound and unconnected sockets: since 6.8
	cgroups   map[int]string

	prepared bool
	limited  error                // why the buckets are not known
	bound    map[uint32]*port.Set // ports with bound buckets, by namespace
	owners   *socket.Owners
}

// attempts is how often an interrupted dump is repeated.
const attempts = 4

// prepare learns, once for all namespaces, which ports are bound and whose the
// sockets are.
func (m *measure) prepare(ctx context.Context) error {
	if m.prepared {
		return nil
	}
	m.prepared = true
	var err error
	if m.limited = m.reader.Limited(); m.limited == nil {
		if m.bound, err = m.reader.Buckets(ctx); err != nil {
			m.limited = err
		}
	}
	// Where sock_diag does not list bound and unconnected sockets, they are found
	// among the open files.
	if m.Owners || !m.listsIdle && m.limited == nil {
		if m.owners, err = m.reader.Owners(ctx); err != nil {
			return fmt.Errorf("find who holds the sockets: %w", err)
		}
	}
	return ctx.Err()
}

// namespace measures the namespace that the calling thread is in.
//
// sock_diag is asked first: it is the faster on most hosts. If what it said left
// open something that decides a number, which only the BPF iterators know, the
// table is read again by those.
func (m *measure) namespace(ctx context.Context, ns netns.Namespace) (*View, error) {
	settings, err := host.Read("/")
	if err != nil {
		return nil, err
	}
	if m.Suppose != nil {
		if err := m.Suppose(settings); err != nil {
			return nil, err
		}
	}
	v := &View{Namespace: ns, Settings: settings, cgroups: m.cgroups}
	iterate := m.Engine == socket.Iterator || m.Engine == socket.Auto && settings.TWReuse == 1
	for try := 1; ; try++ {
		t, interrupted, missed, err := m.read(ctx, v, iterate)
		switch {
		case errors.Is(err, errUnexact) && m.Engine == socket.Auto:
			iterate = false
			continue
		case err != nil:
			return nil, err
		case missed && try < attempts:
			m.prepared = false // a listener may be younger than the walk
			continue
		case missed:
			m.limited = errBuckets
			m.bound = nil
			continue
		case interrupted && try < attempts:
			continue
		case interrupted:
			t.Interrupted()
		case !iterate && m.Engine == socket.Auto && m.limited == nil && t.Questions():
			iterate = true
			continue
		}
		return v, nil
	}
}

// errBuckets says that the walk over the bind buckets went wrong. No kernel is
// known where it does; but a number that is not exact must never be called so.
var errBuckets = errors.New("the bind buckets that were read lack those of listening sockets")

// errUnexact says that the iterators cannot be used, with the reason wrapped.
var errUnexact = errors.New("this engine needs BPF")

// read fills a fresh table. missed says that a listening socket was seen whose
// bucket was not.
func (m *measure) read(ctx context.Context, v *View, iterate bool) (t *pool.Table, interrupted, missed bool, err error) {
	// The answer comes in while the BPF programs are loaded.
	idle := m.Engine == socket.Plain || m.Port != 0
	var dump *socket.Dump
	if !iterate || m.Port != 0 {
		if dump, err = m.reader.StartTCP(ctx, idle); err != nil {
			return nil, false, false, err
		}
		defer dump.Close()
	}
	if err := m.prepare(ctx); err != nil {
		return nil, false, false, err
	}
	exact := m.limited == nil
	if !exact && dump == nil {
		return nil, false, false, fmt.Errorf("%w: %w", errUnexact, m.limited)
	}
	t = pool.New(v.Settings, exact, pool.Options{Owners: m.Owners, Map: m.Map, MapProto: m.MapProto})
	v.Table, v.Limited, v.Sockets, v.Services, v.PortBound = t, m.limited, nil, nil, socket.Unknown
	v.TimeWaits = 0
	if m.Owners {
		v.Owners = m.owners
	}
	bound := m.bound[uint32(v.Namespace.ID)]
	if bound == nil {
		bound = new(port.Set)
	}
	var asked port.Set // ports that somebody asked for by number to listen on
	live := 0          // TCP sockets that the kernel counts as allocated
	visit := func(*socket.Socket) {}
	if m.Visit != nil {
		visit = m.Visit(v)
	}
	add := func(s *socket.Socket) error {
		owner := v.Owners.Of(s.Inode)
		if m.Opened != nil && owner == socket.NoOwner {
			owner = m.opener(v, s)
		}
		t.Add(s, owner)
		visit(s)
		if s.Proto == socket.TCP && s.State != socket.TimeWait && !s.HalfOpenTimeWait && s.State != socket.SynRecv {
			live++
		}
		if exact && s.State == socket.Listen && s.Ifindex == 0 && !bound.Contains(s.SrcPort) {
			missed = true
		}
		if m.Port != 0 && s.SrcPort == m.Port {
			v.Sockets = append(v.Sockets, v.holder(s, owner))
		}
		if s.Proto == socket.TCP && (s.State == socket.TimeWait || s.HalfOpenTimeWait) {
			v.TimeWaits++
		}
		if m.Services && waits(s) && (s.Proto == socket.UDP || asked.Contains(s.SrcPort)) {
			v.Services = append(v.Services, v.holder(s, owner))
		}
		return nil
	}
	note := func(i bool, e error) {
		interrupted = interrupted || i
		if err == nil {
			err = e
		}
	}

	if m.Services {
		note(m.reader.UserListeners(ctx, func(s *socket.Socket) error {
			asked.Add(s.SrcPort)
			return nil
		}))
	}
	if exact {
		for p := range bound.All() {
			t.Block(p)
		}
		v.PortBound = socket.TriOf(bound.Contains(m.Port))
	} else {
		note(m.reader.UserPorts(ctx, func(s *socket.Socket) error {
			t.Block(s.SrcPort)
			if s.SrcPort == m.Port {
				v.PortBound = socket.Yes
			}
			return nil
		}))
	}
	if !idle && m.owners != nil {
		m.idle(v, add)
	}
	if !idle && !exact && m.listsIdle {
		// Their ports are out of every pool, which must be known first.
		note(m.reader.BoundInactive(ctx, add))
	}
	if dump != nil {
		note(dump.Each(add))
	} else {
		note(false, m.reader.IterateTCP(ctx, add))
	}
	if !idle && exact && m.listsIdle && t.Unseen() > 0 {
		// A bound port with no socket on it in sight: who holds it has no file that
		// we may see.
		note(m.reader.BoundInactive(ctx, add))
	}
	note(m.reader.UDP(ctx, iterate, add))
	if err != nil {
		return t, interrupted, missed, err
	}
	if !m.listsIdle && !exact {
		n, err := allocated()
		if err != nil {
			return t, interrupted, missed, err
		}
		t.Hidden(max(0, n-live))
	}
	return t, interrupted, missed, nil
}

// idle adds the bound and unconnected sockets that were found among the files.
func (m *measure) idle(v *View, add func(*socket.Socket) error) {
	for _, s := range m.owners.Bound[uint32(v.Namespace.ID)] {
		_ = add(&s)
	}
}

func (v *View) holder(s *socket.Socket, owner int32) Holder {
	h := Holder{Socket: *s}
	if owner != socket.NoOwner {
		h.Owner = v.Owners.At(owner)
	}
	return h
}

// waits reports whether a socket is there for others to come to it.
func waits(s *socket.Socket) bool {
	if s.Proto == socket.UDP {
		return s.State == socket.Closed
	}
	return s.State == socket.Listen
}

// allocated returns how many TCP sockets the kernel has in all namespaces, the
// unconnected included.
func allocated() (int, error) {
	const path = "/proc/thread-self/net/sockstat"
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := parseAllocated(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// parseAllocated finds "alloc" in the TCP line of /proc/net/sockstat.
func parseAllocated(text string) (int, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(fields); i += 2 {
			if fields[i] != "alloc" {
				continue
			}
			n, err := strconv.Atoi(fields[i+1])
			if err != nil || n < 0 {
				return 0, fmt.Errorf("alloc is %q: want a count", fields[i+1])
			}
			return n, nil
		}
	}
	return 0, errors.New("there is no TCP line with alloc")
}
