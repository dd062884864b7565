package record

import (
	"cmp"
	"database/sql"
	"net/netip"
	"slices"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// A Query chooses what a story is about. Zero values mean everything.
type Query struct {
	Since, Until time.Time
	Proto        socket.Proto
	Src          netip.Addr
	Dst          netip.Addr
	DstPort      uint16
	Netns        uint64 // inode number
	Label        string // of a namespace

	Top    int // how many pools, the tightest first; 0 for all
	Points int // into how many parts the time is divided for the curves, at most; 0 for none
	Crit   int // percent of the capacity from which a pool is in trouble, 0 for 90
}

func (q *Query) wants(netns named, k pool.Key) bool { return q.Wants(netns.inode, netns.label, k) }

// Wants reports whether a query is about a pool of a namespace.
func (q *Query) Wants(inode uint64, label string, k pool.Key) bool {
	return (q.Proto == 0 || q.Proto == k.Proto) &&
		(!q.Src.IsValid() || q.Src == k.Src) &&
		(!q.Dst.IsValid() || q.Dst == k.Dst.Addr()) &&
		(q.DstPort == 0 || q.DstPort == k.Dst.Port()) &&
		(q.Netns == 0 || q.Netns == inode) && (q.Label == "" || q.Label == label)
}

// A Story is what happened in a stretch of time.
type Story struct {
	Since, Until time.Time // as far as anything was recorded
	Samples      int
	Gaps         []Gap

	Pools    []PoolStory // those that were fullest, first
	Others   int         // how many more there were
	Refusals []RefusalAt // in the order of time
	Refused  int         // connects
	Changes  []Change
	Findings []FindingAt
	Events   []EventAt
}

// A Gap is a time in which nothing was recorded.
type Gap struct{ From, To time.Time }

// PoolStory is what happened to a pool.
type PoolStory struct {
	Netns   uint64
	Label   string
	Key     pool.Key
	Peak    pool.Pool // as it was when it was fullest
	PeakAt  time.Time
	Refused int     // connects
	Spells  []Spell // in which it was in trouble
	Points  []Point // the curve

	id int64
}

// A Spell is a time in which a pool was in trouble: held to the critical share, or
// without a port.
type Spell struct {
	From, To time.Time
	Empty    bool // there was no port left at some time
	Open     bool // it had not ended
}

// A Point is the fullest state of a pool in a part of the time.
type Point struct {
	Time     time.Time
	Present  bool // false: there was no such pool, or nothing was recorded
	Capacity int
	Taken    int // held, without what could be reused
	TimeWait int
	Headroom int
	Refused  int // connects in this part
}

// RefusalAt is a refusal and the time of the sample that brought it.
type RefusalAt struct {
	Time time.Time
	Refusal
}

// Change is a setting that became another.
type Change struct {
	Time                time.Time
	Netns               uint64
	Label               string
	Name, Before, Value string
}

// FindingAt is a finding and when it was there.
type FindingAt struct {
	Netns           uint64
	Label           string
	From, To        time.Time
	finding.Finding       // as it was at its gravest
	Open            bool  // it was still there at the end
	seen            int64 // the last sample that named it
}

// EventAt is an event and its time.
type EventAt struct {
	Time time.Time
	Event
}

// instant is a sample as the walk through a story knows it.
type instant struct {
	id       int64
	time     int64
	interval int64
	whole    bool
}

// telling is a story while it is put together.
type telling struct {
	*Record
	Query
	*Story
	instants []instant
	whole    int64 // the sample from which states are added up
	pools    map[int64]*tracked
}

// Story returns what happened.
func (r *Record) Story(q Query) (*Story, error) {
	if q.Crit == 0 {
		q.Crit = 90
	}
	if q.Until.IsZero() {
		q.Until = time.UnixMilli(1 << 62 / 1_000_000)
	}
	t := &telling{Record: r, Query: q, Story: &Story{}, pools: make(map[int64]*tracked)}
	for _, step := range []func() error{t.samples, t.refusals, t.walk, t.rank, t.curves, t.changes, t.findings, t.events} {
		if err := step(); err != nil {
			return nil, r.failed(err)
		}
		if t.Samples == 0 {
			break
		}
	}
	return t.Story, nil
}

// samples finds the samples of the time in question, and where some are missing.
func (t *telling) samples() error {
	err := t.each("SELECT id, time, interval, whole FROM sample WHERE time BETWEEN ? AND ? ORDER BY id", func(row *sql.Rows) error {
		var i instant
		err := row.Scan(&i.id, &i.time, &i.interval, &i.whole)
		if n := len(t.instants); n > 0 {
			if last := t.instants[n-1]; gap(last.time, i) {
				t.Gaps = append(t.Gaps, Gap{time.UnixMilli(last.time), time.UnixMilli(i.time)})
			}
		}
		t.instants = append(t.instants, i)
		return err
	}, t.Query.Since.UnixMilli(), t.Query.Until.UnixMilli())
	if err != nil || len(t.instants) == 0 {
		return err
	}
	t.Samples = len(t.instants)
	first, last := t.instants[0].time, t.instants[0].time
	for _, i := range t.instants {
		first, last = min(first, i.time), max(last, i.time)
	}
	t.Story.Since, t.Story.Until = time.UnixMilli(first), time.UnixMilli(last)
	t.whole, err = t.wholeBefore(t.instants[0].id)
	return err
}

// gap reports whether a sample came much later after another than it was meant to.
func gap(last int64, i instant) bool {
	const grace = 2000
	return i.time-last > 3*i.interval+grace
}

// wholes are the whole samples from the one from which states are added up.
func (t *telling) wholes() (list []instant, err error) {
	err = t.each("SELECT id, time FROM sample WHERE whole AND id BETWEEN ? AND ? ORDER BY id", func(row *sql.Rows) error {
		i := instant{whole: true}
		err := row.Scan(&i.id, &i.time)
		list = append(list, i)
		return err
	}, t.whole, t.lastID())
	return list, err
}

func (t *telling) lastID() int64 { return t.instants[len(t.instants)-1].id }

// find returns the place of a sample among the instants, or where it would be.
func (t *telling) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(t.instants, id, func(i instant, id int64) int { return cmp.Compare(i.id, id) })
}

func (t *telling) refusals() error {
	wanted := make(map[int64]*Refusal)
	return t.each("SELECT sample, pool, process, errno, reason, count FROM refusal WHERE sample BETWEEN ? AND ? ORDER BY sample, pool, process", func(row *sql.Rows) error {
		var sample, id, process int64
		var f Refusal
		if err := row.Scan(&sample, &id, &process, &f.Errno, &f.Reason, &f.Count); err != nil {
			return err
		}
		i, ok := t.find(sample)
		if !ok {
			return nil
		}
		about, ok := wanted[id]
		if !ok {
			name := t.poolRows[id]
			k, err := name.key()
			if err != nil {
				return err
			}
			if n := t.names[name.netns]; t.wants(n, k) {
				about = &Refusal{Netns: n.inode, Label: n.label, Key: k}
			}
			wanted[id] = about
		}
		if about == nil {
			return nil
		}
		f.Netns, f.Label, f.Key, f.Process = about.Netns, about.Label, about.Key, t.process[process]
		t.Refused += f.Count
		t.Refusals = append(t.Refusals, RefusalAt{time.UnixMilli(t.instants[i].time), f})
		p, err := t.track(id)
		if err != nil {
			return err
		}
		p.story.Refused += f.Count
		if t.Points > 0 {
			p.refused = append(p.refused, refusedAt{i, f.Count})
		}
		return nil
	}, t.instants[0].id, t.lastID())
}

func (t *telling) changes() error {
	return t.each("SELECT sample, netns, name, before, value FROM setting WHERE sample BETWEEN ? AND ? AND before IS NOT NULL ORDER BY sample, netns, name", func(row *sql.Rows) error {
		var sample, netns int64
		var c Change
		if err := row.Scan(&sample, &netns, &c.Name, &c.Before, &c.Value); err != nil {
			return err
		}
		n := t.names[netns]
		if i, ok := t.find(sample); ok && t.wantsNamespace(n) {
			c.Time, c.Netns, c.Label = time.UnixMilli(t.instants[i].time), n.inode, n.label
			t.Changes = append(t.Changes, c)
		}
		return nil
	}, t.instants[0].id, t.lastID())
}

func (t *telling) wantsNamespace(n named) bool {
	return (t.Netns == 0 || t.Netns == n.inode) && (t.Label == "" || t.Label == n.label)
}

func (t *telling) events() error {
	return t.each("SELECT time, kind, text FROM event WHERE time BETWEEN ? AND ? ORDER BY id", func(row *sql.Rows) error {
		var at int64
		var e EventAt
		err := row.Scan(&at, &e.Kind, &e.Text)
		e.Time = time.UnixMilli(at)
		t.Events = append(t.Events, e)
		return err
	}, t.Query.Since.UnixMilli(), t.Query.Until.UnixMilli())
}

// findings puts together when each was there.
func (t *telling) findings() error {
	type name struct {
		netns int64
		code  string
	}
	open := make(map[name]*FindingAt)
	end := func(n name, f *FindingAt, at time.Time) {
		delete(open, n)
		if f.To = at; !at.Before(t.Story.Since) {
			t.Findings = append(t.Findings, *f)
		}
	}
	wholes, err := t.wholes()
	if err != nil {
		return err
	}
	// to ends what the whole samples before one do not name; what they do is seen.
	var current int64
	to := func(sample int64) {
		for ; len(wholes) > 0 && wholes[0].id < sample; wholes = wholes[1:] {
			for n, f := range open {
				if f.seen < wholes[0].id {
					end(n, f, time.UnixMilli(wholes[0].time))
				}
			}
		}
		current = sample
	}
	err = t.each(`SELECT f.netns, f.code, f.present, f.name, f.severity, f.title, f.evidence, f.remedies, f.sample, s.time
		FROM finding_sample f JOIN sample s ON s.id = f.sample WHERE f.sample BETWEEN ? AND ? ORDER BY f.sample, f.netns, f.code`, func(row *sql.Rows) error {
		var sample, at int64
		netns, present, f, err := scanFinding(row, &sample, &at)
		if err != nil {
			return err
		}
		if sample != current {
			to(sample)
		}
		n := name{netns, f.Code}
		if !t.wantsNamespace(t.names[netns]) {
			return nil
		}
		o := open[n]
		switch {
		case !present:
			if o != nil {
				end(n, o, time.UnixMilli(at))
			}
			return nil
		case o == nil:
			o = &FindingAt{Netns: t.names[netns].inode, Label: t.names[netns].label, From: time.UnixMilli(at), Finding: f}
			open[n] = o
		case f.Severity >= o.Severity:
			o.Finding = f
		}
		o.seen = sample
		return nil
	}, t.whole, t.lastID())
	if err != nil {
		return err
	}
	to(t.lastID() + 1)
	for n, f := range open {
		f.Open = true
		end(n, f, t.Story.Until)
	}
	slices.SortFunc(t.Findings, func(a, b FindingAt) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), a.From.Compare(b.From), cmp.Compare(a.Code, b.Code))
	})
	return nil
}
