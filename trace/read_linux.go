package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/portroom/portroom/trace/bpf"
)

// chunk is how many rows are read at a time, and how many unused ones in a row end
// the reading: rows are given out from the front.
const chunk = 512

// rest is how long a flow must have been quiet, without an open connection, before
// its row may go to another. It is longer than a TIME_WAIT, whose owner is found
// through the row. A variable for the tests, which have no time for a rest.
var rest = 70 * time.Second

// book is what is remembered of the rows between two readings.
type book struct {
	buf     []bpf.TraceRow
	keys    []uint32
	rows    map[uint32]*page
	retired Counts
}

// page is what is remembered of one row.
type page struct {
	since    uint64
	events   uint64 // connects and ends: changes whenever anything is counted
	quiet    time.Time
	unlinked bool // the flow no longer leads to this row
}

// Read returns what was counted since Start. Rows that have long been quiet are given
// to other flows when they become scarce; their counts go to Retired once they were
// in a result.
func (t *Tracer) Read() (*Aggregates, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	a := &Aggregates{At: time.Now(), Retired: t.book.retired}
	var perCPU []bpf.TraceTotals
	if err := t.objects.Totals.Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read the totals of the trace: %w", err)
	}
	for i := range perCPU {
		c := &perCPU[i]
		a.Total.Connects += c.Connects
		a.Total.Refused += c.Refused
		a.Total.RefusedBound += c.RefusedBound
		a.Total.Failed += c.Failed
		a.Total.Closed += c.Closed
		a.Lost.Connects += c.Rowless
		a.Lost.Refused += c.RowlessRefused
		a.Lost.Followed += c.Lost
		a.Lost.Owners += c.OwnersLost
		a.Lost.Events += c.Dropped
		a.Limited += c.Limited
	}
	used, err := t.used()
	if err != nil {
		return nil, err
	}
	for _, u := range used {
		flow := flowOf(&u.row.Flow)
		a.Rows = append(a.Rows, Row{
			ID: u.row.Since<<20 | uint64(u.index), Flow: flow, Command: text(u.row.Comm[:]),
			Cgroup: t.groups.of(t.objects.Cgroups, &flow), Counts: countsOf(&u.row),
		})
	}
	return a, t.retire(a.At, used)
}

// used is a row that a flow has.
type used struct {
	index uint32
	row   bpf.TraceRow
}

func (t *Tracer) used() ([]used, error) {
	b := &t.book
	if b.buf == nil {
		b.buf, b.keys = make([]bpf.TraceRow, chunk), make([]uint32, chunk)
	}
	list := make([]used, 0, len(b.rows)+chunk/8)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := t.objects.Rows.BatchLookup(&cursor, b.keys, b.buf, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("read the rows of the trace: %w", err)
		}
		found := 0
		for i := range n {
			if b.buf[i].Flow.Netns != 0 && b.buf[i].Since != 0 {
				list = append(list, used{b.keys[i], b.buf[i]})
				found++
			}
		}
		if err != nil || found == 0 && !t.beyond(b.keys[:n]) {
			return list, nil
		}
	}
}

// beyond reports whether a row was in use with a higher number than these.
func (t *Tracer) beyond(keys []uint32) bool {
	if len(keys) == 0 {
		return false
	}
	last := keys[len(keys)-1]
	for index := range t.book.rows {
		if index > last {
			return true
		}
	}
	return false
}

// retire notes which rows are quiet, and gives back those that have been for long
// if fewer than a quarter are unused. That takes two readings: the first takes the
// flow's way to its row, the second, when whoever was on that way has passed, the
// row.
func (t *Tracer) retire(now time.Time, list []used) error {
	b := &t.book
	if b.rows == nil {
		b.rows = make(map[uint32]*page)
	}
	scarce := len(list) > int(t.objects.Rows.MaxEntries())*3/4
	for i := range list {
		u := &list[i]
		c := countsOf(&u.row)
		p := b.rows[u.index]
		if p == nil || p.since != u.row.Since {
			p = &page{since: u.row.Since, quiet: now}
			b.rows[u.index] = p
		}
		if events := c.Connects + c.Ended(); events != p.events {
			p.events, p.quiet = events, now
			continue
		}
		switch {
		case c.Open() != 0 || now.Sub(p.quiet) < rest:
		case p.unlinked:
			if err := t.objects.Rows.Put(u.index, &bpf.TraceRow{}); err != nil {
				return fmt.Errorf("clear a row of the trace: %w", err)
			}
			if err := t.objects.Unused.Put(nil, u.index); err != nil {
				return fmt.Errorf("give back a row of the trace: %w", err)
			}
			b.retired.Add(&c)
			delete(b.rows, u.index)
		case scarce:
			if err := t.objects.Flows.Delete(&u.row.Flow); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("take a row of the trace from its flow: %w", err)
			}
			p.unlinked = true
		}
	}
	return nil
}

func flowOf(f *bpf.TraceFlow) Flow {
	return Flow{
		Netns: uint64(f.Netns), Src: netip.AddrFrom16(f.Src).Unmap(),
		Dst:     netip.AddrPortFrom(netip.AddrFrom16(f.Dst).Unmap(), f.Dport),
		Ifindex: f.Ifindex, PID: int(f.Pid), CgroupID: f.Cgroup,
	}
}

func countsOf(r *bpf.TraceRow) Counts {
	return Counts{
		Connects: r.Connects, Refused: r.Refused, RefusedBound: r.RefusedBound, Failed: r.Failed,
		ClosedHere: r.ClosedHere, ClosedThere: r.ClosedThere, Aborted: r.Aborted, Lost: r.Lost,
		Lifetimes: r.Lifetimes,
	}
}

// text reads a C string.
func text(s []int8) string {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
