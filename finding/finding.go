// Package finding says what is wrong with a host, or soon will be, and what helps.
//
// It is pure: [Judge] takes [Facts] that somebody else read and returns findings,
// the gravest first. The rules are a table, [Rules]; each has a stable code, and
// docs/findings.md describes every one. A finding carries its evidence as numbers
// of this host, and its remedies in order of preference, each with what it gains
// here.
//
// A fact that is not known makes no finding: what is missing is left at its zero
// value or nil, as [Facts] says of each.
package finding

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/portroom/portroom/pool"
)

// Severity is how bad a finding is.
type Severity int

// The severities. Information is what an administrator may want to know while
// nothing fails.
const (
	Info Severity = iota
	Warning
	Critical
)

var severityNames = [...]string{"info", "warning", "critical"}

// String returns the name in JSON.
func (s Severity) String() string { return severityNames[s] }

// A Finding is one thing that is wrong, or soon will be.
type Finding struct {
	Code     string // stable, such as PR101
	Name     string // stable, such as pool-exhausted
	Severity Severity
	Title    string   // one sentence
	Evidence []string // numbers of this host
	Remedies []Remedy // the best first

	// MootBy is the code of a finding that makes this one moot: what helps against
	// that one ends this one too. "" for none.
	MootBy string

	about []pool.Key // the pools it is about; none when it is about the whole
}

// A Remedy is a change that helps.
type Remedy struct {
	ID      string // stable; the words of portroom fix where it can do it
	Text    string // what to change
	Command string // what does it, "" when it is not portroom's to do
	// Sets are the settings that it changes; none when it is not about settings.
	Sets   []Assignment
	Gain   Gain
	Hazard string // what may go wrong, "" for nothing known
}

// An Assignment is one setting and the value that it shall have, as portroom set
// takes them: ip_local_port_range=10240-65535. Linux settings are named without
// net.ipv4, but for those that begin otherwise.
type Assignment struct{ Name, Value string }

// The remedies, by their stable IDs. Those in the first group are words of
// portroom fix.
const (
	WidenRange        = "widen-range"
	ReserveListeners  = "reserve-listeners"
	EvenRange         = "even-range"
	TWReuse           = "tw-reuse"
	TWReuseDelay      = "tw-reuse-delay"
	RestoreTimestamps = "restore-timestamps"

	MaxUserPort    = "max-user-port"
	TimedWaitDelay = "timed-wait-delay"
	DynamicRange   = "dynamic-range"
	AutoReuse      = "auto-reuse"
	TrimExclusions = "trim-exclusions"
	UpdateSystem   = "update-system"
	Restart        = "restart"
	AppKeepalive   = "app-keepalive"
	AppClose       = "app-close"
	AppBindNoPort  = "app-bind-no-port"
	MoreTuples     = "more-tuples"
	MoreAddresses  = "more-addresses"
	CheckPeer      = "check-peer"
	UnblockPorts   = "unblock-ports"
	RestoreDefault = "restore-default"
	TuneNamespace  = "tune-namespace"
	RaiseConntrack = "raise-conntrack"
	RandomPorts    = "snat-random-fully"
	RaiseTWBuckets = "raise-tw-buckets"
	NameSystem     = "name-system"
)

// Room is what a pool gives.
type Room struct {
	Capacity         int     // ports
	CeilingPerSecond float64 // connects a second; 0 where nothing is held after close
}

// A Gain is what a remedy brings here: the room of the pool in question before
// and after. The zero Gain is one that cannot be computed.
type Gain struct{ From, To Room }

// Known reports whether the gain was computed.
func (g Gain) Known() bool { return g != Gain{} }

// String writes the gain as "ceiling 470/s → 921/s", or as ports where there is no
// rate or it hardly changes; "" when it was not computed.
func (g Gain) String() string {
	if !g.Known() {
		return ""
	}
	from, to := perSecond(g.From.CeilingPerSecond), perSecond(g.To.CeilingPerSecond)
	if g.To.CeilingPerSecond > 0 && from != to {
		return "ceiling " + from + " → " + to
	}
	return fmt.Sprintf("%d → %s", g.From.Capacity, count(g.To.Capacity, "port"))
}

// A Rule is what makes one kind of finding.
type Rule struct {
	Code, Name string
	System     System // the system it is about; "" for every one
	Moots      []string

	// What docs/findings.md says of it: how bad it is, when it is found, the IDs of
	// the remedies that may come first, and where the condition comes from.
	Severity string
	When     string
	Remedies []string
	Source   string

	find func(*Facts) *Finding
}

// Rules are all rules, in the order of their codes. Nobody changes them.
func Rules() []Rule { return slices.Clone(rules) }

// Judge applies every rule to the facts: the gravest finding first, then by code,
// those that are moot last.
func Judge(f *Facts) []Finding {
	var out []Finding
	for i := range rules {
		r := &rules[i]
		if r.System != "" && r.System != f.System {
			continue
		}
		if found := r.find(f); found != nil {
			found.Code, found.Name = r.Code, r.Name
			out = append(out, *found)
		}
	}
	for i := range rules {
		at := slices.IndexFunc(out, func(g Finding) bool { return g.Code == rules[i].Code })
		if at < 0 || out[at].MootBy != "" {
			continue
		}
		for j := range out {
			if j != at && out[j].MootBy == "" && slices.Contains(rules[i].Moots, out[j].Code) && out[at].covers(&out[j]) {
				out[j].MootBy = out[at].Code
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b2i(a.MootBy != ""), b2i(b.MootBy != "")),
			-cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Code, b.Code))
	})
	return out
}

// AboutPools reports whether the finding is about single pools.
func (f *Finding) AboutPools() bool { return len(f.about) > 0 }

// covers reports whether every pool that g is about is one that f is about; a
// finding about the whole covers all.
func (f *Finding) covers(g *Finding) bool {
	if len(f.about) == 0 {
		return true
	}
	for _, k := range g.about {
		if !slices.Contains(f.about, k) {
			return false
		}
	}
	return len(g.about) > 0
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// perSecond writes a rate: whole numbers from ten on.
func perSecond(r float64) string {
	if r >= 10 {
		return fmt.Sprintf("%.0f/s", r)
	}
	return fmt.Sprintf("%.1f/s", r)
}

// count writes a number with its noun.
func count(n int, noun string) string {
	switch {
	case n == 1:
	case noun[len(noun)-1] == 's':
		noun += "es"
	case noun[len(noun)-1] == 'y':
		noun = noun[:len(noun)-1] + "ies"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
