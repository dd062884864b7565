package cli

import (
	"slices"

	"github.com/portroom/portroom/forecast"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/top"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// note returns what is called before and for each socket while a namespace is read:
// it compares with an earlier sample, and looks at the ports of one pool.
func (s *topSample) note(base *topSample, look *topLook) func(*survey.View) func(*socket.Socket) {
	var compare func(*survey.View) func(*socket.Socket)
	if base != nil {
		compare = base.visit()
	}
	return func(v *survey.View) func(*socket.Socket) {
		s.begins(v)
		one := look.visit(v)
		if compare == nil {
			return one
		}
		all := compare(v)
		if !look.at(v) {
			return all
		}
		return func(sk *socket.Socket) {
			all(sk)
			one(sk)
		}
	}
}

// rows adds the pools of a namespace to a snapshot.
func (m *topMeasurer) rows(s *top.Snapshot, v *survey.View, now, base *topSample) {
	pools := v.Pools()
	// A pool without a socket is none; but one that refuses is to be seen.
	for _, k := range m.refusals.refusing(v.Namespace.ID) {
		if !slices.ContainsFunc(pools, func(p pool.Pool) bool { return p.Key == k }) {
			pools = append(pools, v.Room(k))
		}
	}
	for i := range pools {
		p := &pools[i]
		at := place{v.Namespace.ID, p.Key}
		now.keep(v, p)
		for st, n := range p.States {
			if p.Key.Proto == socket.TCP || st != int(socket.Closed) {
				s.Sockets += n
			}
		}
		switch {
		case !now.thorough:
			p.Owners = m.owners[at]
		case len(p.Owners) > 0:
			m.owners[at] = p.Owners
		}
		r := top.Row{
			ID: top.ID{Netns: v.Namespace.ID, Key: p.Key}, Label: m.called(v.Namespace), Pool: *p,
			Level: top.Level(severity(p, defaultWarn, defaultCrit)), Left: left(p),
		}
		m.rate(&r, v, base)
		r.Refused, r.RefusedNow = m.refusals.of(at, base)
		if r.RefusedNow > 0 {
			r.Level = top.Critical
		}
		s.Rows = append(s.Rows, r)
	}
	if s.Limited == "" {
		s.Limited = limitText(v)
	}
}

// rate says how many ports were taken and given back since an earlier sample, and when
// the pool will be full.
func (m *topMeasurer) rate(r *top.Row, v *survey.View, base *topSample) {
	p := &r.Pool
	if base == nil || p.Key.Proto != socket.TCP || p.CeilingPerSecond <= 0 {
		return
	}
	begun, ok := base.begun[v.Namespace.ID]
	if !ok {
		return
	}
	seen := base.seen(p, v, begun)
	window := seen.Window.Seconds()
	at := place{v.Namespace.ID, p.Key}
	r.Rated = true
	r.In = float64(seen.Taken) / window
	if granted, ok := m.refusals.granted(at, base); ok {
		// Counted, those included that were given back meanwhile.
		r.In = granted
	}
	r.Out = max(0, r.In-float64(p.Held-p.Reusable-base.pools[at].held)/window)
	if f, ok := forecast.Of(seen); ok {
		r.Forecast = &f
	}
}

// sortTop puts the tightest first, across namespaces.
func sortTop(rows []top.Row) {
	slices.SortStableFunc(rows, func(a, b top.Row) int { return pool.Tighter(a.Pool, b.Pool) })
}
