package finding

import (
	"fmt"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// crowd is the share of a pool's capacity, in percent, from which on sockets in
// one state that ought to be short are more than a burst.
const crowd = 10

// most is how many pools or processes evidence names.
const most = 3

// about makes a finding about pools: evidence for the first few, and how many more
// there are.
func about(s Severity, title string, pools []*pool.Pool, line func(*pool.Pool) string) *Finding {
	f := &Finding{Severity: s, Title: title}
	for i, p := range pools {
		f.about = append(f.about, p.Key)
		if i < most {
			f.Evidence = append(f.Evidence, line(p))
		}
	}
	if n := len(pools) - most; n > 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("and %s", count(n, "more pool")))
	}
	return f
}

// which returns the pools with capacity for which ok holds.
func (f *Facts) which(ok func(*pool.Pool) bool) []*pool.Pool {
	var out []*pool.Pool
	for i := range f.Pools {
		if p := &f.Pools[i]; p.Capacity > 0 && ok(p) {
			out = append(out, p)
		}
	}
	return out
}

func tcp(p *pool.Pool) bool { return p.Key.Proto == socket.TCP }

func heldLine(p *pool.Pool) string {
	s := fmt.Sprintf("%s: %d of %d held", name(p.Key), p.Held-p.Reusable, p.Capacity)
	if t := states(p); t != "" {
		s += " (" + t + ")"
	}
	if h := holders(p); h != "" {
		s += "; " + h
	}
	return s
}

func poolExhausted(f *Facts) *Finding {
	full := f.which(func(p *pool.Pool) bool { return tcp(p) && p.HeadroomMax == 0 })
	if len(full) == 0 {
		return nil
	}
	title := fmt.Sprintf("%s has no port left: connects fail now", name(full[0].Key))
	if n := len(full) - 1; n > 0 {
		title = fmt.Sprintf("%s and %s have no port left: connects fail now", name(full[0].Key), count(n, "more pool"))
	}
	out := about(Critical, title, full, heldLine)
	out.Remedies = f.relieve(full[0])
	return out
}

func poolNearlyExhausted(f *Facts) *Finding {
	tight := f.which(func(p *pool.Pool) bool { return tcp(p) && p.HeadroomMax > 0 && f.severity(p) != Info })
	if len(tight) == 0 {
		return nil
	}
	worst := Warning
	for _, p := range tight {
		worst = max(worst, f.severity(p))
	}
	p := tight[0]
	left := fmt.Sprint(p.Headroom)
	if !p.Exact() {
		left = fmt.Sprintf("%d to %d", p.Headroom, p.HeadroomMax)
	}
	title := fmt.Sprintf("%s has %s of %d left", name(p.Key), left, p.Capacity)
	if n := len(tight) - 1; n > 0 {
		title += fmt.Sprintf(", and %s tight too", are(n, "more pool"))
	}
	out := about(worst, title, tight, heldLine)
	out.Remedies = f.relieve(p)
	return out
}

// are writes "1 more pool is" or "2 more pools are".
func are(n int, noun string) string {
	if n == 1 {
		return count(n, noun) + " is"
	}
	return count(n, noun) + " are"
}

func pastKnee(f *Facts) *Finding {
	slow := f.which((*pool.Pool).PastKnee)
	if len(slow) == 0 {
		return nil
	}
	title := fmt.Sprintf("connects to %s have become slow: past %d ports each searches half of the range first", peer(slow[0].Key), slow[0].Knee)
	if n := len(slow) - 1; n > 0 {
		title = fmt.Sprintf("connects to %s and %s have become slow: each searches half of the range first", peer(slow[0].Key), count(n, "more destination"))
	}
	out := about(Info, title, slow, func(p *pool.Pool) string {
		return fmt.Sprintf("%s: %d held, the knee is at %d", name(p.Key), p.Held-p.Reusable, p.Knee)
	})
	out.Remedies = append(f.widen(slow[0]), keepalive)
	return out
}

func timeWaitDominates(f *Facts) *Finding {
	pools := f.which(func(p *pool.Pool) bool {
		tw := p.States[socket.TimeWait]
		return tcp(p) && f.severity(p) != Info && tw > 0 && 2*tw >= p.Held
	})
	if len(pools) == 0 {
		return nil
	}
	p := pools[0]
	title := fmt.Sprintf("%d of the %d ports held to %s are in TIME_WAIT: this side closes first", p.States[socket.TimeWait], p.Held, peer(p.Key))
	out := about(Warning, title, pools, func(p *pool.Pool) string {
		s := fmt.Sprintf("%s: %d TIME_WAIT of %d held", name(p.Key), p.States[socket.TimeWait], p.Held)
		if p.CeilingPerSecond > 0 {
			s += fmt.Sprintf("; ceiling %s, each port is held for %.3g s", perSecond(p.CeilingPerSecond), hold(p))
		}
		return s
	})
	out.Remedies = append([]Remedy{keepalive}, f.reuse(p)...)
	if f.System == Windows {
		out.Remedies = append(out.Remedies, f.windowsShorten()...)
	}
	out.Remedies = append(out.Remedies, f.widen(p)...)
	return out
}

var appClose = Remedy{
	ID:   AppClose,
	Text: "make the application close what its peers have closed; no setting of the system helps, and restarting the process frees the ports",
}

func closeWaitLeak(f *Facts) *Finding {
	pools := f.which(func(p *pool.Pool) bool {
		n := p.States[socket.CloseWait]
		return tcp(p) && n > 0 && 100*n >= crowd*p.Capacity
	})
	if len(pools) == 0 {
		return nil
	}
	worst := Warning
	for _, p := range pools {
		if p.HeadroomMax == 0 {
			worst = Critical
		}
	}
	p := pools[0]
	who := "an application"
	if len(p.Owners) > 0 {
		who = process(p.Owners[0].Command, p.Owners[0].PID)
	}
	title := fmt.Sprintf("%s does not close: %d connections to %s are in CLOSE_WAIT, and no timer ever ends them", who, p.States[socket.CloseWait], peer(p.Key))
	out := about(worst, title, pools, func(p *pool.Pool) string {
		s := fmt.Sprintf("%s: %d CLOSE_WAIT of a capacity of %d", name(p.Key), p.States[socket.CloseWait], p.Capacity)
		if h := holders(p); h != "" {
			s += "; " + h
		}
		return s
	})
	out.Remedies = []Remedy{appClose}
	return out
}

func connectsUnanswered(f *Facts) *Finding {
	pools := f.which(func(p *pool.Pool) bool {
		n := p.States[socket.SynSent]
		return tcp(p) && n > 0 && 100*n >= crowd*p.Capacity
	})
	if len(pools) == 0 {
		return nil
	}
	p := pools[0]
	title := fmt.Sprintf("%s does not answer: %d connects wait in SYN_SENT, each holding a port until it gives up", peer(p.Key), p.States[socket.SynSent])
	out := about(Warning, title, pools, func(p *pool.Pool) string {
		return fmt.Sprintf("%s: %d SYN_SENT of a capacity of %d", name(p.Key), p.States[socket.SynSent], p.Capacity)
	})
	out.Remedies = []Remedy{{
		ID:   CheckPeer,
		Text: "find out who drops the SYN: the server's backlog, a firewall or security group, conntrack on the way; meanwhile a shorter connect time-out in the application frees ports sooner (Linux tries for about 2 minutes)",
	}}
	return out
}

func udpPoolFull(f *Facts) *Finding {
	pools := f.which(func(p *pool.Pool) bool { return p.Key.Proto == socket.UDP && f.severity(p) != Info })
	if len(pools) == 0 {
		return nil
	}
	worst := Warning
	for _, p := range pools {
		worst = max(worst, f.severity(p))
	}
	p := pools[0]
	title := fmt.Sprintf("UDP sockets of %s have %d ports of %d left, for all destinations together", p.Key.Src, p.Headroom, p.Capacity)
	if p.HeadroomMax == 0 {
		title = fmt.Sprintf("UDP sockets of %s have no port left, for whatever destination", p.Key.Src)
		if f.System == Linux {
			title += ": they fail with EAGAIN, bind with EADDRINUSE"
		}
	}
	out := about(worst, title, pools, heldLine)
	out.Remedies = append(f.widen(p), Remedy{
		ID:   AppKeepalive,
		Text: "use one UDP socket for many queries instead of one each (resolvers: a local cache that does)",
	})
	return out
}

// Line says in one line how full a pool is and who holds it.
func Line(p *pool.Pool) string { return heldLine(p) }
