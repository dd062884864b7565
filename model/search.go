package model

import (
	"math/rand/v2"
)

// A Ports is one pool's ports with the search of its system: who asks gets the port
// that the system would give, and how many it looked at.
type Ports struct {
	n      int // ports in the range
	first  int // the low end
	set    [2]freeSet
	kind   Search
	blocks int // ports that are never given
	hints  *hints
	key    uint64 // the hash of the addresses
	cursor int
	rng    *rand.Rand
}

// hints are the counters that destinations share (table_perturb in
// inet_hashtables.c; before 5.12 one static variable).
type hints struct{ table []uint32 }

// NewPorts makes the ports of an empty pool.
func NewPorts(p *Pool, rng *rand.Rand) *Ports {
	return newPorts(p, rng, &hints{make([]uint32, max(1, p.Hints))})
}

func newPorts(p *Pool, rng *rand.Rand, h *hints) *Ports {
	capacity := int(p.Capacity.Low)
	s := &Ports{n: capacity, kind: p.Search, hints: h, key: rng.Uint64(), rng: rng}
	if p.Range.First > 0 {
		s.n, s.first = p.Range.Len(), int(p.Range.First)
	}
	if s.parities() {
		s.set = [2]freeSet{newFreeSet((s.n + 1) / 2), newFreeSet(s.n / 2)}
	} else {
		s.set = [2]freeSet{newFreeSet(s.n), {}}
	}
	for port := range p.Reserved.All() {
		if p.Range.First > 0 && p.Range.Contains(port) {
			s.block(int(port) - s.first)
		}
	}
	// Which ports the listeners have is not said.
	odd := 0
	if s.kind == ParityConnect && s.n%2 == 1 && s.blocks == 0 {
		odd = 1 // one end is out of reach by itself
	}
	for s.n-odd-s.blocks > capacity {
		if i := rng.IntN(s.n); s.has(i) {
			s.block(i)
		}
	}
	return s
}

func (s *Ports) parities() bool { return s.kind == ParityConnect || s.kind == ParityBind }

// split tells where a port, counted from the low end, stands.
func (s *Ports) split(i int) (set *freeSet, at int) {
	if s.parities() {
		return &s.set[i&1], i >> 1
	}
	return &s.set[0], i
}

func (s *Ports) has(i int) bool {
	set, at := s.split(i)
	return set.has(at)
}

func (s *Ports) block(i int) {
	set, at := s.split(i)
	set.remove(at)
	s.blocks++
}

// Release gives a port back.
func (s *Ports) Release(i int) {
	set, at := s.split(i)
	set.add(at)
}

// Take gives a free port, counted from the low end of the range, and how many ports
// were looked at, in vain also.
func (s *Ports) Take() (i, looked int, ok bool) {
	switch s.kind {
	case ParityConnect:
		i, looked = s.connect()
	case ParityBind:
		i, looked = s.bind()
	case HashedStart:
		i, looked = s.hashed()
	case NATRounds:
		i, looked = s.rounds()
	case RandomStart:
		i, looked = s.set[0].scan(s.rng.IntN(s.n), 0, s.n)
	case Sequential:
		if i, looked = s.set[0].scan(s.cursor, 0, s.n); i >= 0 {
			s.cursor = (i + 1) % s.n
		}
	default:
		i, looked = s.set[0].scan(0, 0, s.n)
	}
	if i < 0 {
		return 0, looked, false
	}
	set, at := s.split(i)
	set.remove(at)
	return i, looked, true
}

// start is the offset that the hashed searches begin at, and the counter it is
// taken from.
func (s *Ports) start(remaining int) (offset int, hint *uint32) {
	hint = &s.hints.table[s.key&uint64(len(s.hints.table)-1)]
	return int((*hint + uint32(s.key>>32)) % uint32(remaining)), hint
}

// advance moves the counter past what was scanned, in 5.19 and later by a random
// distance at least, before by one more at times.
func (s *Ports) advance(hint *uint32, scanned, step int) {
	if len(s.hints.table) == 1<<16 {
		scanned = max(scanned, s.rng.IntN(8)*step)
	} else if scanned == 0 && s.rng.IntN(16) == 0 {
		scanned = step
	}
	*hint += uint32(scanned + step)
}

// connect is __inet_hash_connect of Linux 4.2 and later.
func (s *Ports) connect() (i, looked int) {
	remaining := s.n
	if remaining > 1 {
		remaining &^= 1
	}
	offset, hint := s.start(remaining)
	start := offset >> 1
	lo, hi := 0, s.set[0].n
	if s.n%2 == 1 && s.n > 1 {
		// The loop makes one step fewer than there are ports of this parity.
		if start == 0 {
			hi--
		} else {
			lo++
		}
	}
	if at, n := s.set[0].scan(start, lo, hi); at >= 0 {
		s.advance(hint, 2*(n-1), 2)
		return 2 * at, n
	} else {
		looked = n
	}
	if s.set[1].n == 0 {
		return -1, looked
	}
	at, n := s.set[1].scan(min(start, s.set[1].n-1), 0, s.set[1].n)
	if at < 0 {
		return -1, looked + n
	}
	s.advance(hint, 2*(n-1), 2)
	return 2*at + 1, looked + n
}

// bind is inet_csk_find_open_port: a random start, the odd offsets first.
func (s *Ports) bind() (i, looked int) {
	for parity := 1; parity >= 0; parity-- {
		set := &s.set[parity]
		if set.n == 0 {
			continue
		}
		at, n := set.scan(s.rng.IntN(set.n), 0, set.n)
		looked += n
		if at >= 0 {
			return 2*at + parity, looked
		}
	}
	return -1, looked
}

// hashed is the search before 4.2, and that of a socket with IP_LOCAL_PORT_RANGE.
func (s *Ports) hashed() (i, looked int) {
	offset, hint := s.start(s.n)
	at, n := s.set[0].scan(offset, 0, s.n)
	if at >= 0 {
		s.advance(hint, n-1, 1)
	}
	return at, n
}

// The inside's ports: those that a Linux host would choose.
const insideFirst, insidePorts = 32768, 28232

// rounds is nf_nat_l4proto_unique_tuple.
func (s *Ports) rounds() (i, looked int) {
	if inside := insideFirst + s.rng.IntN(insidePorts) - s.first; inside >= 0 && inside < s.n {
		if looked++; s.set[0].has(inside) {
			return inside, looked
		}
	}
	for attempts := min(128, s.n); ; attempts /= 2 {
		start := s.rng.IntN(1<<16) % s.n
		if at, n := s.set[0].scan(start, 0, s.n); at >= 0 && n <= attempts {
			return at, looked + n
		}
		looked += attempts
		if attempts >= s.n || attempts < 16 {
			return -1, looked
		}
	}
}
