package pool

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// Hostwide is the account of a host on which a port that any socket uses is out
// of reach for every destination: Windows and macOS. There is one pool for each
// protocol and family, whatever the addresses.
//
// Windows has an exception: inside AutoReusePortRange ([Space.Shared]) a TCP port
// need only be unique by tuple, so there each tuple is a pool, as on Linux.
//
// Make one with [NewHostwide], add every socket, and ask.
type Hostwide struct {
	spaces   []space
	sawMap   *Map
	mapProto socket.Proto
	byOwners bool
}

// A Space is what a host is set to for one protocol and family.
type Space struct {
	Proto    socket.Proto
	IPv6     bool
	Range    port.Range // the dynamic range
	Excluded port.Set   // never handed out

	// Shared is the range in which TCP ports are chosen per tuple when connect()
	// is called without bind(); nil where there is none, or it is not known.
	Shared *port.Range

	// HoldMin and HoldMax bound how long a TCP connection that this side closed
	// keeps its port: they differ where the sources do.
	HoldMin, HoldMax time.Duration

	// Unlisted says that TCP sockets that are bound and not connected are not in
	// the socket table, so that any number of ports may be held unseen.
	Unlisted bool
}

// space is a Space with what was counted.
type space struct {
	Space
	listening port.Set // by a listening TCP socket
	used      port.Set // by any other socket
	both      port.Set // of used and listening, over IPv6: occupied over IPv4 too
	maybeBoth port.Set // likewise, perhaps

	states  [socket.NumStates]int
	holders map[uint16]int32
	shared  map[tuple]*account
	tuples  map[portTuple]bool
}

// portTuple is one connection within a shared range.
type portTuple struct {
	tuple
	port uint16
}

// NewHostwide returns an empty account of a host with these spaces, at most one
// for each protocol and family.
func NewHostwide(spaces []Space, opt Options) *Hostwide {
	h := &Hostwide{byOwners: opt.Owners}
	for _, s := range spaces {
		h.spaces = append(h.spaces, space{
			Space: s, holders: make(map[uint16]int32),
			shared: make(map[tuple]*account), tuples: make(map[portTuple]bool),
		})
	}
	if opt.Map {
		h.sawMap, h.mapProto = new(Map), opt.MapProto
		for i := range h.spaces {
			if s := &h.spaces[i]; s.Proto == h.mapProto {
				for p := range s.Excluded.All() {
					h.sawMap[p] = UseReserved
				}
			}
		}
	}
	return h
}

// Spaces returns what the account was made with.
func (h *Hostwide) Spaces() []Space {
	list := make([]Space, len(h.spaces))
	for i := range h.spaces {
		list[i] = h.spaces[i].Space
	}
	return list
}

func (h *Hostwide) space(proto socket.Proto, ipv6 bool) *space {
	for i := range h.spaces {
		if s := &h.spaces[i]; s.Proto == proto && s.IPv6 == ipv6 {
			return s
		}
	}
	return nil
}

// Add takes one socket into the account. owner is its index in the
// [socket.Owners], or [socket.NoOwner]. Listening sockets must come before the
// others: a connection that was accepted on a port takes nothing more.
func (h *Hostwide) Add(s *socket.Socket, owner int32) {
	if s.SrcPort == 0 {
		return
	}
	if h.sawMap != nil && s.Proto == h.mapProto {
		h.sawMap.note(s)
	}
	sp := h.space(s.Proto, s.IPv6)
	if sp == nil {
		return
	}
	p := s.SrcPort
	if s.IPv6 && s.Src.IsUnspecified() {
		// The socket may serve IPv4 as well and then holds the port there too.
		switch s.V6Only {
		case socket.No:
			sp.both.Add(p)
		case socket.Unknown:
			sp.maybeBoth.Add(p)
		}
	}
	if s.Proto == socket.TCP && s.State == socket.Listen {
		sp.listening.Add(p)
		sp.own(p, owner)
		return
	}
	if sp.listening.Contains(p) {
		return
	}
	sp.used.Add(p)
	if h.acceptedByIPv6(sp, p) {
		return
	}
	if sp.Range.Contains(p) {
		sp.states[s.State]++
		sp.own(p, owner)
	}
	if sp.Shared != nil && sp.Shared.Contains(p) && s.DstPort != 0 {
		sp.share(s, owner)
	}
}

// acceptedByIPv6 reports whether an IPv4 socket on a port is one that an IPv6
// listener accepted.
func (h *Hostwide) acceptedByIPv6(s *space, p uint16) bool {
	six := h.space(s.Proto, true)
	return !s.IPv6 && six != nil && six.listening.Contains(p) && (six.both.Contains(p) || six.maybeBoth.Contains(p))
}

// own remembers who holds a port: the first who is known.
func (s *space) own(p uint16, owner int32) {
	if was, ok := s.holders[p]; !ok || was == socket.NoOwner {
		s.holders[p] = owner
	}
}

// share counts a connection in the pool of its tuple.
func (s *space) share(c *socket.Socket, owner int32) {
	k := tuple{c.Src, c.Dst, c.DstPort, 0}
	a := s.shared[k]
	if a == nil {
		a = &account{owners: make(map[int32]int)}
		s.shared[k] = a
	}
	if s.tuples[portTuple{k, c.SrcPort}] {
		return
	}
	s.tuples[portTuple{k, c.SrcPort}] = true
	a.states[c.State]++
	if owner != socket.NoOwner {
		a.owners[owner]++
	}
	if !s.Excluded.Contains(c.SrcPort) {
		a.held++
	}
}

// closed returns the ports that are out of the pool however it is used: excluded
// or listening.
func (s *space) closed() port.Set {
	set := s.Excluded
	set.Union(&s.listening)
	return set
}

// fromIPv6 returns the ports that IPv6 sockets may hold over IPv4 as well, and
// those that they certainly do.
func (h *Hostwide) fromIPv6(s *space) (maybe, certain port.Set) {
	six := h.space(s.Proto, true)
	if s.IPv6 || six == nil {
		return maybe, certain
	}
	return six.maybeBoth, six.both
}

// Pools returns every pool that has a socket in its range or no port at all,
// tightest first, each with the owners that have an index.
func (h *Hostwide) Pools(owners *socket.Owners) []Pool {
	var pools []Pool
	for i := range h.spaces {
		s := &h.spaces[i]
		p := h.pool(s, owners)
		seen := 0
		for _, n := range p.States {
			seen += n
		}
		if p.Held > 0 || seen > 0 || p.Capacity == 0 {
			pools = append(pools, p)
		}
		for k, a := range s.shared {
			pools = append(pools, h.sharedPool(s, k, a, &p, owners))
		}
	}
	slices.SortFunc(pools, Tighter)
	return pools
}

// Room returns the pool that connect() to a destination without bind() draws
// from: where ports are shared per tuple the one of the key, else the host-wide
// pool of its protocol and family. Of a family that the account does not have it
// is the zero Pool.
func (h *Hostwide) Room(k Key, owners *socket.Owners) Pool {
	addr := k.Dst.Addr()
	if !addr.IsValid() {
		addr = k.Src
	}
	s := h.space(k.Proto, addr.Is6() && !addr.Is4In6())
	if s == nil {
		return Pool{Key: k}
	}
	if s.Shared == nil || !k.Dst.IsValid() || !k.Src.IsValid() || k.Src.IsUnspecified() {
		return h.pool(s, owners)
	}
	tu := tuple{socket.AddrOf(k.Src), socket.AddrOf(k.Dst.Addr()), k.Dst.Port(), 0}
	a := s.shared[tu]
	if a == nil {
		a = &account{}
	}
	all := h.pool(s, nil)
	return h.sharedPool(s, tu, a, &all, owners)
}

// pool is the account of one protocol and family.
func (h *Hostwide) pool(s *space, owners *socket.Owners) Pool {
	src := netip.IPv4Unspecified()
	if s.IPv6 {
		src = netip.IPv6Unspecified()
	}
	closed := s.closed()
	maybe, certain := h.fromIPv6(s)
	held := s.used
	held.Union(&certain)
	held.Subtract(&closed)
	p := Pool{
		Key:     Key{Proto: s.Proto, Src: src},
		Range:   s.Range.Len(),
		Blocked: closed.LenIn(s.Range),
		Held:    held.LenIn(s.Range),
		States:  s.states,
	}
	p.Capacity = p.Range - p.Blocked
	p.HeadroomMax = p.Capacity - p.Held
	p.Headroom = p.HeadroomMax
	maybe.Subtract(&held)
	maybe.Subtract(&closed)
	if n := maybe.LenIn(s.Range); n > 0 {
		p.Headroom -= n
		p.because(V6Only)
	}
	s.finish(&p)
	p.BindHeadroom, p.BindHeadroomMax = p.Headroom, p.HeadroomMax
	byOwner := make(map[int32]int)
	for at, o := range s.holders {
		if o != socket.NoOwner && h.byOwners && held.Contains(at) {
			byOwner[o]++
		}
	}
	p.Owners = listOwners(byOwner, owners)
	return p
}

// sharedPool is the account of one tuple within the shared range. A port there
// that some socket bound is closed to all others; which sockets did cannot be
// seen, so each port in use anywhere is in doubt. all is the account of the whole
// space, from which bind() draws.
func (h *Hostwide) sharedPool(s *space, k tuple, a *account, all *Pool, owners *socket.Owners) Pool {
	closed := s.closed()
	maybe, certain := h.fromIPv6(s)
	used := s.used
	used.Union(&certain)
	used.Union(&maybe)
	used.Subtract(&closed)
	p := Pool{
		Key:     Key{Proto: s.Proto, Src: k.src.Netip(), Dst: netip.AddrPortFrom(k.dst.Netip(), k.dstPort)},
		Range:   s.Shared.Len(),
		Blocked: closed.LenIn(*s.Shared),
		Held:    a.held,
		States:  a.states,
	}
	p.Capacity = p.Range - p.Blocked
	p.HeadroomMax = p.Capacity - p.Held
	p.Headroom = p.Capacity - max(used.LenIn(*s.Shared), p.Held)
	if p.Headroom != p.HeadroomMax {
		p.because(SharedRange)
	}
	s.finish(&p)
	if h.byOwners {
		p.Owners = listOwners(a.owners, owners)
	}
	p.BindHeadroom, p.BindHeadroomMax = all.Headroom, all.HeadroomMax
	return p
}

// finish sets what holds for each pool of the space alike.
func (s *space) finish(p *Pool) {
	if s.Proto == socket.TCP {
		if s.Unlisted && p.HeadroomMax > 0 {
			p.Headroom = 0
			p.because(Unlisted)
		}
		if s.HoldMax > 0 {
			p.CeilingPerSecond = float64(p.Capacity) / s.HoldMax.Seconds()
		}
		if s.HoldMin > 0 && s.HoldMin != s.HoldMax {
			p.CeilingMax = float64(p.Capacity) / s.HoldMin.Seconds()
		}
	}
	p.Headroom, p.HeadroomMax = max(p.Headroom, 0), max(p.HeadroomMax, 0)
	p.settle()
}

// Blocked returns the account of the ports out of the pool of TCP over IPv4.
func (h *Hostwide) Blocked() Blocked {
	s := h.space(socket.TCP, false)
	if s == nil {
		return Blocked{}
	}
	return s.blocked()
}

func (s *space) blocked() Blocked {
	var out Blocked
	out.Kinds[Reserved] = s.Excluded.LenIn(s.Range)
	listening := s.listening
	listening.Subtract(&s.Excluded)
	out.Kinds[Listening] = listening.LenIn(s.Range)
	out.Total = out.Kinds[Reserved] + out.Kinds[Listening]
	by := make(map[int32]int)
	for p := range listening.All() {
		if s.Range.Contains(p) {
			by[s.holders[p]]++
		}
	}
	for owner, n := range by {
		out.By = append(out.By, BlockedBy{Listening, owner, n})
	}
	slices.SortFunc(out.By, func(a, b BlockedBy) int {
		return cmp.Or(-cmp.Compare(a.Ports, b.Ports), cmp.Compare(a.Owner, b.Owner))
	})
	return out
}

// PortMap returns what each port is used for, or nil if the option was not set.
func (h *Hostwide) PortMap() *Map { return h.sawMap }
