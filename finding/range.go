package finding

import (
	"fmt"
	"time"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

const (
	// wideFirst is where a widened range begins: above the registered ports that
	// most servers use, and even, so that with 65535 both halves are equal.
	wideFirst = 10240
	lastPort  = 65535
	// ShortDelay is what TWReuseDelay sets tcp_tw_reuse_delay to: more than the 1 to
	// 10 ms tick of the timestamp clock of Linux peers. RFC 7323 allows ticks of up to
	// one second.
	ShortDelay = 100 * time.Millisecond
)

// Wide is the range that WidenRange makes of that of a Linux host, and whether it is
// wider. Its length is even, so that connect() finds both halves equal.
func Wide(s *host.Settings) (r port.Range, wider bool) {
	r = port.Range{First: min(s.Range.First, wideFirst), Last: lastPort}
	if r.Odd() {
		r.First++
	}
	for int(r.First) < s.UnprivilegedPortStart && r.First < lastPort-1 {
		r.First += 2
	}
	return r, r.Len() > s.Range.Len()
}

// Even is a range with one port more where there is one, or one less, if it is of
// odd length.
func Even(r port.Range) port.Range {
	switch {
	case !r.Odd():
	case r.Last < lastPort:
		r.Last++
	default:
		r.First++
	}
	return r
}

// Unreserved are the ports of claims inside the range that are not reserved: what
// ReserveListeners reserves.
func Unreserved(s *host.Settings, claims claim.Claims) port.Set {
	u := claims.Set()
	u.Clip(s.Range)
	u.Subtract(&s.Reserved)
	return u
}

// Exposed are the ports of claims that connect() may be given with the next
// settings and may not be given now: what a change of the range has to reserve.
func Exposed(now, next *host.Settings, claims claim.Claims) port.Set {
	open := claims.Set()
	open.Clip(next.Range)
	open.Subtract(&next.Reserved)
	var before port.Set
	before.AddRange(now.Range)
	before.Subtract(&now.Reserved)
	open.Subtract(&before)
	return open
}

// capacity is what an empty pool gives with these settings.
func (f *Facts) capacity(s *host.Settings, proto socket.Proto) int {
	out := s.Reserved
	if proto == socket.TCP { // UDP counts who is on the same address as held
		out.Union(&f.Bound)
		if s.Range.Len() == 3 {
			out.Add(s.Range.Last) // which the search never visits
		}
	}
	return s.Range.Len() - out.LenIn(s.Range)
}

// resized is the gain of other settings for a pool, or for one that is empty.
func (f *Facts) resized(p *pool.Pool, next *host.Settings) Gain {
	proto := socket.TCP
	if p != nil {
		proto = p.Key.Proto
	}
	p = f.orEmpty(p)
	return Gain{room(p), room(p).scaled(f.capacity(next, proto), hold(p))}
}

// widen is the remedy of a wider range, if there is one to be had. Without a pool
// the gain is that of one that is empty.
func (f *Facts) widen(p *pool.Pool) []Remedy {
	switch {
	case f.System == Windows:
		return f.windowsWiden()
	case f.System != Linux || f.Settings == nil:
		return nil
	}
	r, wider := Wide(f.Settings)
	if !wider {
		return nil
	}
	m := Remedy{
		ID: WidenRange, Command: "portroom fix widen-range",
		Text:   fmt.Sprintf("widen the range to %d–%d", r.First, r.Last),
		Hazard: "a server that starts later on a port in the range, and is not reserved, may find it taken",
	}
	f.ranged(&m, r, p)
	return []Remedy{m}
}

// ranged completes a remedy that sets the range: what it reserves first, and what
// it gains.
func (f *Facts) ranged(m *Remedy, r port.Range, p *pool.Pool) {
	next := *f.Settings
	next.Range = r
	if open := Exposed(f.Settings, &next, f.Claims); open.Len() > 0 {
		next.Reserved.Union(&open)
		m.Sets = []Assignment{{"ip_local_reserved_ports", next.Reserved.String()}}
	}
	m.Sets = append(m.Sets, Assignment{"ip_local_port_range", r.String()})
	m.Gain = f.resized(p, &next)
}

// orEmpty is the pool, or without one a TCP pool off loopback with nothing in it.
func (f *Facts) orEmpty(p *pool.Pool) *pool.Pool {
	if p != nil {
		return p
	}
	n := max(0, f.ports()-f.Blocked.Total)
	seconds := timeWait
	if s := f.Settings; s != nil && s.TWReuse == 1 && s.Timestamps != 0 && s.TWReuseDelay > 0 {
		seconds = s.TWReuseDelay
	}
	return &pool.Pool{Capacity: n, CeilingPerSecond: float64(n) / seconds.Seconds()}
}
