package model

import "github.com/portroom/portroom/port"

// bsdLike are the systems whose range has two ends that are set one by one, and
// whose TIME_WAIT is twice a maximum segment lifetime.
type bsdLike struct {
	name, title   string
	first, last   int
	firstName     string // the settings' names
	lastName      string
	rangeSource   string
	wait          Bounds
	waitDoubt     string // why the TIME_WAIT is in doubt
	waitSource    string
	wait2         Setting // what sets it; no name: nothing does
	scope         Scope
	scopeSource   string
	scopeDoubt    string
	search        Search
	searchSource  string
	searchDoubt   string
	err           string
	lowest        int // the lowest port that may be set
	scopeIsAGuess bool
}

func (b bsdLike) profile() *Profile {
	p := &Profile{Name: b.name, Title: b.title, finish: endsAgree}
	p.base = func() Pool {
		q := Pool{Range: port.Range{First: uint16(b.first), Last: uint16(b.last)}, Wait: b.wait, Scope: b.scope,
			ScopeUncertain: b.scopeIsAGuess, Search: b.search, Error: b.err}
		q.fact("range", q.Range.String(), b.rangeSource, "")
		q.fact("TIME_WAIT", b.wait.String(), b.waitSource, b.waitDoubt)
		q.fact("scope", b.scope.String(), b.scopeSource, b.scopeDoubt)
		q.fact("order", b.search.String(), b.searchSource, b.searchDoubt)
		return q
	}
	p.Settings = []Setting{oneEnd(b.firstName, b.lowest, false, b.rangeSource), oneEnd(b.lastName, b.lowest, true, b.rangeSource)}
	if b.wait2.Name != "" {
		p.Settings = append(p.Settings, b.wait2)
	}
	return p
}

const (
	xnu       = "apple-oss-distributions/xnu bsd/netinet/in_pcb.c"
	inpcb     = "freebsd-src sys/netinet/in_pcb.c"
	guess     = "general knowledge"
	unchecked = "not checked against a source"
)

func macOS() *Profile {
	return bsdLike{
		name: "macos", title: "macOS", first: 49152, last: 65535, lowest: 1024,
		firstName: "portrange.first", lastName: "portrange.last", rangeSource: xnu,
		wait: exactly(30), waitSource: "twice net.inet.tcp.msl = 15000 ms",
		wait2: waitSetting("net.inet.tcp.msl", 1, 120000, 0.002, "milliseconds", "tcp(4)"),
		scope: PerHost, scopeSource: "oven-sh/bun #33929: a port in TIME_WAIT serves no destination",
		search: RandomStart, searchSource: xnu, err: "EADDRNOTAVAIL (49)",
	}.profile()
}

func freeBSD(twelve bool) *Profile {
	b := bsdLike{
		name: "freebsd", title: "FreeBSD 13 and later", first: 10000, last: 65535, lowest: 1,
		firstName: "portrange.first", lastName: "portrange.last", rangeSource: "freebsd-src sys/netinet/in.h, ip(4)",
		wait: exactly(60), waitSource: "twice net.inet.tcp.msl = 30000 ms, tcp(4)",
		wait2: waitSetting("net.inet.tcp.msl", 1, 120000, 0.002, "milliseconds", "tcp(4)"),
		scope: PerTuple, scopeSource: inpcb + ", in_pcb_lport_dest",
		search: RandomStart, searchSource: inpcb, err: "EADDRNOTAVAIL (49)",
	}
	if twelve {
		b.name, b.title, b.scope, b.scopeSource = "freebsd-12", "FreeBSD 9 to 12", PerHost, inpcb+" before 13: the local port decides"
	}
	return b.profile()
}

func openBSD() *Profile {
	return bsdLike{
		name: "openbsd", title: "OpenBSD", first: 1024, last: 49151, lowest: 1,
		firstName: "net.inet.ip.portfirst", lastName: "net.inet.ip.portlast", rangeSource: "OpenBSD netinet/in.h, sysctl(2)",
		wait: exactly(60), waitSource: guess, waitDoubt: unchecked,
		scope: PerHost, scopeSource: guess, scopeDoubt: unchecked, scopeIsAGuess: true,
		search: RandomStart, searchSource: guess, searchDoubt: unchecked, err: "EADDRNOTAVAIL",
	}.profile()
}

func netBSD() *Profile {
	return bsdLike{
		name: "netbsd", title: "NetBSD", first: 49152, last: 65535, lowest: 1,
		firstName: "net.inet.ip.anonportmin", lastName: "net.inet.ip.anonportmax", rangeSource: "ncftp's list of ephemeral ranges",
		wait: exactly(60), waitSource: guess, waitDoubt: unchecked,
		scope: PerHost, scopeSource: guess, scopeDoubt: unchecked, scopeIsAGuess: true,
		search: RandomStart, searchSource: guess, searchDoubt: unchecked, err: "EADDRNOTAVAIL or EAGAIN (UNCERTAIN)",
	}.profile()
}

func solaris() *Profile {
	return bsdLike{
		name: "solaris", title: "Solaris, illumos", first: 32768, last: 65535, lowest: 1024,
		firstName: "tcp_smallest_anon_port", lastName: "tcp_largest_anon_port", rangeSource: "SAS note 43946",
		wait: exactly(60), waitSource: "tcp_time_wait_interval = 60000 ms", waitDoubt: unchecked,
		wait2: waitSetting("tcp_time_wait_interval", 1000, 600000, 0.001, "milliseconds", guess),
		scope: PerHost, scopeSource: "the local port decides", scopeDoubt: unchecked,
		search: Sequential, searchSource: "none found", searchDoubt: "no source says; sequential is assumed", err: "EADDRNOTAVAIL",
	}.profile()
}

func aix() *Profile {
	return bsdLike{
		name: "aix", title: "AIX", first: 32768, last: 65535, lowest: 1024,
		firstName: "tcp_ephemeral_low", lastName: "tcp_ephemeral_high", rangeSource: "SAS note 43946",
		wait: Bounds{15, 30}, waitSource: "no -o tcp_timewait, in units of 15 s, default 1", waitDoubt: "15 to 30 s, not checked against a source",
		wait2: waitSetting("tcp_timewait", 1, 5, 15, "units of 15 seconds", guess),
		scope: PerHost, scopeSource: "none found", scopeDoubt: "no source says", scopeIsAGuess: true,
		search: Sequential, searchSource: "none found", searchDoubt: "no source says; sequential is assumed", err: "EADDRNOTAVAIL",
	}.profile()
}

func gVisor() *Profile {
	return bsdLike{
		name: "gvisor", title: "gVisor netstack", first: 16000, last: 65535, lowest: 1024,
		firstName: "first", lastName: "last", rangeSource: "google/gvisor pkg/tcpip/ports/ports.go",
		wait: exactly(60), waitSource: guess, waitDoubt: unchecked,
		scope: PerTuple, scopeSource: "google/gvisor pkg/tcpip/ports/ports.go",
		search: RandomStart, searchSource: "google/gvisor pkg/tcpip/ports/ports.go", err: "EAGAIN or EADDRNOTAVAIL",
	}.profile()
}
