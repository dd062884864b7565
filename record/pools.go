package record

import (
	"slices"
	"strings"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// poolState is a pool as the record has it.
type poolState struct {
	id      int64 // of the row in pool, 0 while it is not in the record
	row     poolRow
	written int64 // milliseconds: when the row was; or when the pool was first seen
	seen    int64 // number of the sample in which it was last there
	present bool  // the record says that it is there
	holders []holderRow
}

// poolRow is a row of pool_sample.
type poolRow struct {
	rng, capacity, held, reusable, headroom, headroomMax, bind, bindMax int
	inexact                                                             string
	ceiling, ceilingMax                                                 int
	established, timeWait, closeWait, synSent, finWait, other           int
}

type holderRow struct {
	process int64
	ports   int
}

// mostHolders is how many processes of a pool are kept.
const mostHolders = 5

func rowOf(p *pool.Pool) poolRow {
	row := poolRow{
		rng: p.Range, capacity: p.Capacity, held: p.Held, reusable: p.Reusable,
		headroom: p.Headroom, headroomMax: p.HeadroomMax, bind: p.BindHeadroom, bindMax: p.BindHeadroomMax,
		ceiling: int(p.CeilingPerSecond*10 + 0.5), ceilingMax: int(p.CeilingMax*10 + 0.5),
		established: p.States[socket.Established], timeWait: p.States[socket.TimeWait],
		closeWait: p.States[socket.CloseWait], synSent: p.States[socket.SynSent],
	}
	for _, n := range p.States {
		row.other += n
	}
	for _, s := range finWait {
		row.finWait += p.States[s]
	}
	row.other -= row.established + row.timeWait + row.closeWait + row.synSent + row.finWait
	if !p.Exact() {
		var reasons []string
		for _, r := range p.Inexact {
			reasons = append(reasons, string(r))
		}
		row.inexact = strings.Join(reasons, " ")
	}
	return row
}

// taken is what the share of a pool goes by.
func (p *poolRow) taken() int { return p.held - p.reusable }

// moved reports whether a pool changed by so much that it cannot wait: a 256th of its
// capacity, or to or from its end.
func moved(old, now *poolRow) bool {
	step := max(1, now.capacity/256)
	d := now.taken() - old.taken()
	return d >= step || -d >= step || old.capacity != now.capacity ||
		(old.headroomMax == 0) != (now.headroomMax == 0) || (old.headroom == 0) != (now.headroom == 0)
}

func (w *writing) pool(s *namespaceState, p *pool.Pool, holders bool) error {
	row := rowOf(p)
	k := s.pools[p.Key]
	if k == nil {
		k = &poolState{written: w.now, row: poolRow{capacity: row.capacity, headroom: row.headroom, headroomMax: row.headroomMax}}
		s.pools[p.Key] = k
	}
	k.seen = w.id
	write := w.whole
	switch {
	case write:
	case k.present && row == k.row:
	case w.exact || w.now-k.written >= stale:
		write = true
	default:
		write = moved(&k.row, &row)
	}
	if write {
		if err := w.writePool(s, k, p.Key, &row); err != nil {
			return err
		}
	}
	if !k.present {
		return nil
	}
	return w.holders(k, p, holders)
}

// holders writes who holds most of a pool, if that was asked and is news, or if the
// sample is whole.
func (w *writing) holders(k *poolState, p *pool.Pool, asked bool) error {
	if asked {
		list, err := w.holdersOf(p)
		if err != nil {
			return err
		}
		if !w.whole && alike(k.holders, list, max(1, p.Capacity/256)) {
			return nil
		}
		if len(list) == 0 && len(k.holders) > 0 && !w.whole {
			// That nobody is left is a row too.
			nobody, err := w.process(Process{})
			if err != nil {
				return err
			}
			k.holders = nil
			return w.insert(w.stmt.holder, w.id, k.id, 0, nobody, 0)
		}
		k.holders = list
	} else if !w.whole {
		return nil
	}
	for i, h := range k.holders {
		if err := w.insert(w.stmt.holder, w.id, k.id, i, h.process, h.ports); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) writePool(s *namespaceState, k *poolState, key pool.Key, row *poolRow) (err error) {
	if k.id == 0 {
		if k.id, err = w.poolID(s.id, key); err != nil {
			return err
		}
	}
	var inexact any
	if row.inexact != "" {
		inexact = row.inexact
	}
	k.row, k.written, k.present = *row, w.now, true
	return w.insert(w.stmt.pool, w.id, k.id, true, row.rng, row.capacity, row.held, row.reusable, row.headroom, row.headroomMax,
		row.bind, row.bindMax, inexact, row.ceiling, row.ceilingMax,
		row.established, row.timeWait, row.closeWait, row.synSent, row.finWait, row.other)
}

// holdersOf returns who holds most of a pool.
func (w *writing) holdersOf(p *pool.Pool) ([]holderRow, error) {
	var list []holderRow
	for _, o := range p.Owners[:min(len(p.Owners), mostHolders)] {
		id, err := w.process(Process{o.PID, o.Command, o.Cgroup})
		if err != nil {
			return nil, err
		}
		list = append(list, holderRow{id, o.Ports})
	}
	return list, nil
}

// alike reports whether the same processes hold about the same.
func alike(a, b []holderRow, step int) bool {
	return slices.EqualFunc(a, b, func(x, y holderRow) bool {
		return x.process == y.process && x.ports-y.ports < step && y.ports-x.ports < step
	})
}

// emptied writes the end of the pools that were not seen in this sample.
func (w *writing) emptied(s *namespaceState) error {
	for key, k := range s.pools {
		if k.seen == w.id {
			continue
		}
		delete(s.pools, key)
		if k.id != 0 {
			if _, err := w.stmt.ended.ExecContext(ctx, w.id, k.id); err != nil {
				return err
			}
		}
		if !k.present || w.whole {
			continue
		}
		row := &k.row
		if err := w.insert(w.stmt.pool, w.id, k.id, false, row.rng, row.capacity, 0, 0, row.capacity, row.capacity, 0, 0, nil, 0, 0, 0, 0, 0, 0, 0, 0); err != nil {
			return err
		}
	}
	return nil
}
