package errtext

import (
	"cmp"
	"slices"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// A Cause is what may have made an error.
type Cause struct {
	Code     string  // of a finding, or PR9xx
	Weight   float64 // 0 to 1; the weights of one error sum up to 1
	Text     string
	Evidence string // what the host shows; "" when nothing was measured
	Remedy   string
}

// Verdict is whether an error is port exhaustion.
type Verdict string

// The verdicts, as in JSON.
const (
	Likely   Verdict = "likely"
	Possible Verdict = "possible"
	No       Verdict = "no"
)

// An Explanation is what an error means, and what made it.
type Explanation struct {
	Match      Match
	Exhaustion Verdict
	Causes     []Cause // the likeliest first
	Measured   bool    // weighed by the evidence of a host
	Share      float64 // the weight of all causes that are port exhaustion
}

// A known cause: what is said of it where no finding says more. ports tells that
// it is a form of port exhaustion.
var known = map[string]struct {
	text, remedy string
	ports        bool
}{
	"PR101": {"no source port is left toward this destination", "", true},
	"PR102": {"the pool is nearly exhausted, and was exhausted at the time", "", true},
	"PR105": {"an application does not close its connections (CLOSE_WAIT), and they fill the pool", "make the application close", true},
	"PR106": {"the peer does not answer, and connects wait in SYN_SENT", "find out who drops the SYN: backlog, firewall, conntrack", false},
	"PR107": {"programs bind before they connect, which takes ports from every destination", "set IP_BIND_ADDRESS_NO_PORT before bind(address, 0)", true},
	"PR108": {"bind(address, 0) finds no port: those of this source address are all taken", "set IP_BIND_ADDRESS_NO_PORT before bind(address, 0), or widen the range (portroom fix widen-range)", true},
	"PR110": {"every port of the range is reserved or bound", "", true},
	"PR112": {"an outgoing connection took the port of this server: it lies in the ephemeral range and is not reserved", "reserve the port (portroom fix reserve-listeners)", false},
	"PR114": {"tcp_max_tw_buckets is too small for the rate of closes", "raise tcp_max_tw_buckets", false},
	"PR117": {"tcp_max_tw_buckets was lowered by hand", "set it back to the kernel's own value", false},
	"PR119": {"the connection tracking table is full", "raise nf_conntrack_max, or do not track what needs no NAT", false},
	"PR120": {"SNAT finds no free port toward this destination", "translate to more addresses; let NAT choose at random", false},
	"PR121": {"the UDP pool of this source address is full", "widen the range (portroom fix widen-range); use one socket for many queries", true},
	"PR205": {"the port is in an excluded range (Hyper-V, WinNAT)", "see netsh int ipv4 show excludedportrange tcp; restart WinNAT", false},
	"PR206": {"a program leaks sockets that are bound and not connected", "restart the program that holds most (Get-NetTCPConnection -State Bound)", true},
	"PR901": {"the local address is not one of this host: not port exhaustion", "bind to an address that the host has (ip addr), or to 0.0.0.0", false},
	"PR902": {"somebody holds the port that was asked for by number", "find out who (portroom ports PORT), and stop one of the two", false},
	"PR903": {"the destination cannot be connected to from here: IPv6 without an IPv6 address, 0.0.0.0, or port 0", "use the IPv4 address (127.0.0.1 instead of localhost), or give the host or container IPv6", false},
	"PR904": {"file descriptors ran out, not ports", "close what is open; raise ulimit -n (LimitNOFILE=), or fs.file-max for the whole system", false},
	"PR905": {"memory or buffers of the kernel ran out, not ports", "send more slowly; look for leaks of sockets or handles, and at tcp_mem or the non-paged pool", false},
	"PR906": {"nobody listens at the destination", "start the server, or correct address and port", false},
	"PR907": {"no answer came: the peer is down or far, or a firewall drops", "check the way to the peer", false},
	"PR908": {"no route leads there", "check addresses and routes", false},
	"PR909": {"it is not permitted: a port below 1024, or a firewall", "ask for the privilege, another port, or a rule", false},
	"PR910": {"nothing is wrong: the socket is non-blocking and has nothing to give yet", "wait with poll and try again", false},
	"PR911": {"the peer ended the connection", "look at the peer's log; keep idle connections for less long than the peer does", false},
	"PR912": {"Windows limits attempts that are half-open", "connect less at a time, to peers that answer", false},
	"PR913": {"the local port that was chosen is still in TIME_WAIT toward this peer", "keep connections open and use them again; a wider range makes it rarer", true},
	"PR914": {"the local port was fixed by bind(), and its pair with this peer is taken", "let the kernel choose the port", false},
	"PR915": {"the queue of the other side is full (Unix socket, backlog)", "raise the server's backlog and somaxconn", false},
}

// Exhausts reports whether a cause is a form of port exhaustion.
func Exhausts(code string) bool { return known[code].ports }

// a prior is the weight of a cause before the host is looked at.
type prior struct {
	code   string
	weight float64
}

// A rule says what may have caused a match; the first that fits counts. The
// weights are judgements from the facts in docs/findings.md and from the reports
// in testdata/messages.txt, not measurements.
type rule struct {
	err    string
	system finding.System // "" for any
	calls  []Call         // none for any
	when   func(*Match) bool
	causes []prior
}

var bindListen = []Call{Bind, Listen}

var priors = []rule{
	{"EADDRNOTAVAIL", "", bindListen, nil, []prior{{"PR901", 0.95}, {"PR903", 0.05}}},
	{"EADDRNOTAVAIL", windows, nil, nil, []prior{{"PR903", 0.6}, {"PR901", 0.4}}},
	{"EADDRNOTAVAIL", "", []Call{Connect}, func(m *Match) bool { return m.IPv6 }, []prior{{"PR903", 0.75}, {"PR101", 0.2}, {"PR914", 0.05}}},
	{"EADDRNOTAVAIL", "", []Call{Connect}, func(m *Match) bool { return m.Localhost }, []prior{{"PR101", 0.5}, {"PR903", 0.4}, {"PR914", 0.05}, {"PR107", 0.05}}},
	// An IPv4 address with a port can always be connected to.
	{"EADDRNOTAVAIL", "", []Call{Connect}, func(m *Match) bool { return m.Dst.IsValid() }, []prior{{"PR101", 0.8}, {"PR914", 0.1}, {"PR107", 0.05}, {"PR110", 0.05}}},
	{"EADDRNOTAVAIL", "", []Call{Connect}, nil, []prior{{"PR101", 0.75}, {"PR107", 0.05}, {"PR110", 0.05}, {"PR903", 0.1}, {"PR914", 0.05}}},
	{"EADDRNOTAVAIL", "", nil, nil, []prior{{"PR101", 0.5}, {"PR901", 0.3}, {"PR903", 0.1}, {"PR107", 0.05}, {"PR914", 0.05}}},

	{"EADDRINUSE", "", []Call{Listen}, nil, []prior{{"PR902", 0.8}, {"PR112", 0.2}}},
	{"EADDRINUSE", windows, []Call{Bind}, func(m *Match) bool { return m.AnyPort }, []prior{{"PR101", 0.6}, {"PR913", 0.25}, {"PR206", 0.1}, {"PR902", 0.05}}},
	{"EADDRINUSE", "", []Call{Bind}, func(m *Match) bool { return m.AnyPort }, []prior{{"PR108", 0.7}, {"PR107", 0.15}, {"PR902", 0.15}}},
	{"EADDRINUSE", "", []Call{Bind}, nil, []prior{{"PR902", 0.75}, {"PR112", 0.2}, {"PR108", 0.05}}},
	{"EADDRINUSE", windows, []Call{Connect}, nil, []prior{{"PR913", 0.6}, {"PR101", 0.3}, {"PR902", 0.1}}},
	{"EADDRINUSE", windows, nil, nil, []prior{{"PR902", 0.5}, {"PR913", 0.3}, {"PR101", 0.2}}},
	{"EADDRINUSE", linux, []Call{Connect}, nil, []prior{{"PR108", 0.5}, {"PR914", 0.3}, {"PR902", 0.2}}},
	{"EADDRINUSE", "", []Call{Connect}, nil, []prior{{"PR913", 0.5}, {"PR101", 0.3}, {"PR902", 0.2}}},
	{"EADDRINUSE", "", nil, nil, []prior{{"PR902", 0.65}, {"PR108", 0.2}, {"PR112", 0.15}}},

	{"ENOBUFS", windows, []Call{Send}, nil, []prior{{"PR905", 0.9}, {"PR101", 0.1}}},
	{"ENOBUFS", windows, nil, func(m *Match) bool { return m.Call == Listen && !m.AnyPort }, []prior{{"PR905", 0.6}, {"PR101", 0.4}}},
	{"ENOBUFS", windows, nil, func(m *Match) bool { return m.UDP }, []prior{{"PR121", 0.8}, {"PR905", 0.2}}},
	{"ENOBUFS", windows, nil, nil, []prior{{"PR101", 0.8}, {"PR905", 0.15}, {"PR206", 0.05}}},
	{"ENOBUFS", "", nil, nil, []prior{{"PR905", 1}}},

	{"EAGAIN", "", []Call{Connect, Send}, func(m *Match) bool { return m.UDP }, []prior{{"PR121", 0.5}, {"PR910", 0.5}}},
	{"EAGAIN", windows, nil, nil, []prior{{"PR910", 1}}},
	{"EAGAIN", "", []Call{Connect}, nil, []prior{{"PR915", 0.5}, {"PR910", 0.25}, {"PR121", 0.25}}},
	{"EAGAIN", "", nil, nil, []prior{{"PR910", 0.75}, {"PR121", 0.25}}},

	{"EMFILE", "", nil, nil, []prior{{"PR904", 1}}},
	{"ENFILE", "", nil, nil, []prior{{"PR904", 1}}},
	{"ENOMEM", "", nil, nil, []prior{{"PR905", 1}}},
	{"ECONNREFUSED", "", nil, nil, []prior{{"PR906", 1}}},
	{"ETIMEDOUT", "", nil, nil, []prior{{"PR907", 0.8}, {"PR106", 0.1}, {"PR119", 0.05}, {"PR120", 0.05}}},
	{"EHOSTUNREACH", "", nil, nil, []prior{{"PR908", 1}}},
	{"ENETUNREACH", "", nil, nil, []prior{{"PR908", 1}}},
	{"EACCES", windows, nil, nil, []prior{{"PR205", 0.5}, {"PR909", 0.5}}},
	{"EACCES", "", nil, nil, []prior{{"PR909", 1}}},
	{"EPERM", "", nil, nil, []prior{{"PR909", 0.8}, {"PR119", 0.2}}},
	{"ECONNRESET", "", nil, nil, []prior{{"PR911", 1}}},
}

var eventPriors = map[int][]prior{
	4226: {{"PR106", 0.6}, {"PR912", 0.4}},
	4227: {{"PR913", 0.8}, {"PR101", 0.2}},
	4231: {{"PR101", 0.9}, {"PR206", 0.1}},
	4266: {{"PR121", 1}},
}

var kernelPriors = map[string][]prior{
	kernelLines[0].name: {{"PR119", 1}},
	kernelLines[1].name: {{"PR114", 0.6}, {"PR117", 0.4}},
}

// priorsOf returns the causes that a match may have.
func priorsOf(m *Match) []prior {
	switch {
	case m.event != 0:
		return eventPriors[m.event]
	case m.kernel != "":
		return kernelPriors[m.kernel]
	}
	for i := range priors {
		r := &priors[i]
		if r.err == m.Err.Name && (r.system == "" || r.system == m.System) &&
			(len(r.calls) == 0 || slices.Contains(r.calls, m.Call)) && (r.when == nil || r.when(m)) {
			return r.causes
		}
	}
	return nil
}

// How much evidence changes the weight of a cause: a finding that says so of this
// destination, a finding of that severity, and that nothing was found where it
// would have been. That is no proof: the pool may have drained since.
const (
	saidOfThis   = 30
	saidCritical = 10
	saidWarning  = 4
	saidInfo     = 2
	unsaid       = 0.2
	unsaidOfThis = 0.15
)

// Explain ranks the causes of a match. facts are those of the host where it
// happened, found what [finding.Judge] says of them; nil facts leave the weights as
// they are for any host.
func Explain(m Match, facts *finding.Facts, found []finding.Finding) Explanation {
	e := Explanation{Match: m, Measured: facts != nil && (m.System == "" || m.System == facts.System)}
	total := 0.0
	for _, p := range priorsOf(&m) {
		c := Cause{Code: p.code, Weight: p.weight, Text: known[p.code].text, Remedy: known[p.code].remedy}
		if e.Measured {
			weigh(&c, &m, facts, found)
		}
		if c.Code == "PR101" && (m.System == windows || m.System == darwin) {
			c.Text = "no source port is left, for whatever destination"
		}
		if c.Remedy == "" {
			c.Remedy = general(m.System)
		}
		total += c.Weight
		e.Causes = append(e.Causes, c)
	}
	for i := range e.Causes {
		c := &e.Causes[i]
		c.Weight /= total
		if Exhausts(c.Code) {
			e.Share += c.Weight
		}
	}
	slices.SortStableFunc(e.Causes, func(a, b Cause) int { return -cmp.Compare(a.Weight, b.Weight) })
	switch {
	case e.Share >= 0.6:
		e.Exhaustion = Likely
	case e.Share >= 0.15:
		e.Exhaustion = Possible
	default:
		e.Exhaustion = No
	}
	return e
}

// general is what helps against an exhausted pool on a system that was not looked
// at.
func general(s finding.System) string {
	switch s {
	case windows:
		return "keep connections open and use them again; widen the range: Vista and later with netsh int ipv4 set dynamicport tcp start=10240 num=55296, before that MaxUserPort (portroom set MaxUserPort=65534 --target …) and a restart"
	case darwin:
		return "keep connections open and use them again; sysctl net.inet.ip.portrange.first=32768 net.inet.ip.portrange.hifirst=32768"
	case freebsd:
		return "keep connections open and use them again; sysctl net.inet.ip.portrange.first and last"
	}
	return "keep connections open and use them again; portroom fix widens the range, and portroom check says what holds it"
}

// also are findings that speak for a cause of another code.
var also = map[string][]string{
	"PR101": {"PR102", "PR110"},
	"PR107": {"PR108"},
	"PR108": {"PR107"},
	"PR114": {"PR117"},
}

// weigh changes a cause's weight by what the host shows.
func weigh(c *Cause, m *Match, facts *finding.Facts, found []finding.Finding) {
	switch c.Code {
	case "PR903":
		weighIPv6(c, m, facts)
		return
	case "PR902", "PR112":
		if weighHolders(c, m, facts) {
			return
		}
	case "PR101":
		if weighPool(c, m, facts, found) {
			return
		}
	}
	for _, code := range append([]string{c.Code}, also[c.Code]...) {
		f := findCode(found, code)
		if f == nil {
			continue
		}
		switch f.Severity {
		case finding.Critical:
			c.Weight *= saidCritical
		case finding.Warning:
			c.Weight *= saidWarning
		default:
			c.Weight *= saidInfo
		}
		c.say(f)
		return
	}
	if hasRule(c.Code, facts.System) {
		c.Weight *= unsaid
		c.Evidence = "this host does not show it now"
	}
}

// say takes over what a finding says.
func (c *Cause) say(f *finding.Finding) {
	c.Evidence = f.Title
	if f.Code != c.Code {
		c.Evidence = f.Code + ": " + f.Title
	}
	if len(f.Remedies) > 0 {
		r := &f.Remedies[0]
		c.Remedy = r.Text
		if g := r.Gain.String(); g != "" {
			c.Remedy += ": " + g
		}
		if r.Command != "" {
			c.Remedy += " (" + r.Command + ")"
		}
	}
}

// weighPool looks at the pools of the destination that the message names. It
// reports false when that says nothing.
func weighPool(c *Cause, m *Match, facts *finding.Facts, found []finding.Finding) bool {
	if !m.Dst.IsValid() || m.System != linux {
		return false
	}
	var tightest *pool.Pool
	for i := range facts.Pools {
		p := &facts.Pools[i]
		if p.Key.Proto == socket.TCP && p.Key.Dst == m.Dst && (tightest == nil || p.HeadroomMax < tightest.HeadroomMax) {
			tightest = p
		}
	}
	switch f := findCode(found, "PR101"); {
	case tightest == nil && findCode(found, "PR110") == nil:
		c.Weight *= unsaidOfThis
		c.Evidence = "nothing is connected to " + m.Dst.String() + " now; TIME_WAIT entries of then would be gone after 60 s"
	case tightest == nil:
		return false
	case tightest.HeadroomMax == 0 && f != nil:
		c.Weight *= saidOfThis
		c.say(f)
		c.Evidence = finding.Line(tightest)
	case findCode(found, "PR102") == nil || tightest.Used() < 0.5:
		c.Weight *= unsaidOfThis
		c.Evidence = finding.Line(tightest)
	default:
		return false
	}
	return true
}

func weighIPv6(c *Cause, m *Match, facts *finding.Facts) {
	switch {
	case !m.IPv6 && !m.Localhost || facts.IPv6 == socket.Unknown:
	case facts.IPv6 == socket.No && m.IPv6:
		c.Weight *= saidOfThis
		c.Evidence = "this host has no IPv6 address"
	case facts.IPv6 == socket.No:
		c.Weight *= saidCritical
		c.Evidence = "this host has no IPv6 address"
	case m.IPv6:
		c.Weight *= unsaid
		c.Evidence = "this host has an IPv6 address"
	}
}

func findCode(found []finding.Finding, code string) *finding.Finding {
	i := slices.IndexFunc(found, func(f finding.Finding) bool { return f.Code == code })
	if i < 0 {
		return nil
	}
	return &found[i]
}

// hasRule reports whether a host of that system would have shown the finding.
func hasRule(code string, s finding.System) bool {
	return slices.ContainsFunc(finding.Rules(), func(r finding.Rule) bool { return r.Code == code && (r.System == "" || r.System == s) })
}
