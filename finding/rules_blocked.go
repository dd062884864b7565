package finding

import (
	"fmt"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

// ports is how many ports the range has; 0 when the settings are not known.
func (f *Facts) ports() int {
	if f.Settings == nil {
		return 0
	}
	return f.Settings.Range.Len()
}

// tightest is the tightest TCP pool off loopback, the tightest of all when there is
// no other, nil when there is none.
func (f *Facts) tightest() *pool.Pool {
	var first *pool.Pool
	for i := range f.Pools {
		p := &f.Pools[i]
		if !tcp(p) {
			continue
		}
		if !p.Key.Src.IsLoopback() {
			return p
		}
		if first == nil {
			first = p
		}
	}
	return first
}

// freed is the gain of getting n blocked ports back: of the tightest pool, or of
// an empty one.
func (f *Facts) freed(n int) Gain {
	p := f.orEmpty(f.tightest())
	h := hold(p)
	if h == 0 {
		h = timeWait.Seconds()
	}
	return Gain{room(p), room(p).scaled(p.Capacity+n, h)}
}

// blockers writes who blocks ports in one of these ways.
func (f *Facts) blockers(kinds ...pool.Kind) []string {
	var out []string
	hidden := 0
	for _, b := range f.Blockers {
		for _, k := range kinds {
			if b.Kind != k {
				continue
			}
			if len(out) == most {
				hidden++
				continue
			}
			who := process(b.Command, b.PID)
			if b.Command == "" && k == pool.BoundFirst {
				who = "TIME_WAIT entries, or another user's process"
			}
			out = append(out, fmt.Sprintf("%s by %s", count(b.Ports, "port"), who))
		}
	}
	if hidden > 0 {
		out = append(out, "and "+count(hidden, "more process"))
	}
	return out
}

func bindNoPort(n int, p *pool.Pool) Remedy {
	m := Remedy{
		ID: AppBindNoPort,
		Text: fmt.Sprintf("set IP_BIND_ADDRESS_NO_PORT (Linux 4.2) before bind(address, 0), or do not bind: the kernel then chooses the port in connect(), and every destination has %s more",
			count(n, "port")),
	}
	if p != nil {
		m.Gain = Gain{room(p), room(p).scaled(p.Capacity+n, hold(p))}
	}
	return m
}

func bindBeforeConnect(f *Facts) *Finding {
	first, left := f.Blocked.Kinds[pool.BoundFirst], f.Blocked.Kinds[pool.Leftover]
	if first == 0 {
		return nil
	}
	out := &Finding{Severity: Info}
	if 100*(first+left) >= crowd*f.ports() {
		out.Severity = Warning
	}
	if f.Blocked.Total >= f.ports() {
		out.Severity = Critical
	}
	who := ""
	for _, b := range f.Blockers {
		if b.Kind == pool.BoundFirst && b.Command != "" {
			who = " by " + process(b.Command, b.PID)
			break
		}
	}
	if who == "" && 100*(first+left) < f.ports() {
		return nil // what a server that was restarted leaves behind looks the same
	}
	out.Title = fmt.Sprintf("%s bound before connecting%s, which takes them from every destination", wasWere(first), who)
	out.Evidence = f.blockers(pool.BoundFirst)
	if left > 0 {
		out.Evidence = append(out.Evidence, fmt.Sprintf("%s still closed by what bound sockets left behind", count(left, "port")))
	}
	m := bindNoPort(first+left, nil)
	m.Gain = f.freed(first + left)
	out.Remedies = append([]Remedy{m}, f.widen(f.tightest())...)
	return out
}

func wasWere(n int) string {
	if n == 1 {
		return "1 port was"
	}
	return count(n, "port") + " were"
}

func bindExhausted(f *Facts) *Finding {
	full := f.which(func(p *pool.Pool) bool {
		return tcp(p) && p.BindHeadroomMax == 0 && p.HeadroomMax > 0 &&
			f.Blocked.Kinds[pool.BoundFirst]+f.Blocked.Kinds[pool.BoundIdle] > 0
	})
	if len(full) == 0 {
		return nil
	}
	src := full[0].Key.Src
	out := &Finding{
		Severity: Warning,
		Title:    fmt.Sprintf("bind(%s, 0) finds no port: programs that bind before they connect fail with EADDRINUSE, while connect() alone still succeeds", src),
		Evidence: []string{fmt.Sprintf("bind(%s, 0) would get none, connect() to %s %d more", src, full[0].Key.Dst, full[0].Headroom)},
		Remedies: append([]Remedy{bindNoPort(f.Blocked.Kinds[pool.BoundFirst], full[0])}, f.widen(full[0])...),
	}
	return out
}

func portsBlocked(f *Facts) *Finding {
	k := &f.Blocked.Kinds
	n := k[pool.Reserved] + k[pool.Listening] + k[pool.BoundIdle]
	if n == 0 || f.ports() == 0 {
		return nil
	}
	out := &Finding{Severity: Info, Title: fmt.Sprintf("listeners and reserved ports inside the range cost every destination %d of %s", n, count(f.ports(), "port"))}
	if 100*n >= crowd*f.ports() {
		out.Severity = Warning
	}
	if r := k[pool.Reserved]; r > 0 {
		out.Evidence = append(out.Evidence, fmt.Sprintf("%s reserved (ip_local_reserved_ports)", count(r, "port")))
	}
	for _, by := range f.blockers(pool.Listening) {
		out.Evidence = append(out.Evidence, "listening: "+by)
	}
	for _, by := range f.blockers(pool.BoundIdle) {
		out.Evidence = append(out.Evidence, "bound without a connection: "+by)
	}
	out.Remedies = f.widen(f.tightest())
	out.Remedies = append(out.Remedies, Remedy{
		ID:   UnblockPorts,
		Text: "move these listeners below the range, or take out of ip_local_reserved_ports what nobody needs",
		Gain: f.freed(n), Hazard: "a port that somebody reserved protects a server: find out whose first",
	})
	return out
}

func rangeBlocked(f *Facts) *Finding {
	if f.ports() == 0 || f.Blocked.Total < f.ports() {
		return nil
	}
	out := &Finding{
		Severity: Critical,
		Title:    fmt.Sprintf("every port of the range %s is blocked: no connect() succeeds, to whatever destination", f.Settings.Range),
	}
	k := &f.Blocked.Kinds
	if r := k[pool.Reserved]; r > 0 {
		out.Evidence = append(out.Evidence, fmt.Sprintf("%s reserved (ip_local_reserved_ports)", count(r, "port")))
	}
	out.Evidence = append(out.Evidence, f.blockers(pool.Listening, pool.BoundIdle, pool.BoundFirst)...)
	if k[pool.BoundFirst] > 0 {
		m := bindNoPort(k[pool.BoundFirst]+k[pool.Leftover], nil)
		m.Gain = f.freed(k[pool.BoundFirst] + k[pool.Leftover])
		out.Remedies = append(out.Remedies, m)
	}
	out.Remedies = append(out.Remedies, f.widen(f.tightest())...)
	return out
}

func oddRange(f *Facts) *Finding {
	if f.Settings == nil || f.System != Linux {
		return nil
	}
	r := f.Settings.Range
	if !r.Odd() || r.Len() == 1 {
		return nil
	}
	m := Remedy{ID: EvenRange, Command: "portroom fix even-range", Text: "give the range ends of different parity"}
	f.ranged(&m, Even(r), f.tightest())
	return &Finding{
		Severity: Info,
		Title:    fmt.Sprintf("the range %s has an odd number of ports: connect() may leave out one end, so numbers are bounds one apart", r),
		Evidence: []string{fmt.Sprintf("both ends are %s, so one half of the range has one port more", parity(r.First))},
		Remedies: []Remedy{m},
	}
}

func parity(p uint16) string {
	if p%2 == 0 {
		return "even"
	}
	return "odd"
}

func rangeCollides(f *Facts) *Finding {
	if f.Settings == nil || f.System != Linux {
		return nil
	}
	s := f.Settings
	open := Unreserved(s, f.Claims)
	if open.Len() == 0 {
		return nil
	}
	out := &Finding{Severity: Info}
	m := Remedy{
		ID: ReserveListeners, Command: "portroom fix reserve-listeners",
		Text: "reserve the ports of those who listen inside the range; no pool becomes smaller, their ports are blocked already",
		Sets: []Assignment{{"ip_local_reserved_ports", reserve(&s.Reserved, &open)}},
	}
	nodes := f.Claims.Set(claim.NodePort)
	nodes.Intersect(&open)
	idle := f.Claims.Set(claim.Configured)
	idle.Intersect(&open)
	if nodes.Len()+idle.Len() > 0 { // which cost each pool a port now
		next := *s
		next.Reserved.Union(&open)
		m.Text = fmt.Sprintf("reserve %s", cut(open.String(), 60))
		m.Gain = f.resized(f.tightest(), &next)
	}
	if nodes.Len() > 0 {
		out.Severity = Warning
		out.Title = fmt.Sprintf("the range %s overlaps the NodePorts %s: an outgoing connection may take the port of a service", s.Range, f.nodePorts())
		out.Evidence = append(out.Evidence, fmt.Sprintf("%s of both, none reserved", count(nodes.Len(), "port")))
	}
	danger := f.Claims.Set(claim.Listening)
	danger.Intersect(&open)
	if danger.Len() > 0 {
		if out.Title == "" {
			out.Title = fmt.Sprintf("servers listen inside the range %s on ports that are not reserved: after a restart they may find them taken", s.Range)
		}
		out.Evidence = append(out.Evidence, fmt.Sprintf("listening, not reserved: %s", cut(danger.String(), 60)))
	}
	if idle.Len() > 0 {
		if out.Title == "" {
			out.Title = fmt.Sprintf("services that are configured, and not running, have ports inside the range %s that are not reserved: when they start they may find them taken", s.Range)
		}
		out.Evidence = append(out.Evidence, "configured, not running: "+f.Claims.In(&idle).String())
	}
	out.Remedies = []Remedy{m}
	return out
}

// nodePorts are the claimed ranges of NodePorts.
func (f *Facts) nodePorts() string {
	nodes := f.Claims.Set(claim.NodePort)
	return nodes.String()
}

// reserve writes the list that holds both sets.
func reserve(a, b *port.Set) string {
	all := *a
	all.Union(b)
	return all.String()
}

// cut shortens a list at a comma.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for i := most; i > 0; i-- {
		if s[i] == ',' {
			return s[:i] + ",…"
		}
	}
	return s[:most] + "…"
}
