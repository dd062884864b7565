package winreg

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
)

// IgnoredValue is the risk of setting a value that this system does not go by.
const IgnoredValue = "ignored-value"

// parse reads one assignment for this system.
func (r *Request) parse(name, value string) (assignment, error) {
	a := assignment{value: value, remedy: byHand}
	if v, ok := nt.Documented(name); ok && settableValue(v.Name) {
		a.name = v.Name
		return r.parseValue(a, v)
	}
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(lower, dynamicName):
		a.name = lower
		return r.parseDynamic(a)
	case strings.EqualFold(name, AutoReuse):
		a.name = AutoReuse
		return r.parseAutoReuse(a)
	case strings.HasPrefix(lower, "ip_local_"), strings.HasPrefix(lower, "tcp_"), strings.HasPrefix(lower, "net."):
		return a, refuse("%s is a parameter of Linux, and this is %s: want %s", quote(name), r.Settings.System.Product, Settable)
	}
	return a, refuse("%s is nothing that portroom sets on Windows: want %s", quote(name), Settable)
}

func settableValue(name string) bool {
	return name == nt.MaxUserPort || name == nt.TcpTimedWaitDelay || name == nt.ReservedPorts
}

// parseValue reads the value of one that is in the registry.
func (r *Request) parseValue(a assignment, v nt.Value) (assignment, error) {
	if strings.EqualFold(a.value, absentWord) {
		a.value, a.to = absentWord, remedy.Absent
		return a, nil
	}
	if a.name == nt.ReservedPorts {
		set, err := port.ParseSet(a.value)
		if err != nil {
			return a, refuse("%s=%s: %v (%s)", a.name, quote(a.value), err, v.Source)
		}
		if set.Len() == 0 || set.Contains(0) {
			return a, refuse("%s=%s: want a list such as 1433,4000-4010 of ports from 1 to 65535, or %s (%s)", a.name, quote(a.value), absentWord, v.Source)
		}
		var list []string
		for s := range set.Ranges() {
			list = append(list, s.String()) // ranges that touch are one, as the article wants
		}
		a.to = lines(list...)
		return a, nil
	}
	n, ok := parseNumber(a.value)
	if !ok || n < uint64(*v.Min) || n > uint64(*v.Max) {
		return a, refuse("%s=%s: want %d to %d (0x%x to 0x%x) or %s, as %s documents it", a.name, quote(a.value), *v.Min, *v.Max, *v.Min, *v.Max, absentWord, v.Source)
	}
	a.value, a.to = strconv.FormatUint(n, 10), number(uint32(n))
	switch a.name {
	case nt.MaxUserPort:
		if n > 5000 && r.Settings.System.Era != nt.Later {
			a.hazard = fmt.Sprintf("a server on a port up to %d that starts after the connections may find its port taken: put it into %s", n, nt.ReservedPorts)
		}
	case nt.TcpTimedWaitDelay:
		a.hazard = "the shorter TIME_WAIT is, the likelier a late segment of an old connection meets a new one"
	}
	return a, nil
}

// parseNumber reads a decimal number, or a hexadecimal one after 0x.
func parseNumber(s string) (uint64, bool) {
	base := 10
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = rest, 16
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// remark adds what a person should know of an assignment that changes something.
func (r *Request) remark(p *remedy.Proposal, a assignment) {
	y := &r.Settings.System
	if a.to.Absent || strings.HasPrefix(a.name, dynamicName) || a.name == AutoReuse {
		return
	}
	if y.Era != nt.Later {
		return
	}
	switch a.name {
	case nt.TcpTimedWaitDelay:
		p.Notes = append(p.Notes, fmt.Sprintf("whether %s goes by %s is uncertain: no article says so", y.Product, a.name))
	case nt.MaxUserPort:
		p.Risks = append(p.Risks, remedy.Risk{Name: IgnoredValue, Text: fmt.Sprintf(
			"%s goes by its dynamic port range, not by %s (KB 929851): on the running system, portroom set %stcp4=10240-65535 sets it", y.Product, a.name, dynamicName)})
	default:
		p.Risks = append(p.Risks, remedy.Risk{Name: IgnoredValue, Text: fmt.Sprintf(
			"%s does not go by %s (KB 812873): netsh int ipv4 add excludedportrange takes its place", y.Product, a.name)})
	}
}
