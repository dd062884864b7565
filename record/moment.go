package record

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
)

// A Moment is the state of a host as it was.
type Moment struct {
	Sample   int64
	Time     time.Time
	Interval time.Duration // since the sample before, as it was meant
	// Next is when the next sample was taken, zero for none. When that is long after,
	// nothing was recorded in between.
	Next time.Time

	Namespaces []Namespace
}

// ErrNoSample says that nothing was recorded at or before a time.
var ErrNoSample = errors.New("nothing had been recorded by then")

// At returns the state at a time: that of the last sample before it. Where the clock
// was set back and a time occurred twice, it is the later one.
func (r *Record) At(t time.Time) (*Moment, error) {
	m := &Moment{}
	var at, interval int64
	err := r.conn.QueryRowContext(ctx, "SELECT id, time, interval FROM sample WHERE time <= ? ORDER BY time DESC, id DESC LIMIT 1", t.UnixMilli()).Scan(&m.Sample, &at, &interval)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoSample
	}
	if err != nil {
		return nil, r.failed(err)
	}
	m.Time, m.Interval = time.UnixMilli(at), time.Duration(interval)*time.Millisecond
	var next int64
	switch err := r.conn.QueryRowContext(ctx, "SELECT time FROM sample WHERE id > ? ORDER BY id LIMIT 1", m.Sample).Scan(&next); {
	case err == nil:
		m.Next = time.UnixMilli(next)
	case !errors.Is(err, sql.ErrNoRows):
		return nil, r.failed(err)
	}
	whole, err := r.wholeBefore(m.Sample)
	if err != nil {
		return nil, r.failed(err)
	}
	if err := r.rebuild(m, whole); err != nil {
		return nil, r.failed(err)
	}
	return m, nil
}

// wholeBefore returns the last whole sample up to this one.
func (r *Record) wholeBefore(id int64) (whole int64, err error) {
	err = r.conn.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM sample WHERE whole AND id <= ?", id).Scan(&whole)
	return whole, err
}

// rebuild adds up the rows from a whole sample to that of the moment.
func (r *Record) rebuild(m *Moment, whole int64) error {
	spaces := make(map[int64]*Namespace)
	if err := r.each("SELECT netns, present, first, last, by, status, verdict, limited FROM netns_sample WHERE sample BETWEEN ? AND ? ORDER BY sample, netns", func(row *sql.Rows) error {
		var id int64
		var present bool
		var by string
		n := &Namespace{}
		if err := row.Scan(&id, &present, &n.Range.First, &n.Range.Last, &by, &n.Status, &n.Verdict, &n.Limited); err != nil {
			return err
		}
		if !present {
			delete(spaces, id)
			return nil
		}
		if err := json.Unmarshal([]byte(by), &n.Blocked); err != nil {
			return fmt.Errorf("who blocked ports: %w", err)
		}
		n.ID, n.Label = r.names[id].inode, r.names[id].label
		spaces[id] = n
		return nil
	}, whole, m.Sample); err != nil {
		return err
	}
	if err := r.rebuildPools(m, whole, spaces); err != nil {
		return err
	}
	if err := r.rebuildSettings(m, whole, spaces); err != nil {
		return err
	}
	if err := r.rebuildFindings(m, whole, spaces); err != nil {
		return err
	}
	for _, n := range spaces {
		m.Namespaces = append(m.Namespaces, *n)
	}
	slices.SortFunc(m.Namespaces, func(a, b Namespace) int { return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID)) })
	return nil
}

func (r *Record) rebuildPools(m *Moment, whole int64, spaces map[int64]*Namespace) error {
	rows := make(map[int64]poolRow)
	born := make(map[int64]int64) // the sample in which a pool came
	if err := r.each("SELECT "+poolColumns+" FROM pool_sample WHERE sample BETWEEN ? AND ? ORDER BY sample, pool", func(row *sql.Rows) error {
		sample, id, present, p, err := scanPool(row)
		if _, there := rows[id]; !there {
			born[id] = sample
		}
		if present {
			rows[id] = p
		} else {
			delete(rows, id)
		}
		return err
	}, whole, m.Sample); err != nil {
		return err
	}
	owners := make(map[int64][]pool.Owner)
	if err := r.each("SELECT sample, pool, rank, process, ports FROM holder_sample WHERE sample BETWEEN ? AND ? ORDER BY sample, pool, rank", func(row *sql.Rows) error {
		var sample, id, process int64
		var rank, ports int
		if err := row.Scan(&sample, &id, &rank, &process, &ports); err != nil {
			return err
		}
		if rank == 0 {
			owners[id] = nil
		}
		if ports > 0 && sample >= born[id] {
			p := r.process[process]
			owners[id] = append(owners[id], pool.Owner{PID: p.PID, Command: p.Command, Cgroup: p.Cgroup, Ports: ports})
		}
		return nil
	}, whole, m.Sample); err != nil {
		return err
	}
	for id, row := range rows {
		name := r.poolRows[id]
		n := spaces[name.netns]
		if n == nil {
			continue
		}
		k, err := name.key()
		if err != nil {
			return err
		}
		p := poolOf(k, &row)
		p.Owners = owners[id]
		n.Pools = append(n.Pools, p)
	}
	for _, n := range spaces {
		slices.SortFunc(n.Pools, pool.Tighter)
	}
	return nil
}

func (r *Record) rebuildSettings(m *Moment, whole int64, spaces map[int64]*Namespace) error {
	type name struct {
		netns int64
		name  string
	}
	values := make(map[name]string)
	var order []name
	if err := r.each("SELECT netns, name, value FROM setting WHERE sample BETWEEN ? AND ? ORDER BY sample, netns, name", func(row *sql.Rows) error {
		var n name
		var value string
		err := row.Scan(&n.netns, &n.name, &value)
		if _, ok := values[n]; !ok {
			order = append(order, n)
		}
		values[n] = value
		return err
	}, whole, m.Sample); err != nil {
		return err
	}
	for _, n := range order {
		if s := spaces[n.netns]; s != nil {
			s.Settings = append(s.Settings, Setting{n.name, values[n]})
		}
	}
	return nil
}

func (r *Record) rebuildFindings(m *Moment, whole int64, spaces map[int64]*Namespace) error {
	found := make(map[int64]map[string]finding.Finding)
	if err := r.each("SELECT netns, code, present, name, severity, title, evidence, remedies FROM finding_sample WHERE sample BETWEEN ? AND ? ORDER BY sample, netns, code", func(row *sql.Rows) error {
		netns, present, f, err := scanFinding(row)
		switch {
		case err != nil:
			return err
		case !present:
			delete(found[netns], f.Code)
		case found[netns] == nil:
			found[netns] = map[string]finding.Finding{f.Code: f}
		default:
			found[netns][f.Code] = f
		}
		return nil
	}, whole, m.Sample); err != nil {
		return err
	}
	for id, list := range found {
		n := spaces[id]
		if n == nil {
			continue
		}
		for _, f := range list {
			n.Findings = append(n.Findings, f)
		}
		slices.SortFunc(n.Findings, func(a, b finding.Finding) int { return graver(&a, &b) })
	}
	return nil
}

func scanFinding(row *sql.Rows, more ...any) (netns int64, present bool, f finding.Finding, err error) {
	var severity, evidence, remedies string
	if err = row.Scan(append([]any{&netns, &f.Code, &present, &f.Name, &severity, &f.Title, &evidence, &remedies}, more...)...); err != nil {
		return netns, present, f, err
	}
	return netns, present, f, readColumns(&f, severity, evidence, remedies)
}
