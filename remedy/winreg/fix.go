package winreg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/socket"
)

// Remedies are those that this package can do, for messages and completion.
var Remedies = []string{finding.MaxUserPort, finding.TimedWaitDelay, finding.DynamicRange, finding.RestoreDefault}

// wide is what a dynamic range is widened to: the first port is above those that
// most servers use, as on Linux.
var wide = port.Range{First: 10240, Last: 65535}

// Nothing says that no finding asks for a remedy, and what is so already.
func (r *Request) Nothing() string {
	s := r.Settings
	switch {
	case s.System.Era == nt.Legacy:
		v := s.Value(nt.MaxUserPort)
		if v.State != nt.Good {
			return fmt.Sprintf("nothing to fix: no pool is held to %d%%; portroom fix %s sets %s all the same", finding.DefaultWarn, finding.MaxUserPort, nt.MaxUserPort)
		}
		return fmt.Sprintf("nothing to fix: %s is %d", nt.MaxUserPort, *v.Number)
	case s.System.Era == nt.UnknownEra:
		return "which Windows this is cannot be told, so neither can what would help: name a remedy, or use portroom set"
	case r.Live == nil:
		return "there is nothing to fix in this registry: " + s.System.Product + " goes by its dynamic port range, which portroom fix widens on the running system"
	case len(r.narrow()) > 0:
		return fmt.Sprintf("nothing to fix: no pool is held to %d%%; portroom fix %s widens the ranges all the same", finding.DefaultWarn, finding.DynamicRange)
	}
	return "nothing to fix: the dynamic port ranges of TCP are wide"
}

// narrow are the dynamic ranges of TCP that could be wider.
func (r *Request) narrow() []nt.DynamicRange {
	return slices.DeleteFunc(slices.Clone(r.Live.Dynamic), func(d nt.DynamicRange) bool {
		return d.Proto != socket.TCP || d.Count >= wide.Len()
	})
}

// Fix makes the plan of remedies. A name that is not accepted is a [ValueError].
func (r *Request) Fix(names []string) (*remedy.Proposal, error) {
	var set []assignment
	for _, name := range names {
		list, err := r.remedy(name)
		if err != nil {
			return nil, err
		}
		set = append(set, list...)
	}
	return r.propose(set)
}

// useless says why a value does nothing; "" for one that is absent or does.
func (r *Request) useless(name string) string {
	v := r.Settings.Value(name)
	switch {
	case v == nil || !v.Present:
		return ""
	case name == nt.MaxUserPort && r.Settings.System.Era == nt.Later:
		return "nobody should count on a value that this system does not go by"
	case v.State != nt.Good && v.State != nt.OutOfRange:
		return "it is of a type that no system goes by"
	}
	return ""
}

// remedy are the assignments of one remedy.
func (r *Request) remedy(name string) ([]assignment, error) {
	give := func(value, to, why string) ([]assignment, error) {
		a, err := r.parse(value, to)
		a.remedy, a.why = name, why
		return []assignment{a}, err
	}
	switch name {
	case finding.MaxUserPort:
		return give(nt.MaxUserPort, "65534", "the ports up to 65534 serve outgoing connections (KB 196271)")
	case finding.TimedWaitDelay:
		v, _ := nt.Documented(nt.TcpTimedWaitDelay)
		return give(nt.TcpTimedWaitDelay, strconv.FormatUint(uint64(*v.Min), 10), "a closed connection gives its port back sooner; 30 s is the least that is documented ("+v.Source+")")
	case finding.RestoreDefault:
		var out []assignment
		for _, name := range []string{nt.MaxUserPort, nt.TcpTimedWaitDelay} {
			why := r.useless(name)
			if why == "" {
				continue
			}
			list, err := give(name, absentWord, why)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
		if out == nil {
			return nil, refuse("%s: neither %s nor %s has a value that this system does not go by", name, nt.MaxUserPort, nt.TcpTimedWaitDelay)
		}
		return out, nil
	case finding.DynamicRange:
		if why := r.where(); why != "" {
			return nil, refuse("%s: %s", name, why)
		}
		var out []assignment
		for _, d := range r.narrow() {
			list, err := give(dynamicName+poolOf(d), wide.String(), fmt.Sprintf("%d ports instead of %d", wide.Len(), d.Count))
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
		return out, nil
	}
	return nil, refuse("%s is no remedy for Windows: want %s", quote(name), strings.Join(Remedies, ", "))
}
