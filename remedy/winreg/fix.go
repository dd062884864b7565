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

// choose returns the remedies that this system wants, and why none, if so. What it
// wants is what KB 196271 says, and on a later system a wider dynamic range; a
// shorter TIME_WAIT is only for who names it.
func (r *Request) choose() (names []string, none string) {
	s := r.Settings
	switch s.System.Era {
	case nt.Legacy:
		v := s.Value(nt.MaxUserPort)
		if v.State != nt.Good || *v.Number < *v.Max {
			names = append(names, finding.MaxUserPort)
		}
		if v := s.Value(nt.TcpTimedWaitDelay); v.State == nt.OutOfRange {
			names = append(names, finding.TimedWaitDelay)
		}
		none = fmt.Sprintf("nothing to fix: %s is 65534, which is the most", nt.MaxUserPort)
	case nt.Later:
		if r.Live != nil && len(r.narrow()) > 0 {
			names = append(names, finding.DynamicRange)
		}
		if v := s.Value(nt.MaxUserPort); v != nil && v.Present {
			names = append(names, finding.RestoreDefault)
		}
		none = "nothing to fix: the dynamic port ranges of TCP are wide"
		if r.Live == nil {
			none = "there is nothing to fix in this registry: " + s.System.Product + " goes by its dynamic port range, which portroom fix widens on the running system"
		}
	default:
		none = "which Windows this is cannot be told, so neither can what would help: name a remedy, or use portroom set"
	}
	return names, none
}

// narrow are the dynamic ranges of TCP that could be wider.
func (r *Request) narrow() []nt.DynamicRange {
	return slices.DeleteFunc(slices.Clone(r.Live.Dynamic), func(d nt.DynamicRange) bool {
		return d.Proto != socket.TCP || d.Count >= wide.Len()
	})
}

// Fix makes the plan of remedies; without names those that this system wants. A
// plan without steps has a note that says why. A name that is not accepted is a
// [ValueError].
func (r *Request) Fix(names []string) (*remedy.Proposal, error) {
	none := ""
	if len(names) == 0 {
		names, none = r.choose()
	}
	var set []assignment
	for _, name := range names {
		list, err := r.remedy(name)
		if err != nil {
			return nil, err
		}
		set = append(set, list...)
	}
	p, err := r.propose(set)
	if err == nil && len(set) == 0 {
		p.Notes = append(p.Notes, none)
	}
	return p, err
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
		return give(nt.MaxUserPort, absentWord, "nobody should count on a value that this system does not go by")
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
