package finding

import (
	"fmt"
	"math"
	"time"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// timeWait is TCP_TIMEWAIT_LEN of include/net/tcp.h.
const timeWait = 60 * time.Second

// name writes a pool for people.
func name(k pool.Key) string {
	switch {
	case k.Dst.IsValid():
		return k.Src.String() + " → " + k.Dst.String()
	case k.Proto == socket.UDP:
		return "UDP from " + k.Src.String()
	case k.Src.Is4():
		return "TCP over IPv4"
	}
	return "TCP over IPv6"
}

// peer writes whom a pool leads to.
func peer(k pool.Key) string {
	if !k.Dst.IsValid() {
		return "anybody"
	}
	return k.Dst.String()
}

// used is the share of the pool that is certainly taken, in percent: with bounds
// the cautious number would make an alarm of every unprivileged run.
func used(p *pool.Pool) float64 {
	switch {
	case p.Capacity <= 0:
		return 100
	case p.Exact():
		return 100 * p.Used()
	}
	return 100 * (1 - float64(p.HeadroomMax)/float64(p.Capacity))
}

// severity judges a pool by the thresholds.
func (f *Facts) severity(p *pool.Pool) Severity {
	switch u := used(p); {
	case p.HeadroomMax == 0 || u >= f.crit():
		return Critical
	case u >= f.warn():
		return Warning
	}
	return Info
}

// room is what a pool gives now.
func room(p *pool.Pool) Room { return Room{p.Capacity, p.CeilingPerSecond} }

// hold is how long a connection that this side closes keeps its port, in seconds: a
// whole number of milliseconds, as every setting has it.
func hold(p *pool.Pool) float64 {
	if p.CeilingPerSecond <= 0 {
		return 0
	}
	return math.Round(1000*float64(p.Capacity)/p.CeilingPerSecond) / 1000
}

func (p Room) scaled(capacity int, hold float64) Room {
	if hold <= 0 {
		return Room{Capacity: capacity}
	}
	return Room{capacity, float64(capacity) / hold}
}

// reuse are the remedies that let connects take over TIME_WAIT entries. They help
// TCP pools where it is off.
func (f *Facts) reuse(p *pool.Pool) []Remedy {
	s := f.Settings
	if f.System != Linux || s == nil || p.Key.Proto != socket.TCP {
		return nil
	}
	h, delay := hold(p), s.TWReuseDelay.Seconds()
	if h > 0 && h < timeWait.Seconds() {
		// It is in use here already; from 6.14 on it can be made shorter.
		if !s.Kernel.AtLeast(6, 14) || s.TWReuseDelay <= ShortDelay {
			return nil
		}
		return []Remedy{{
			ID: TWReuseDelay, Command: "portroom fix tw-reuse-delay",
			Text:   fmt.Sprintf("take over TIME_WAIT entries after %d ms instead of %d ms", ShortDelay.Milliseconds(), s.TWReuseDelay.Milliseconds()),
			Sets:   []Assignment{{"tcp_tw_reuse_delay", fmt.Sprint(ShortDelay.Milliseconds())}},
			Gain:   Gain{room(p), room(p).scaled(p.Capacity, ShortDelay.Seconds())},
			Hazard: "shorter than the peer's timestamp clock ticks (1 ms to 1 s), a connect may be dropped",
		}}
	}
	gain := Gain{room(p), room(p).scaled(p.Capacity, max(delay, 0.001))}
	if s.TWReuse == 1 {
		if s.Timestamps != 0 {
			return nil
		}
		m := f.timestamps()
		m.Gain = gain
		return []Remedy{m}
	}
	m := Remedy{
		ID: TWReuse, Command: "portroom fix tw-reuse",
		Text:   "let connects take over their own TIME_WAIT entries (tcp_tw_reuse=1)",
		Sets:   []Assignment{{"tcp_tw_reuse", "1"}},
		Gain:   gain,
		Hazard: "needs timestamps at both ends; a NAT or load balancer that merges clients or strips timestamps may drop such connects",
	}
	if s.Timestamps == 0 { // it does nothing without
		m.Text += ", with timestamps (tcp_timestamps=1)"
		m.Sets = append(m.Sets, f.timestamps().Sets...)
	}
	return []Remedy{m}
}

func (f *Facts) timestamps() Remedy {
	return Remedy{
		ID: RestoreTimestamps, Command: "portroom fix restore-timestamps",
		Text: "turn timestamps on again (tcp_timestamps=1): without them no TIME_WAIT entry is ever taken over",
		Sets: []Assignment{{"tcp_timestamps", "1"}},
	}
}

var keepalive = Remedy{
	ID:   AppKeepalive,
	Text: "keep connections open and use them again (keep-alive, a connection pool, HTTP/2): k requests on a connection raise the ceiling k times",
}

var moreTuples = Remedy{
	ID:   MoreTuples,
	Text: "spread over more source addresses, or more addresses or ports of the server: each pair is a pool of its own",
}

// relieve are the remedies of a pool that is full, or nearly so.
func (f *Facts) relieve(p *pool.Pool) []Remedy {
	var out []Remedy
	if closing := p.States[socket.CloseWait]; closing > 0 && 2*closing >= p.Held {
		out = append(out, appClose)
	}
	if f.Blocked.Kinds[pool.BoundFirst] > 0 && 2*f.Blocked.Kinds[pool.BoundFirst] >= p.Range {
		out = append(out, bindNoPort(f.Blocked.Kinds[pool.BoundFirst], p))
	}
	out = append(out, f.widen(p)...)
	if p.Key.Proto == socket.TCP && 2*p.States[socket.TimeWait] >= p.Held && p.States[socket.TimeWait] > 0 {
		out = append(out, keepalive)
		out = append(out, f.reuse(p)...)
	} else if p.Key.Proto == socket.TCP {
		out = append(out, keepalive)
	}
	if f.System == Linux && p.Key.Proto == socket.TCP {
		out = append(out, moreTuples)
	}
	return out
}

// holders names who holds most of a pool.
func holders(p *pool.Pool) string {
	const most = 3
	text := ""
	for i, o := range p.Owners {
		if i == most {
			text += fmt.Sprintf(" and %d more", len(p.Owners)-i)
			break
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s holds %d", process(o.Command, o.PID), o.Ports)
	}
	return text
}

func process(command string, pid int) string {
	if command == "" {
		return "nobody known"
	}
	return fmt.Sprintf("%s[%d]", command, pid)
}

// states writes the states that occur, the most frequent first.
func states(p *pool.Pool) string {
	text := ""
	left := p.States
	for {
		top := 0
		for s, n := range left {
			if n > left[top] {
				top = s
			}
		}
		if left[top] == 0 {
			return text
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", left[top], socket.State(top))
		left[top] = 0
	}
}
