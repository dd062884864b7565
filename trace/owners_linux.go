package trace

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/trace/bpf"
)

// Owners says who opened what sits in TIME_WAIT. It is a snapshot.
type Owners struct {
	byTuple map[tuple]opener
	list    []pool.Owner // the openers, without a count of ports
}

// tuple is what a TIME_WAIT is told by.
type tuple struct {
	src, dst     [16]byte
	netns        uint32
	sport, dport uint16
}

// Of struct opened in bpf/trace.bpf.c: the bit of the state that says that the socket is
// not closed, and what is known of its port.
const (
	live          = 1 << 63
	knownPort     = 1
	knownTimeWait = 2
)

type opener struct {
	at    uint64 // of two connections that had the tuple, the TIME_WAIT is the later one's
	owner int32
}

// leaves says when a connection that may be in TIME_WAIT was last heard of: when it
// ended, or, if its end was not seen, when it began.
func leaves(state, born uint64, known uint8) (at uint64, ok bool) {
	if state&live != 0 {
		return born, known == knownPort
	}
	return state, known == knownTimeWait
}

// Owners reads who opened the connections that have left a TIME_WAIT here since the
// tracer started.
func (t *Tracer) Owners() (*Owners, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	o := &Owners{byTuple: make(map[tuple]opener)}
	type at struct {
		flow  bpf.TraceFlow
		since uint64
		owner int32
	}
	byRow := make(map[uint32]at)
	err := t.walk(func(index uint32, r *bpf.TraceRow, p *page) error {
		byRow[index] = at{r.Flow, r.Since, int32(len(o.list))}
		o.list = append(o.list, pool.Owner{PID: p.flow.PID, Command: p.command, Cgroup: p.cgroup})
		return nil
	})
	if err != nil {
		return nil, err
	}
	sets, keys := make([]bpf.TraceSet, chunk), make([]uint32, chunk)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := t.objects.Sockets.BatchLookup(&cursor, keys, sets, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("read the sockets of the trace: %w", err)
		}
		for i := range n {
			for w := range sets[i].Ways {
				s := &sets[i].Ways[w]
				at, ok := leaves(s.State, s.Born, s.Known)
				if !ok {
					continue
				}
				r, ok := byRow[s.Row]
				// A row that was given to another flow is younger than the entry.
				if !ok || at < r.since {
					continue
				}
				k := tuple{r.flow.Src, r.flow.Dst, r.flow.Netns, s.Sport, r.flow.Dport}
				if old, ok := o.byTuple[k]; !ok || old.at <= at {
					o.byTuple[k] = opener{at, r.owner}
				}
			}
		}
		if err != nil {
			return o, nil
		}
	}
}

// Of returns who opened the connection that is in TIME_WAIT between two addresses
// of a namespace, given by its inode number. It is what survey.Options.Opened wants.
func (o *Owners) Of(netns uint64, src, dst netip.AddrPort) (pool.Owner, bool) {
	k := tuple{src.Addr().As16(), dst.Addr().As16(), uint32(netns), src.Port(), dst.Port()}
	if e, ok := o.byTuple[k]; ok {
		return o.list[e.owner], true
	}
	return pool.Owner{}, false
}
