package pool

import (
	"cmp"
	"slices"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// Kind is why a port is out of every pool.
type Kind uint8

// The kinds of blocked port, in the order in which one is named first.
const (
	Reserved   Kind = iota // ip_local_reserved_ports
	Listening              // a listener, on whatever address
	BoundIdle              // bound, neither listening nor connected
	BoundFirst             // bound to its port before it connected, TIME_WAIT included
	Leftover               // the bucket is still bound; the socket that bound it has gone
	OutOfReach             // the end of a range of three that the search never visits
	numKinds
)

var kindNames = [numKinds]string{"reserved", "listening", "bound", "bound-before-connect", "leftover", "out-of-reach"}

// String returns the kind's name in JSON.
func (k Kind) String() string { return kindNames[k] }

// Blocked is the account of the ports out of every TCP pool.
type Blocked struct {
	Total int
	Kinds [numKinds]int
	By    []BlockedBy // those who block most first
}

// BlockedBy is how many ports one process blocks in one way. Each port counts
// once.
type BlockedBy struct {
	Kind  Kind
	Owner int32 // index into the [socket.Owners], [socket.NoOwner] when unknown
	Ports int
}

// blockers keeps who blocks what while the table is read.
type blockers struct {
	seen [numKinds]port.Set
	by   map[uint16]blocker
}

type blocker struct {
	kind  Kind
	owner int32
}

// add says that a port is blocked in one more way. The kind that is named first
// counts, and an owner who is known.
func (b *blockers) add(k Kind, p uint16, owner int32) {
	b.seen[k].Add(p)
	if was, ok := b.by[p]; ok && (was.kind < k || was.kind == k && was.owner != socket.NoOwner) {
		return
	}
	if b.by == nil {
		b.by = make(map[uint16]blocker)
	}
	b.by[p] = blocker{k, owner}
}

// Blocked returns the account of blocked ports.
func (t *Table) Blocked() Blocked {
	var out Blocked
	rest := t.blocked
	out.Total = rest.Len()
	for k := range numKinds {
		set := t.blockers.seen[k]
		switch k {
		case Reserved:
			set = t.reserved
		case Leftover:
			continue
		}
		set.Intersect(&rest)
		out.Kinds[k] = set.Len()
		rest.Subtract(&set)
	}
	out.Kinds[Leftover] = rest.Len()
	by := make(map[blocker]int)
	for p, b := range t.blockers.by {
		if !t.reserved.Contains(p) {
			by[b]++
		}
	}
	for b, n := range by {
		out.By = append(out.By, BlockedBy{b.kind, b.owner, n})
	}
	slices.SortFunc(out.By, func(a, b BlockedBy) int {
		return cmp.Or(-cmp.Compare(a.Ports, b.Ports), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Owner, b.Owner))
	})
	return out
}

// Map is the whole port space by what is the matter with each port.
type Map [1 << 16]Use

// Use is what a port is used for; where several apply, the highest.
type Use uint8

// The uses of a port.
const (
	Free        Use = iota
	InTimeWait      // only by TIME_WAIT entries
	Connected       // by at least one live connection
	UseBound        // bound: out of every pool
	UseListen       // listening: out of every pool
	UseReserved     // reserved: never handed out

	// NumUses is one more than the highest Use.
	NumUses = int(UseReserved) + 1
)

var useNames = [NumUses]string{"free", "time-wait", "connected", "bound", "listening", "reserved"}

// String returns the name of the use in JSON.
func (u Use) String() string { return useNames[u] }

func (m *Map) note(s *socket.Socket) {
	u := Connected
	switch {
	case s.State == socket.Listen:
		u = UseListen
	case s.State == socket.BoundInactive, s.Proto == socket.UDP && s.State == socket.Closed:
		u = UseBound
	case s.State == socket.TimeWait, s.HalfOpenTimeWait:
		u = InTimeWait
	}
	m[s.SrcPort] = max(m[s.SrcPort], u)
}

// Set returns the ports of a range that have this use.
func (m *Map) Set(u Use, r port.Range) port.Set {
	var s port.Set
	for p := int(r.First); p <= int(r.Last); p++ {
		if m[p] == u {
			s.Add(uint16(p))
		}
	}
	return s
}
