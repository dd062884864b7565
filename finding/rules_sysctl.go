package finding

import (
	"fmt"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

func reuseWithoutTimestamps(f *Facts) *Finding {
	if f.Settings == nil || f.Settings.TWReuse != 1 || f.Settings.Timestamps != 0 {
		return nil
	}
	return &Finding{
		Severity: Warning,
		Title:    "tcp_tw_reuse is on and does nothing: timestamps are off",
		Evidence: []string{"tcp_tw_reuse=1, tcp_timestamps=0: no TIME_WAIT entry remembers the timestamp that it takes to be taken over"},
		Remedies: []Remedy{f.timestamps()},
	}
}

func bucketsOverflow(f *Facts) *Finding {
	if f.Overflows == 0 {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    fmt.Sprintf("%d connections skipped TIME_WAIT because tcp_max_tw_buckets was reached: a late segment of theirs may disturb a new connection", f.Overflows),
		Evidence: []string{fmt.Sprintf("TcpExt TCPTimeWaitOverflow %d since the namespace was made; TIME_WAIT entries now %d", f.Overflows, f.TimeWaits)},
	}
	if f.Settings != nil && f.Settings.MaxTWBuckets > 0 {
		out.Evidence = append(out.Evidence, fmt.Sprintf("tcp_max_tw_buckets=%d", f.Settings.MaxTWBuckets))
		out.Remedies = []Remedy{{
			ID: RaiseTWBuckets, Text: fmt.Sprintf("raise tcp_max_tw_buckets above %d (an entry takes about 300 bytes)", f.Settings.MaxTWBuckets),
			Command: fmt.Sprintf("sysctl net.ipv4.tcp_max_tw_buckets=%d", 2*f.Settings.MaxTWBuckets),
			Sets:    []Assignment{{"tcp_max_tw_buckets", fmt.Sprint(2 * f.Settings.MaxTWBuckets)}},
		}}
	}
	out.Remedies = append(out.Remedies, keepalive)
	return out
}

// bucketsDefault is what the kernel sets tcp_max_tw_buckets to, 0 when not known.
func (f *Facts) bucketsDefault() int { return f.EhashEntries / 2 }

func bucketsLowered(f *Facts) *Finding {
	if f.Settings == nil || f.Settings.MaxTWBuckets == 0 || f.Settings.MaxTWBuckets >= f.bucketsDefault() {
		return nil
	}
	now, standard := f.Settings.MaxTWBuckets, f.bucketsDefault()
	out := &Finding{
		Severity: Info,
		Title:    "tcp_max_tw_buckets was lowered: it frees ports only by breaking TIME_WAIT, which protects later connections",
		Evidence: []string{fmt.Sprintf("tcp_max_tw_buckets=%d, the kernel's own is %d", now, standard)},
		Remedies: []Remedy{{
			ID: RestoreDefault, Text: fmt.Sprintf("set it back to %d; the kernel's documentation says never to lower it by hand", standard),
			Command: fmt.Sprintf("sysctl net.ipv4.tcp_max_tw_buckets=%d", standard),
			Sets:    []Assignment{{"tcp_max_tw_buckets", fmt.Sprint(standard)}},
		}},
	}
	if f.Overflows > 0 {
		out.Severity = Warning
		out.Evidence = append(out.Evidence, fmt.Sprintf("%d connections skipped TIME_WAIT because of it (TcpExt TCPTimeWaitOverflow)", f.Overflows))
	}
	return out
}

// finTimeoutDefault is TCP_FIN_TIMEOUT of include/net/tcp.h, in seconds.
const finTimeoutDefault = 60

func finTimeoutFolklore(f *Facts) *Finding {
	if f.FinTimeout == 0 || f.FinTimeout >= finTimeoutDefault {
		return nil
	}
	return &Finding{
		Severity: Info,
		Title:    "tcp_fin_timeout was lowered, which does nothing for TIME_WAIT",
		Evidence: []string{fmt.Sprintf("tcp_fin_timeout=%d: it ends orphans in FIN_WAIT2 only; TIME_WAIT is 60 s and cannot be set", f.FinTimeout)},
		Remedies: []Remedy{{
			ID: RestoreDefault, Text: "leave it at 60; against TIME_WAIT keep connections open, or let connects take over TIME_WAIT entries (portroom fix tw-reuse)",
			Command: "sysctl net.ipv4.tcp_fin_timeout=60",
			Sets:    []Assignment{{"tcp_fin_timeout", "60"}},
		}},
	}
}

func recycle(f *Facts) *Finding {
	if f.Recycle != socket.Yes {
		return nil
	}
	return &Finding{
		Severity: Critical,
		Title:    "tcp_tw_recycle is on: connects from clients behind one NAT address are dropped at random",
		Evidence: []string{"tcp_tw_recycle=1; Linux 4.12 removed it for that reason"},
		Remedies: []Remedy{{
			ID: RestoreDefault, Text: "turn it off (tcp_tw_recycle=0); tcp_tw_reuse=1 gives what was hoped for, for outgoing connections, without harm",
			Command: "sysctl net.ipv4.tcp_tw_recycle=0",
			Sets:    []Assignment{{"tcp_tw_recycle", "0"}},
		}},
	}
}

func namespaceUntuned(f *Facts) *Finding {
	if f.First == nil || f.Settings == nil {
		return nil
	}
	s, first := f.Settings, f.First
	out := &Finding{
		Severity: Info,
		Title:    "this namespace lacks the tuning of its host: a new namespace begins with the kernel's defaults",
	}
	if first.Range.Len() > s.Range.Len() && standard(s, "ip_local_port_range") {
		out.Evidence = append(out.Evidence, fmt.Sprintf("ip_local_port_range is %s here, %s on the host", s.Range, first.Range))
	}
	if s.TWReuse != first.TWReuse && first.TWReuse == 1 && standard(s, "tcp_tw_reuse") {
		out.Evidence = append(out.Evidence, fmt.Sprintf("tcp_tw_reuse is %d here, %d on the host", s.TWReuse, first.TWReuse))
	}
	if len(out.Evidence) == 0 {
		return nil
	}
	for i := range f.Pools {
		if f.severity(&f.Pools[i]) != Info {
			out.Severity = Warning
		}
	}
	m := Remedy{
		ID:   TuneNamespace,
		Text: "set it where the namespace is made: docker run --sysctl, securityContext.sysctls of the pod, or the systemd unit",
	}
	if p := f.tightest(); p != nil && first.Range.Len() > s.Range.Len() {
		m.Gain = Gain{room(p), room(p).scaled(p.Capacity+first.Range.Len()-s.Range.Len(), hold(p))}
	}
	out.Remedies = []Remedy{m}
	return out
}

// standard reports whether a setting has the kernel's default.
func standard(s *host.Settings, file string) bool {
	for _, v := range s.Values {
		if v.Name != "net.ipv4."+file {
			continue
		}
		var a, b []byte
		for _, c := range []byte(v.Text) {
			if c != ' ' && c != '\t' {
				a = append(a, c)
			}
		}
		for _, c := range []byte(v.Default) {
			if c != ' ' && c != '\t' {
				b = append(b, c)
			}
		}
		return string(a) == string(b)
	}
	return false
}

func conntrackFull(f *Facts) *Finding {
	c := f.Conntrack
	if c == nil || c.Max == 0 || 100*float64(c.Count) < f.warn()*float64(c.Max) {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    fmt.Sprintf("the connection tracking table is at %d of %d entries: when it is full, new connections are dropped, whatever ports are left", c.Count, c.Max),
		Evidence: []string{fmt.Sprintf("nf_conntrack_count=%d, nf_conntrack_max=%d", c.Count, c.Max)},
	}
	if c.Count >= c.Max {
		out.Title = fmt.Sprintf("the connection tracking table is full, with %d entries: new connections are dropped, whatever ports are left", c.Count)
	}
	if c.Drop > 0 {
		out.Evidence = append(out.Evidence, fmt.Sprintf("%d packets were dropped because it was full", c.Drop))
	}
	if 100*float64(c.Count) >= f.crit()*float64(c.Max) {
		out.Severity = Critical
	}
	out.Remedies = []Remedy{{
		ID: RaiseConntrack, Text: fmt.Sprintf("raise nf_conntrack_max above %d (an entry takes about 300 bytes), or do not track what needs no NAT", c.Max),
		Command: fmt.Sprintf("sysctl net.netfilter.nf_conntrack_max=%d", 2*c.Max),
		Sets:    []Assignment{{"net.netfilter.nf_conntrack_max", fmt.Sprint(2 * c.Max)}},
	}}
	if c.TimeWait > timeWait {
		out.Remedies = append(out.Remedies, Remedy{
			ID: RaiseConntrack, Text: fmt.Sprintf("keep closed connections for less than %d s (nf_conntrack_tcp_timeout_time_wait), yet longer than the 60 s of the hosts", int(c.TimeWait.Seconds())),
		})
	}
	return out
}

// snatPorts is how many ports nf_nat maps a source port from 1024 on to
// (net/netfilter/nf_nat_core.c).
const snatPorts = 64512

func snatClashes(f *Facts) *Finding {
	c := f.Conntrack
	if c == nil || c.InsertFailed == 0 {
		return nil
	}
	out := &Finding{
		Severity: Info,
		Title:    "connections that this host translates clashed and were dropped: the ports of a SNAT address to one destination may be the limit",
		Evidence: []string{fmt.Sprintf("%d entries could not be inserted since the system started (insert_failed)", c.InsertFailed)},
		Remedies: []Remedy{
			{ID: RandomPorts, Text: "let NAT choose ports at random (iptables --random-fully, nft fully-random): two processors then seldom choose the same"},
			{ID: MoreAddresses, Text: "translate to more source addresses: each has 64,512 ports to one destination"},
		},
	}
	if c.TimeWait > 0 {
		out.Evidence = append(out.Evidence, fmt.Sprintf("a SNAT address sustains %s to one destination: %d ports, each kept for %d s", perSecond(snatPorts/c.TimeWait.Seconds()), snatPorts, int(c.TimeWait.Seconds())))
	}
	return out
}
