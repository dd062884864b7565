package cli

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/top"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/trace"
)

// topRefusals is what a tracer counted, by pool.
type topRefusals struct {
	tracer *trace.Tracer
	unseen string // why there is none
	since  time.Time
	last   *trace.Aggregates

	measured map[uint64]bool // the namespaces that are shown
	refused  map[place]uint64
	total    map[uint64]uint64 // refused, by namespace
	changes  []topChange       // of the last few seconds, oldest first
	latest   map[uint64]latest // by namespace
}

// A topChange is what was counted between two readings.
type topChange struct {
	at      time.Time
	granted map[place]uint64
	refused map[place]uint64
}

// latest is the last refusal of a namespace.
type latest struct {
	at   time.Time
	text string
}

// start begins to trace, or notes why that cannot be.
func (t *topRefusals) start(ctx context.Context, noBPF bool) error {
	t.since = time.Now()
	t.refused, t.total, t.latest = make(map[place]uint64), make(map[uint64]uint64), make(map[uint64]latest)
	if noBPF {
		t.unseen = "BPF was not to be used"
		return nil
	}
	var err error
	t.tracer, err = trace.Start(ctx, trace.Options{})
	var unavailable *trace.UnavailableError
	if errors.As(err, &unavailable) {
		t.tracer, t.unseen = nil, err.Error()
		return nil
	}
	return err
}

func (t *topRefusals) close() error {
	if t.tracer == nil {
		return nil
	}
	return t.tracer.Close()
}

// opened returns who opened what is in TIME_WAIT; nil without a tracer.
func (t *topRefusals) opened() (func(uint64, netip.AddrPort, netip.AddrPort) (pool.Owner, bool), error) {
	if t.tracer == nil {
		return nil, nil
	}
	owners, err := t.tracer.Owners()
	if err != nil {
		return nil, err
	}
	return func(netns uint64, src, dst netip.AddrPort) (pool.Owner, bool) {
		o, ok := owners.Of(netns, src, dst)
		return pool.Owner{PID: o.PID, Command: o.Command, Cgroup: o.Cgroup}, ok
	}, nil
}

// read takes in what was counted since the last time.
func (t *topRefusals) read(at time.Time, measured []netns.Namespace) error {
	t.measured = make(map[uint64]bool, len(measured))
	for _, ns := range measured {
		t.measured[ns.ID] = true
	}
	if t.tracer == nil {
		return nil
	}
	now, err := t.tracer.Read()
	if err != nil {
		return err
	}
	c := topChange{at: at, granted: make(map[place]uint64), refused: make(map[place]uint64)}
	most := make(map[uint64]uint64)
	for _, r := range now.Since(t.last) {
		p := place{r.Netns, poolKey(r.Src, r.Dst, r.Ifindex)}
		refused := r.Refused + r.RefusedBound
		if n := r.Connects - min(refused, r.Connects); n > 0 {
			c.granted[p] += n
		}
		if refused == 0 {
			continue
		}
		c.refused[p] += refused
		t.refused[p] += refused
		t.total[r.Netns] += refused
		if refused > most[r.Netns] {
			most[r.Netns] = refused
			t.latest[r.Netns] = latest{now.At, holder(pool.Owner{PID: r.PID, Command: r.Command}) + " to " + r.Dst.String()}
		}
	}
	t.last = now
	t.changes = append(t.changes, c)
	for len(t.changes) > 1 && at.Sub(t.changes[0].at) > linuxTimeWait {
		t.changes = t.changes[1:]
	}
	return nil
}

// refusing are the pools of a namespace in which connects were refused, at most a
// screenful.
func (t *topRefusals) refusing(id uint64) (list []pool.Key) {
	const most = 100
	for p := range t.refused {
		if p.netns == id && len(list) < most {
			list = append(list, p.key)
		}
	}
	return list
}

// span adds up what changed after a sample, in how many seconds.
func (t *topRefusals) span(base *topSample, n func(*topChange) uint64) (perSecond float64, ok bool) {
	if base == nil || t.tracer == nil || len(t.changes) == 0 {
		return 0, false
	}
	sum, last := uint64(0), t.changes[len(t.changes)-1].at
	for i := range t.changes {
		if c := &t.changes[i]; c.at.After(base.at) {
			sum += n(c)
		}
	}
	seconds := last.Sub(base.at).Seconds()
	return float64(sum) / seconds, seconds > 0
}

// granted is how many connects of a pool were granted a second.
func (t *topRefusals) granted(p place, base *topSample) (float64, bool) {
	return t.span(base, func(c *topChange) uint64 { return c.granted[p] })
}

// of is how many connects of a pool were refused, and how many a second now.
func (t *topRefusals) of(p place, base *topSample) (total uint64, now float64) {
	now, _ = t.span(base, func(c *topChange) uint64 { return c.refused[p] })
	return t.refused[p], now
}

// sum is what was refused in what is shown.
func (t *topRefusals) sum(base *topSample) top.Refusals {
	r := top.Refusals{Unseen: t.unseen, Since: t.since}
	if t.last != nil {
		r.Lost = t.last.Lost.Refused
	}
	for id := range t.measured {
		r.Total += t.total[id]
		if l := t.latest[id]; l.at.After(r.LastAt) {
			r.Last, r.LastAt = l.text, l.at
		}
	}
	r.Now, _ = t.span(base, func(c *topChange) (n uint64) {
		for p, k := range c.refused {
			if t.measured[p.netns] {
				n += k
			}
		}
		return n
	})
	return r
}

// describe adds what is known of the connects of a pool.
func (t *topRefusals) describe(d *top.Detail) {
	if t.last == nil {
		return
	}
	d.Traced, d.Since = true, t.since
	var all trace.Counts
	byPID := make(map[int]*top.Process)
	for i := range t.last.Rows {
		r := &t.last.Rows[i]
		if r.Netns != d.ID.Netns || poolKey(r.Src, r.Dst, r.Ifindex) != d.ID.Key {
			continue
		}
		all.Add(&r.Counts)
		p := byPID[r.PID]
		if p == nil {
			p = &top.Process{PID: r.PID, Command: r.Command, Where: netns.Label(r.Cgroup)}
			byPID[r.PID] = p
		}
		p.Connects += r.Connects
		p.Refused += r.Refused + r.RefusedBound
	}
	for _, p := range byPID {
		d.Processes = append(d.Processes, *p)
	}
	slices.SortFunc(d.Processes, func(a, b top.Process) int {
		return cmp.Or(-cmp.Compare(a.Refused, b.Refused), -cmp.Compare(a.Connects, b.Connects), cmp.Compare(a.PID, b.PID))
	})
	d.Ends = []top.Count{
		{Name: "open", N: all.Open()}, {Name: "closed here", N: all.ClosedHere}, {Name: "closed by peer", N: all.ClosedThere},
		{Name: "reset", N: all.Aborted}, {Name: "failed", N: all.Failed}, {Name: "refused", N: all.Refused + all.RefusedBound},
		{Name: "not followed", N: all.Lost},
	}
	first, last := -1, -1
	for i, n := range all.Lifetimes {
		if n > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	for i := first; first >= 0 && i <= last; i++ {
		d.Lifetimes = append(d.Lifetimes, top.Lifetime{Below: trace.LifetimeBelow(i), N: all.Lifetimes[i]})
	}
}
