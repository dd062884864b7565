package pool

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/portroom/portroom/socket"
)

// bindRoom is what bind(src, 0) would still get, with bounds.
type bindRoom struct{ low, high int }

// Pools returns every pool that has a socket in the range, tightest first, each
// with the owners that have an index.
func (t *Table) Pools(owners *socket.Owners) []Pool {
	pools := make([]Pool, 0, len(t.tcp)+len(t.udp))
	binds := make(map[socket.Addr]bindRoom)
	for k, a := range t.tcp {
		pools = append(pools, t.tcpPool(k, a, owners, binds))
	}
	for src, a := range t.udp {
		pools = append(pools, t.udpPool(src, a, owners))
	}
	// A UDP socket that is not bound asks for a port on every address at once,
	// which is the tightest pool of its family.
	if any4 := (socket.Addr{10: 0xff, 11: 0xff}); t.udp[any4] == nil && t.bindUDP.all4.Len()+t.bindUDP.allDual.Len() > 0 {
		pools = append(pools, t.udpPool(any4, &account{}, owners))
	}
	if any6 := (socket.Addr{}); t.udp[any6] == nil && t.bindUDP.has6() {
		pools = append(pools, t.udpPool(any6, &account{}, owners))
	}
	slices.SortFunc(pools, Tighter)
	return pools
}

// Tighter orders pools: the larger share used first, then the more ports held,
// then by address.
func Tighter(a, b Pool) int {
	return cmp.Or(
		-cmp.Compare(a.Used(), b.Used()),
		-cmp.Compare(a.Held, b.Held),
		cmp.Compare(a.Key.Proto, b.Key.Proto),
		a.Key.Dst.Compare(b.Key.Dst),
		a.Key.Src.Compare(b.Key.Src),
		cmp.Compare(a.Key.Ifindex, b.Key.Ifindex),
	)
}

// Room returns the pool with this key, also one that has no socket.
func (t *Table) Room(k Key, owners *socket.Owners) Pool {
	src := socket.AddrOf(k.Src)
	if k.Proto == socket.UDP {
		a := t.udp[src]
		if a == nil {
			a = &account{}
		}
		return t.udpPool(src, a, owners)
	}
	tu := tuple{src, socket.AddrOf(k.Dst.Addr()), k.Dst.Port(), k.Ifindex}
	a := t.tcp[tu]
	if a == nil {
		a = &account{}
	}
	return t.tcpPool(tu, a, owners, make(map[socket.Addr]bindRoom))
}

func (t *Table) tcpPool(k tuple, a *account, owners *socket.Owners, binds map[socket.Addr]bindRoom) Pool {
	p := Pool{
		Key:      Key{Proto: socket.TCP, Src: k.src.Netip(), Dst: netip.AddrPortFrom(k.dst.Netip(), k.dstPort), Ifindex: k.ifindex},
		Range:    t.rng.Len(),
		Blocked:  t.blocked.Len(),
		Held:     a.held,
		Reusable: a.reusable,
		States:   a.states,
		Owners:   listOwners(a.owners, owners),
	}
	p.Capacity = p.Range - p.Blocked
	p.Knee = p.Capacity / 2
	p.CeilingPerSecond = float64(p.Capacity) / t.holdSeconds(k)

	p.HeadroomMax = p.Capacity - a.held + a.reusable + a.maybeReusable
	p.Headroom = p.Capacity - a.held + a.reusable
	firstHeld, lastHeld, maybeReusable, orphans := a.firstHeld, a.lastHeld, a.maybeReusable, a.orphans
	if k.ifindex != 0 {
		// A socket bound to no interface occupies the tuple for those bound to one
		// too, but not the other way round (inet_match).
		if open := t.tcp[tuple{k.src, k.dst, k.dstPort, 0}]; open != nil {
			p.Held = min(p.Held+open.held, p.Capacity) // some may be the same ports
			p.Reusable = min(p.Reusable+open.reusable, p.Held)
			maybeReusable += open.maybeReusable
			orphans += open.orphans
			p.Headroom -= open.held - open.reusable
			p.HeadroomMax = min(p.HeadroomMax, p.Capacity-open.held+open.reusable+open.maybeReusable)
			if a.held > 0 && open.held > 0 {
				p.because(Device)
			} else {
				p.HeadroomMax = p.Headroom + maybeReusable
			}
			firstHeld, lastHeld = firstHeld || open.firstHeld, lastHeld || open.lastHeld
		}
	}
	if maybeReusable > orphans {
		p.because(NoStamps)
	}
	if orphans > 0 {
		p.because(Orphans)
	}
	if !t.exact {
		unsure := t.unsure
		unsure.Subtract(&t.blocked)
		if n := unsure.Len(); n > 0 {
			p.Headroom = min(p.Headroom, p.Capacity-n)
			p.because(NoBuckets)
		}
		if t.hidden > 0 {
			p.Headroom -= t.hidden
			p.because(HiddenSockets)
		}
	}
	if t.interrupted {
		p.because(Interrupted)
	}
	// Certain is that all but one of the free ports are found: the search takes
	// an even number of steps, and which end it leaves out depends on where it
	// begins. Without an end port among the free there is nothing to leave out.
	endFree := !firstHeld && !t.blocked.Contains(t.rng.First) || !lastHeld && !t.blocked.Contains(t.rng.Last)
	switch {
	case t.settings.StepWidth != 0:
		p.Headroom--
		p.because(StepWidth)
	case t.rng.Odd() && t.rng.Len() > 3 && p.HeadroomMax > 0 && endFree:
		p.Headroom--
		p.because(OddRange)
	}
	p.Headroom, p.HeadroomMax = max(p.Headroom, 0), max(p.HeadroomMax, 0)
	p.settle()

	b, ok := binds[k.src]
	if !ok {
		b = t.bindRoom(k.src)
		binds[k.src] = b
	}
	p.BindHeadroom, p.BindHeadroomMax = b.low, b.high
	return p
}

func (p *Pool) because(r Reason) {
	if !slices.Contains(p.Inexact, r) {
		p.Inexact = append(p.Inexact, r)
	}
}

// settle drops reasons that turned out to make no difference.
func (p *Pool) settle() {
	if p.Headroom == p.HeadroomMax {
		p.Inexact = slices.DeleteFunc(p.Inexact, func(r Reason) bool { return r != Interrupted })
	}
}

// holdSeconds is how long a connection that this side closes keeps its port: a
// TIME_WAIT, or the delay of tcp_tw_reuse where that lets it go.
func (t *Table) holdSeconds(k tuple) float64 {
	if t.settings.Timestamps != 0 && t.reuse(k.src, k.dst, k.ifindex) {
		return t.settings.TWReuseDelay.Seconds()
	}
	return timeWait.Seconds()
}

// bindRoom counts the ports that bind(src, 0) without SO_REUSEADDR would get
// (inet_csk_find_open_port): not reserved, and no socket of an equal local
// address on them, whatever its peer and state.
func (t *Table) bindRoom(src socket.Addr) bindRoom {
	taken, maybe := t.bindTCP.conflicts(src)
	taken.Union(&t.reserved)
	free := t.rng.Len() - taken.LenIn(t.rng)
	b := bindRoom{low: free, high: free}
	if t.rng.Len() == 3 && !taken.Contains(t.rng.Last) {
		b.low, b.high = free-1, free-1 // never visited here either
	}
	unseen := t.unseen()
	maybe.Union(&unseen)
	maybe.Subtract(&taken)
	b.low -= maybe.LenIn(t.rng) + t.hidden
	// Each search starts at a random place and leaves out one end of an odd range.
	if t.rng.Odd() && t.rng.Len() > 3 && b.high > 0 && (!taken.Contains(t.rng.First) || !taken.Contains(t.rng.Last)) {
		b.low--
	}
	b.low = max(b.low, 0)
	return b
}

// udpPool is the account of one local address: udp_lib_get_port looks at local
// addresses only, at every port of the range, and does not pass over parities.
func (t *Table) udpPool(src socket.Addr, a *account, owners *socket.Owners) Pool {
	taken, maybe := t.bindUDP.conflicts(src)
	taken.Subtract(&t.reserved)
	maybe.Subtract(&t.reserved)
	p := Pool{
		Key:     Key{Proto: socket.UDP, Src: src.Netip()},
		Range:   t.rng.Len(),
		Blocked: t.reserved.Len(),
		Held:    taken.LenIn(t.rng),
		States:  a.states,
		Owners:  listOwners(a.owners, owners),
	}
	p.Capacity = p.Range - p.Blocked
	p.HeadroomMax = p.Capacity - p.Held
	p.Headroom = p.HeadroomMax - maybe.LenIn(t.rng)
	if p.Headroom != p.HeadroomMax {
		p.because(V6Only)
	}
	if t.interrupted {
		p.because(Interrupted)
	}
	p.BindHeadroom, p.BindHeadroomMax = p.Headroom, p.HeadroomMax
	return p
}

func listOwners(m map[int32]int, owners *socket.Owners) []Owner {
	if len(m) == 0 || owners == nil {
		return nil
	}
	list := make([]Owner, 0, len(m))
	for i, n := range m {
		o := owners.At(i)
		list = append(list, Owner{PID: o.PID, Command: o.Command, Ports: n})
	}
	slices.SortFunc(list, func(a, b Owner) int {
		return cmp.Or(-cmp.Compare(a.Ports, b.Ports), cmp.Compare(a.PID, b.PID))
	})
	return list
}
