package record

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portroom/portroom/pool"
)

// tracked is a pool on the way through the samples.
type tracked struct {
	story   *PoolStory
	present bool
	row     poolRow
	seen    int64 // the last sample that named it
	spell   bool  // in trouble
	peak    poolRow
	refused []refusedAt
}

type refusedAt struct{ instant, count int }

// track returns the pool of a row, nil when it is not wanted.
func (t *telling) track(id int64) (*tracked, error) {
	if p, ok := t.pools[id]; ok {
		return p, nil
	}
	name := t.poolRows[id]
	k, err := name.key()
	if err != nil {
		return nil, err
	}
	n := t.names[name.netns]
	if !t.wants(n, k) {
		t.pools[id] = nil
		return nil, nil
	}
	p := &tracked{story: &PoolStory{Netns: n.inode, Label: n.label, Key: k, id: id}}
	t.pools[id] = p
	return p, nil
}

// share is by how much a pool is used, 0 to 1, by what is certain: as in check, which
// must not cry at bounds.
func (p *poolRow) share() float64 {
	if p.capacity <= 0 || p.headroomMax <= 0 {
		return 1
	}
	if p.inexact != "" {
		return 1 - float64(p.headroomMax)/float64(p.capacity)
	}
	return 1 - float64(p.headroom)/float64(p.capacity)
}

// walk goes through all states of all pools and finds how full each was, and when it
// was in trouble.
func (t *telling) walk() error {
	return t.states("", func(p *tracked, at int) {
		time := time.UnixMilli(t.instants[at].time)
		share := 0.0
		if p.present {
			share = p.row.share()
			if p.story.PeakAt.IsZero() || share > p.peak.share() || share == p.peak.share() && p.row.taken() > p.peak.taken() {
				p.peak, p.story.PeakAt = p.row, time
			}
		}
		trouble := p.present && (share*100 >= float64(t.Crit) || p.row.headroomMax == 0)
		spells := &p.story.Spells
		switch {
		case trouble && !p.spell:
			*spells = append(*spells, Spell{From: time, To: time})
		case !trouble && p.spell:
			(*spells)[len(*spells)-1].To = time
		}
		if trouble && p.row.headroomMax == 0 {
			(*spells)[len(*spells)-1].Empty = true
		}
		p.spell = trouble
	})
}

// states calls fn for each change of a pool, with the instant at which it was: for
// what held before the first instant, with that one. where restricts the rows.
func (t *telling) states(where string, fn func(p *tracked, at int)) error {
	first := t.instants[0].id
	wholes, err := t.wholes()
	if err != nil {
		return err
	}
	var current int64
	at, inside := 0, false // of the sample at hand
	change := func(p *tracked) {
		if current >= first && inside {
			fn(p, at)
		}
	}
	settle := func() { // after a sample: what a whole one did not name is not there
		if len(wholes) == 0 || wholes[0].id != current {
			return
		}
		wholes = wholes[1:]
		for _, p := range t.pools {
			if p != nil && p.present && p.seen != current {
				p.present = false
				change(p)
			}
		}
	}
	begun := false
	step := func(sample int64) { // to the next sample
		if settle(); !begun && sample > first { // what no row of the first instant changed holds at it
			begun = true
			for _, p := range t.pools {
				if p != nil && p.present {
					fn(p, 0)
				}
			}
		}
		current = sample
		at, inside = t.find(sample)
	}
	to := func(sample int64) { // a whole sample may name no pool at all
		for len(wholes) > 0 && wholes[0].id < sample {
			if wholes[0].id > current {
				step(wholes[0].id)
			}
			settle()
		}
		step(sample)
	}
	err = t.each("SELECT "+poolColumns+" FROM pool_sample WHERE sample BETWEEN ? AND ?"+where+" ORDER BY sample, pool", func(rows *sql.Rows) error {
		sample, id, present, row, err := scanPool(rows)
		if err != nil {
			return err
		}
		if sample != current {
			to(sample)
		}
		p, err := t.track(id)
		if p == nil || err != nil {
			return err
		}
		p.present, p.row, p.seen = present, row, sample
		change(p)
		return nil
	}, t.whole, t.lastID())
	if err != nil {
		return err
	}
	to(t.lastID() + 1)
	return nil
}

// rank puts the fullest first and lets go of the others. It ends the spells that did
// not.
func (t *telling) rank() error {
	var list []*tracked
	for _, p := range t.pools {
		if p == nil || p.story.PeakAt.IsZero() && p.story.Refused == 0 {
			continue
		}
		if n := len(p.story.Spells); p.spell {
			s := &p.story.Spells[n-1]
			s.Open, s.To = true, t.Story.Until
		}
		p.story.Peak = poolOf(p.story.Key, &p.peak)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *tracked) int {
		return cmp.Or(
			-cmp.Compare(a.story.Refused, b.story.Refused),
			-cmp.Compare(a.peak.share(), b.peak.share()), -cmp.Compare(a.peak.taken(), b.peak.taken()),
			cmp.Compare(a.story.Key.Proto, b.story.Key.Proto), a.story.Key.Dst.Compare(b.story.Key.Dst), a.story.Key.Src.Compare(b.story.Key.Src),
			cmp.Compare(a.story.id, b.story.id))
	})
	if t.Top > 0 && len(list) > t.Top {
		t.Others = len(list) - t.Top
		list = list[:t.Top]
	}
	for _, p := range list {
		if err := t.peakHolders(p.story); err != nil {
			return err
		}
		t.Pools = append(t.Pools, *p.story)
	}
	return nil
}

// peakHolders finds who held most when a pool was fullest, or the first time after it
// that this was asked.
func (t *telling) peakHolders(p *PoolStory) error {
	var at sql.NullInt64
	for _, q := range []struct{ text, order string }{{"<=", "DESC"}, {">", "ASC"}} {
		if at.Valid {
			break
		}
		err := t.conn.QueryRowContext(ctx, "SELECT (SELECT h.sample FROM holder_sample h JOIN sample s ON s.id = h.sample WHERE h.pool = ? AND h.sample BETWEEN ? AND ? AND s.time "+q.text+" ? ORDER BY h.sample "+q.order+" LIMIT 1)",
			p.id, t.whole, t.lastID(), p.PeakAt.UnixMilli()).Scan(&at)
		if err != nil {
			return err
		}
	}
	if !at.Valid {
		return nil
	}
	return t.each("SELECT process, ports FROM holder_sample WHERE sample = ? AND pool = ? AND ports > 0 ORDER BY rank", func(row *sql.Rows) error {
		var process int64
		var ports int
		err := row.Scan(&process, &ports)
		who := t.process[process]
		p.Peak.Owners = append(p.Peak.Owners, pool.Owner{PID: who.PID, Command: who.Command, Cgroup: who.Cgroup, Ports: ports})
		return err
	}, at.Int64, p.id)
}

// curves goes through the states of the chosen pools again and divides the time into
// parts.
func (t *telling) curves() error {
	if t.Points == 0 || len(t.Pools) == 0 {
		return nil
	}
	t.Points = t.parts()
	refused := make(map[int64][]refusedAt)
	var ids []string
	for i := range t.Pools {
		p := &t.Pools[i]
		refused[p.id] = t.pools[p.id].refused
		ids = append(ids, fmt.Sprint(p.id))
	}
	t.pools = make(map[int64]*tracked)
	pictures := make(map[int64]*curve)
	for i := range t.Pools {
		p := &t.Pools[i]
		pictures[p.id] = &curve{telling: t, points: make([]Point, t.Points)}
	}
	if err := t.states(" AND pool IN ("+strings.Join(ids, ",")+")", func(p *tracked, at int) {
		pictures[p.story.id].to(at, p)
	}); err != nil {
		return err
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		c := pictures[p.id]
		c.to(len(t.instants)-1, nil)
		for _, f := range refused[p.id] {
			c.points[c.part(f.instant)].Refused += f.count
		}
		p.Points = c.finish()
	}
	return nil
}

// parts is into how many parts the time is divided: not more than asked for, and such
// that each has the same number of samples, or the refusals of an even rate would be
// drawn as a saw.
func (t *telling) parts() int {
	interval := t.instants[len(t.instants)-1].interval
	span := t.Story.Until.Sub(t.Story.Since).Milliseconds()
	if interval <= 0 || t.Points < 2 {
		return t.Points
	}
	samples := span/interval + 1
	each := (samples + int64(t.Points) - 1) / int64(t.Points) * interval
	return int(min(int64(t.Points), span/each+1))
}

// curve is the curve of a pool while it is drawn, from left to right.
type curve struct {
	*telling
	points  []Point
	present bool
	row     poolRow
	since   int
}

// part returns into which part of the time an instant falls.
func (c *curve) part(at int) int {
	span := c.Story.Until.Sub(c.Story.Since).Milliseconds() + 1
	return int((c.instants[at].time - c.Story.Since.UnixMilli()) * int64(len(c.points)) / span)
}

// to draws what held until an instant, and notes what holds from there on.
func (c *curve) to(at int, p *tracked) {
	if c.present {
		last := -1
		for i := c.since; i <= at; i++ {
			// A part needs to be looked at once for each state.
			if part := c.part(i); part != last && (i < at || p == nil) {
				c.mark(part)
				last = part
			}
		}
	}
	if p != nil {
		c.present, c.row, c.since = p.present, p.row, at
		if c.present {
			c.mark(c.part(at))
		}
	}
}

// mark raises a part to the state at hand.
func (c *curve) mark(part int) {
	p := &c.points[part]
	if p.Present && p.Taken >= c.row.taken() {
		p.Headroom = min(p.Headroom, c.row.headroomMax)
		return
	}
	*p = Point{Present: true, Capacity: c.row.capacity, Taken: c.row.taken(), TimeWait: c.row.timeWait, Headroom: c.row.headroomMax, Refused: p.Refused}
}

// finish gives each part its time. Parts without a sample of their own, between two
// that are close, hold what held before.
func (c *curve) finish() []Point {
	span := c.Story.Until.Sub(c.Story.Since)
	sampled := make([]bool, len(c.points))
	for i := range c.instants {
		sampled[c.part(i)] = true
	}
	for i := range c.points {
		p := &c.points[i]
		p.Time = c.Story.Since.Add(span * time.Duration(i) / time.Duration(len(c.points)))
		if i > 0 && !sampled[i] && !c.inGap(p.Time) {
			before := c.points[i-1]
			before.Time, before.Refused = p.Time, 0
			*p = before
		}
	}
	return c.points
}

func (c *curve) inGap(t time.Time) bool {
	return slices.ContainsFunc(c.Gaps, func(g Gap) bool { return t.After(g.From) && t.Before(g.To) })
}
