package cli

import (
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/top"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// A topLook looks at one pool while all are measured.
type topLook struct {
	id  *top.ID // nil for no look at any
	own *pool.Map
	out *top.Detail
}

func newTopLook(id *top.ID) *topLook { return &topLook{id: id} }

// choose has the map kept that says which ports are out of every pool.
func (l *topLook) choose(opt *survey.Options) {
	if l.id != nil {
		opt.Map, opt.MapProto = true, l.id.Key.Proto
	}
}

// at reports whether the pool is in this namespace.
func (l *topLook) at(v *survey.View) bool { return l.id != nil && l.id.Netns == v.Namespace.ID }

// visit returns what notes the ports of the pool.
func (l *topLook) visit(v *survey.View) func(*socket.Socket) {
	if !l.at(v) {
		return func(*socket.Socket) {}
	}
	l.own = new(pool.Map)
	return func(s *socket.Socket) {
		if !l.holds(s) {
			return
		}
		u := pool.Connected
		if s.State == socket.TimeWait || s.HalfOpenTimeWait {
			u = pool.InTimeWait
		}
		l.own[s.SrcPort] = max(l.own[s.SrcPort], u)
	}
}

// holds reports whether a socket takes a port of the pool, and not of all.
func (l *topLook) holds(s *socket.Socket) bool {
	k := &l.id.Key
	switch {
	case s.Proto != k.Proto || s.State == socket.Listen || s.State == socket.BoundInactive:
		return false
	case k.Proto == socket.UDP:
		src := s.Src.Netip()
		return k.Src.IsUnspecified() || src.IsUnspecified() || src == k.Src
	}
	at := keyOf(s)
	if at.Ifindex == 0 {
		at.Ifindex = k.Ifindex // it takes the tuple for sockets bound to an interface too
	}
	return at == *k
}

// take puts the map together when the namespace has been read.
func (l *topLook) take(v *survey.View) {
	if !l.at(v) {
		return
	}
	m := v.Table.PortMap()
	if m != nil && !v.Hostwide() {
		for p := range m {
			if m[p] < pool.UseBound {
				m[p] = l.own[p]
			}
		}
	}
	l.out = &top.Detail{ID: *l.id, Range: v.PoolRange(l.id.Key), Map: m}
}

// detail is what was seen, with what was traced.
func (l *topLook) detail(r *topRefusals) *top.Detail {
	if l.out != nil {
		r.describe(l.out)
	}
	return l.out
}
