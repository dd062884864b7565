package trace

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/portroom/portroom/trace/bpf"
)

// Owners says who opened what sits in TIME_WAIT. It is a snapshot.
type Owners struct {
	byTuple map[tuple]opener
	list    []Owner // the openers
}

// tuple is what a TIME_WAIT is told by.
type tuple struct {
	src, dst     [16]byte
	netns        uint32
	sport, dport uint16
}

// live is the bit of an entry's state that says that the socket is not closed (LIVE in
// bpf/trace.bpf.c).
const live = 1 << 63

type opener struct {
	ended uint64 // by the kernel's tick
	owner int32
}

// Owners reads who opened the connections that have left a TIME_WAIT here since the
// tracer started.
func (t *Tracer) Owners() (*Owners, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	used, err := t.used()
	if err != nil {
		return nil, err
	}
	o := &Owners{byTuple: make(map[tuple]opener), list: make([]Owner, len(used))}
	byIndex := make(map[uint32]int32, len(used))
	for i := range used {
		r := &used[i].row
		flow := flowOf(&r.Flow)
		o.list[i] = Owner{flow.PID, text(r.Comm[:]), t.groups.of(t.objects.Cgroups, &flow)}
		byIndex[used[i].index] = int32(i)
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
				if s.Timewait == 0 || s.State == 0 || s.State&live != 0 {
					continue
				}
				at, ok := byIndex[s.Row]
				// A row that was given to another flow is younger than the entry.
				if !ok || s.State < used[at].row.Since {
					continue
				}
				f := &used[at].row.Flow
				k := tuple{f.Src, f.Dst, f.Netns, s.Sport, f.Dport}
				if old, ok := o.byTuple[k]; !ok || old.ended <= s.State {
					o.byTuple[k] = opener{s.State, at}
				}
			}
		}
		if err != nil {
			return o, nil
		}
	}
}

// Len returns how many connections are known of. Some may have left TIME_WAIT by now.
func (o *Owners) Len() int { return len(o.byTuple) }

// Of returns who opened the connection that is in TIME_WAIT between two addresses
// of a namespace, given by its inode number.
func (o *Owners) Of(netns uint64, src, dst netip.AddrPort) (Owner, bool) {
	k := tuple{src.Addr().As16(), dst.Addr().As16(), uint32(netns), src.Port(), dst.Port()}
	if e, ok := o.byTuple[k]; ok {
		return o.list[e.owner], true
	}
	return Owner{}, false
}
