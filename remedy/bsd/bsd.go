// Package bsd makes and carries out changes to the kernel parameters of macOS and
// FreeBSD that decide about source ports: in the running kernel through sysctl(8),
// and on FreeBSD in /etc/sysctl.conf for the next start.
//
// macOS reads no such file any more; a job for launchd takes its place, which
// package emit writes.
package bsd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
)

// System is one of the two systems, spelled as runtime.GOOS.
type System string

// The systems.
const (
	FreeBSD System = "freebsd"
	MacOS   System = "darwin"
)

// The parameters. A range has two ends, which are set one by one: the default one,
// and the one of sockets that ask for high ports (IP_PORTRANGE_HIGH, ip(4)).
const (
	First     = "net.inet.ip.portrange.first"
	Last      = "net.inet.ip.portrange.last"
	HighFirst = "net.inet.ip.portrange.hifirst"
	HighLast  = "net.inet.ip.portrange.hilast"
	MSL       = "net.inet.tcp.msl"
)

// Range is the name that stands for all four ends in set.
const Range = "portrange"

// prefix may be left out.
const prefix = "net.inet.ip."

// Settable is what may be named, for messages.
var Settable = strings.Join([]string{Range, "portrange.first, .last, .hifirst, .hilast", MSL}, ", ")

// The bounds. The ends: macOS clamps them to 1024 to 65535 (xnu
// bsd/netinet/in_pcb.c), FreeBSD wants the same of the default range unless the
// administrator moves net.inet.ip.portrange.reservedhigh (ip(4)).
const (
	lowestEnd  = 1024
	highestEnd = 65535
	// TIME_WAIT is twice the maximum segment lifetime, in milliseconds (tcp(4)).
	// Below a second it is no protection to speak of; two minutes is that of RFC 9293.
	lowestMSL  = 1000
	highestMSL = 120000
)

// wideFirst is where a widened range begins: the one that reports of macOS hosts
// that ran out used (serverfault 145907). FreeBSD begins at 10000 by default.
const wideFirst = 32768

// WidenRange is the remedy that this package has, named as in package finding.
const WidenRange = "widen-range"

// A ValueError says that a value or a name is not accepted, and what is.
type ValueError struct{ msg string }

func (e *ValueError) Error() string { return e.msg }

func refuse(format string, args ...any) error {
	return &ValueError{fmt.Sprintf(format, args...)}
}

// An assignment is one parameter and its value.
type assignment struct {
	key, value  string
	remedy      string
	why, hazard string
}

// parse reads NAME=VALUE.
func parse(text string) ([]assignment, error) {
	name, value, ok := strings.Cut(text, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok {
		return nil, refuse("%.60q: want NAME=VALUE with %s", text, Settable)
	}
	if !strings.HasPrefix(name, "net.") {
		name = prefix + name
	}
	const hazard = "a server that is started later on a port of the range may find it taken by an outgoing connection"
	switch name {
	case prefix + Range:
		r, err := port.ParseRange(value)
		if err != nil || r.First < lowestEnd {
			return nil, refuse("%s=%.60q: want FIRST-LAST from %d to %d (ip(4))", Range, value, lowestEnd, highestEnd)
		}
		first, last := strconv.Itoa(int(r.First)), strconv.Itoa(int(r.Last))
		return []assignment{
			{key: First, value: first, hazard: hazard}, {key: Last, value: last, hazard: hazard},
			{key: HighFirst, value: first, hazard: hazard}, {key: HighLast, value: last, hazard: hazard},
		}, nil
	case First, Last, HighFirst, HighLast:
		n, err := strconv.Atoi(value)
		if err != nil || n < lowestEnd || n > highestEnd {
			return nil, refuse("%s=%.60q: want %d to %d (ip(4))", name, value, lowestEnd, highestEnd)
		}
		return []assignment{{key: name, value: strconv.Itoa(n), hazard: hazard}}, nil
	case MSL:
		n, err := strconv.Atoi(value)
		if err != nil || n < lowestMSL || n > highestMSL {
			return nil, refuse("%s=%.60q: want %d to %d milliseconds; TIME_WAIT is twice that (tcp(4))", name, value, lowestMSL, highestMSL)
		}
		return []assignment{{key: name, value: strconv.Itoa(n), hazard: "the shorter TIME_WAIT is, the likelier a late segment of an old connection meets a new one"}}, nil
	}
	return nil, refuse("%.60q is no parameter that portroom sets here: want %s%s", name, Settable, elsewhere(name))
}

// elsewhere says of which other system a name is.
func elsewhere(name string) string {
	name = strings.TrimPrefix(name, prefix)
	switch {
	case strings.HasPrefix(name, "ip_local_"), strings.HasPrefix(name, "tcp_"), strings.HasPrefix(name, "net.ipv4."):
		return "; that one is of Linux"
	case name == nt.MaxUserPort, name == nt.TcpTimedWaitDelay, name == nt.ReservedPorts:
		return "; that one is of Windows: --target names one"
	}
	return ""
}

// Set makes the plan that sets values, each named as NAME=VALUE.
func (d *Driver) Set(args []string) (*remedy.Proposal, error) {
	var set []assignment
	for _, arg := range args {
		list, err := parse(arg)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if slices.ContainsFunc(set, func(o assignment) bool { return o.key == a.key }) {
				return nil, refuse("%s is given twice: want one value", a.key)
			}
			a.remedy = "set"
			set = append(set, a)
		}
	}
	return d.propose(set)
}

// Fix makes the plan of the remedies named, or of those that help: a range that
// begins at 32768 where it begins higher.
func (d *Driver) Fix(names []string) (*remedy.Proposal, error) {
	for _, name := range names {
		if name != WidenRange {
			return nil, refuse("%.60q is no remedy for %s: want %s", name, d.name(), WidenRange)
		}
	}
	now, err := d.settings(nil)
	if err != nil {
		return nil, err
	}
	if now[First] <= wideFirst && now[Last] == highestEnd {
		return &remedy.Proposal{System: d.name(), Notes: []string{fmt.Sprintf("nothing to fix: the range is %d-%d", now[First], now[Last])}}, nil
	}
	set, err := parse(fmt.Sprintf("%s=%d-%d", Range, min(now[First], wideFirst), highestEnd))
	if err != nil {
		return nil, err
	}
	for i := range set {
		set[i].remedy = WidenRange
		set[i].why = "sockets that ask for high ports draw from the same range"
		if set[i].key == First || set[i].key == Last {
			set[i].why = fmt.Sprintf("%d ports instead of %d", highestEnd-min(now[First], wideFirst)+1, now[Last]-now[First]+1)
		}
	}
	return d.propose(set)
}

// propose turns assignments into a plan.
func (d *Driver) propose(set []assignment) (*remedy.Proposal, error) {
	p := &remedy.Proposal{System: d.name()}
	var titles []string
	var pairs []assignment
	for _, a := range set {
		titles = append(titles, strings.TrimPrefix(a.key, prefix)+"="+a.value)
		from, err := d.Read(Parameter, a.key)
		if err != nil {
			return nil, err
		}
		if from.Absent {
			return nil, fmt.Errorf("%s: this kernel has no such parameter", a.key)
		}
		pairs = append(pairs, a)
		if from.Data == a.value {
			continue
		}
		p.Plan.Steps = append(p.Plan.Steps, remedy.Step{
			Remedy: a.remedy, Kind: Parameter, Object: a.key, From: from, To: remedy.State{Data: a.value},
			Effect: remedy.Now, Why: a.why, Hazard: a.hazard,
		})
	}
	p.Plan.Title = strings.Join(titles, ", ")
	permanent, err := d.permanent(pairs)
	if err != nil {
		return nil, err
	}
	if permanent != nil {
		p.Plan.Steps = append(p.Plan.Steps, *permanent)
	}
	if len(p.Plan.Steps) == 0 {
		p.Notes = append(p.Notes, "nothing to change: it is so already")
		return p, nil
	}
	if d.System == MacOS {
		p.Notes = append(p.Notes, "macOS forgets it when it is restarted, and reads no sysctl.conf: --emit sysctl DIR writes a job for launchd that sets it at each start")
	}
	return p, d.gains(p, set)
}

// settings are the parameters as numbers, as they are or as assignments make them.
func (d *Driver) settings(set []assignment) (map[string]int, error) {
	now := make(map[string]int)
	for _, key := range []string{First, Last, MSL} {
		s, err := d.Read(Parameter, key)
		if err != nil {
			return nil, err
		}
		text := s.Data
		for _, a := range set {
			if a.key == key {
				text = a.value
			}
		}
		if now[key], err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("%s is %.60q, which is no number", key, text)
		}
	}
	if now[First] > now[Last] {
		return nil, refuse("the range would be %d to %d: the first port must not be above the last", now[First], now[Last])
	}
	return now, nil
}

// gains says what the range gives when nothing is connected.
func (d *Driver) gains(p *remedy.Proposal, set []assignment) error {
	before, err := d.settings(nil)
	if err != nil {
		return err
	}
	after, err := d.settings(set)
	if err != nil {
		return err
	}
	was, will := room(before), room(after)
	if was != will {
		who := "this whole host"
		if d.System == FreeBSD {
			who = "each destination (this whole host up to FreeBSD 12)"
		}
		p.Gains = []remedy.Gain{{Pool: who + ", when nothing is connected", Before: was, After: will}}
	}
	return nil
}

func room(now map[string]int) remedy.Room {
	n := now[Last] - now[First] + 1
	r := remedy.Room{Capacity: n, Headroom: n, HeadroomMax: n, Exact: true}
	if msl := now[MSL]; msl > 0 {
		r.Ceiling = float64(n*10000/(2*msl)) / 10
	}
	return r
}
