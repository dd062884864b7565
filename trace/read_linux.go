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
	pages   []page // by the number of the row
	born    uint64 // flows that were given a page
	used    int    // rows that had a flow at the last reading
	retired Counts
}

// page is what is remembered of one row.
type page struct {
	id       uint64
	since    uint64 // 0: no flow has the row
	flow     Flow
	comm     [16]int8
	command  string
	cgroup   string
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
	a := &Aggregates{At: time.Now(), Retired: t.book.retired, Rows: make([]Row, 0, t.book.used+chunk/8)}
	if err := t.totals(a); err != nil {
		return nil, err
	}
	scarce := t.book.used > int(t.objects.Rows.MaxEntries())*3/4
	err := t.walk(func(index uint32, r *bpf.TraceRow, p *page) error {
		a.Rows = append(a.Rows, Row{
			ID: p.id, Flow: p.flow, Command: p.command, Cgroup: p.cgroup, Counts: countsOf(r),
		})
		return t.retire(a.At, index, r, p, &a.Rows[len(a.Rows)-1].Counts, scarce)
	})
	t.book.used = len(a.Rows)
	return a, err
}

func (t *Tracer) totals(a *Aggregates) error {
	var perCPU []bpf.TraceTotals
	if err := t.objects.Totals.Lookup(uint32(0), &perCPU); err != nil {
		return fmt.Errorf("read the totals of the trace: %w", err)
	}
	stats, err := t.objects.SetState.Stats()
	if err != nil {
		return fmt.Errorf("read the statistics of the trace: %w", err)
	}
	a.Lost.Unseen = stats.RecursionMisses
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
	return nil
}

// walk calls fn with each row that a flow has.
func (t *Tracer) walk(fn func(uint32, *bpf.TraceRow, *page) error) error {
	b := &t.book
	if b.buf == nil {
		b.buf, b.keys = make([]bpf.TraceRow, chunk), make([]uint32, chunk)
	}
	var cursor ebpf.MapBatchCursor
	for {
		n, err := t.objects.Rows.BatchLookup(&cursor, b.keys, b.buf, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read the rows of the trace: %w", err)
		}
		last := uint32(0)
		found := false
		for i := range n {
			r := &b.buf[i]
			last = b.keys[i]
			if r.Flow.Netns == 0 || r.Since == 0 {
				continue
			}
			found = true
			if err := fn(last, r, t.page(last, r)); err != nil {
				return err
			}
		}
		if err != nil || !found && int(last) >= len(b.pages) {
			return nil
		}
	}
}

// page returns what is remembered of a row, brought up to date.
func (t *Tracer) page(index uint32, r *bpf.TraceRow) *page {
	b := &t.book
	for int(index) >= len(b.pages) {
		b.pages = append(b.pages, page{})
	}
	p := &b.pages[index]
	if p.since != r.Since {
		flow := flowOf(&r.Flow)
		b.born++
		*p = page{id: b.born, since: r.Since, flow: flow, cgroup: t.groups.of(t.objects.Cgroups, &flow)}
	}
	if p.command == "" || p.comm != r.Comm {
		p.comm, p.command = r.Comm, text(r.Comm[:])
	}
	return p
}

// retire notes whether a row is quiet, and gives it back if it has been for long and
// rows are scarce: fewer than a quarter unused. That takes two readings: the first
// takes the flow's way to its row, the second, when whoever was on that way has
// passed, the row.
func (t *Tracer) retire(now time.Time, index uint32, r *bpf.TraceRow, p *page, c *Counts, scarce bool) error {
	if events := c.Connects + c.Ended(); events != p.events || p.quiet.IsZero() {
		p.events, p.quiet = events, now
		return nil
	}
	switch {
	case c.Open() != 0 || now.Sub(p.quiet) < rest:
	case p.unlinked:
		if err := t.objects.Rows.Put(index, &bpf.TraceRow{}); err != nil {
			return fmt.Errorf("clear a row of the trace: %w", err)
		}
		if err := t.objects.Unused.Put(nil, index); err != nil {
			return fmt.Errorf("give back a row of the trace: %w", err)
		}
		t.book.retired.Add(c)
		*p = page{}
	case scarce:
		if err := t.objects.Flows.Delete(&r.Flow); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("take a row of the trace from its flow: %w", err)
		}
		p.unlinked = true
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
