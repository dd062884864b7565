package nt

import (
	"fmt"
	"strings"
)

// A Remark is one thing that the settings alone say about a system. How bad it is,
// and what helps, is for package finding to say.
type Remark struct {
	Code  string // stable, for programs
	Value string // the name of the value that it is about; "" for none
	Text  string
}

// The codes of remarks.
const (
	CodeRange         = "range"            // which ports are ephemeral, and what they sustain
	CodeTimeWait      = "time-wait"        // how long a closed connection keeps its port
	CodeOutOfRange    = "out-of-range"     // a value that is not a documented one
	CodeWrongType     = "wrong-type"       // a value of a type that is not documented
	CodeMalformed     = "malformed"        // lines that cannot be read
	CodeLeftover      = "leftover"         // a value that this system does not go by
	CodeReserved      = "reserved"         // ReservedPorts take ports from the range
	CodeExcluded      = "excluded"         // excluded ranges take ports from the range
	CodeFewer         = "fewer-than-ports" // TcpNumConnections allows fewer connections than there are ports
	CodeAutoReuse     = "auto-reuse"       // outgoing connections may share ports
	CodePending       = "restart-pending"  // values act from the next boot on
	CodeUnknownSystem = "unknown-system"   // whether the values govern is not known
)

// Codes lists every code.
var Codes = []string{
	CodeRange, CodeTimeWait, CodeOutOfRange, CodeWrongType, CodeMalformed, CodeLeftover,
	CodeReserved, CodeExcluded, CodeFewer, CodeAutoReuse, CodePending, CodeUnknownSystem,
}

// Remarks are what the articles would say about these settings, in the order in
// which it is best read.
func (s *Settings) Remarks() []Remark {
	var out []Remark
	add := func(code, value, format string, args ...any) {
		out = append(out, Remark{code, value, fmt.Sprintf(format, args...)})
	}
	if s.System.Era == UnknownEra {
		add(CodeUnknownSystem, "", "which Windows this is cannot be told, so neither can what governs its ports")
	}
	if len(s.Ranges) > 0 {
		add(CodeRange, "", "%s", s.rangeText())
	}
	s.taken(add)
	if s.System.Era != UnknownEra {
		add(CodeTimeWait, "", "%s", s.timeWaitText())
	}
	for i := range s.Values {
		s.Values[i].remark(add)
	}
	if v := s.Value(TcpNumConnections); v != nil && v.State == Good && len(s.Ranges) > 0 {
		if free := s.Ranges[0].Len() - s.Ranges[0].Taken; int(*v.Number) < free {
			add(CodeFewer, v.Name, "TcpNumConnections is %d: fewer connections may be open than there are ports (%d)", *v.Number, free)
		}
	}
	if s.AutoReuse != nil && s.AutoReuse.On() {
		if r, err := s.AutoReuse.Range(); err == nil {
			add(CodeAutoReuse, "", "outgoing connections may share the ports %s (AutoReusePortRange): only the same destination needs another port", r)
		}
	}
	if s.RestartPending != nil && *s.RestartPending {
		add(CodePending, "", "the TCP/IP parameters were changed after the last boot: they act from the next one on (KB 196271)")
	}
	return out
}

// rangeText says which ports are ephemeral and what they sustain.
func (s *Settings) rangeText() string {
	r := &s.Ranges[0]
	if s.System.Era == Later {
		if !r.Exact {
			return fmt.Sprintf("%d ports (%s) for each protocol and family are the default: %s; netsh may have changed them, which the registry does not tell (KB 929851)",
				r.Len(), r.Range, perSecond(r))
		}
		return fmt.Sprintf("%d ports (%s) for TCP over IPv4: %s (KB 929851)", r.Len(), r.Range, perSecond(r))
	}
	v := s.Value(MaxUserPort)
	what := fmt.Sprintf("%d ports (%s), %s", r.Len(), r.Range, perSecond(r))
	switch {
	case v.State == Absent:
		return "MaxUserPort is absent: " + what + fmt.Sprintf("; KB 196271 raises it to as much as %d", highestMaxUserPort)
	case v.State != Good:
		return what + ", if MaxUserPort is taken for invalid (KB 196271)"
	case *v.Number == defaultMaxUserPort:
		return fmt.Sprintf("MaxUserPort is %d, its default: %s; KB 196271 raises it to as much as %d", *v.Number, what, highestMaxUserPort)
	}
	return fmt.Sprintf("MaxUserPort is %d: %s (KB 196271)", *v.Number, what)
}

func (s *Settings) timeWaitText() string {
	v := s.Value(TcpTimedWaitDelay)
	lasts := fmt.Sprintf("%d s", s.TimeWaitHigh)
	if s.TimeWaitLow != s.TimeWaitHigh {
		lasts = fmt.Sprintf("%d to %d s, which is uncertain", s.TimeWaitLow, s.TimeWaitHigh)
	}
	set := "absent"
	if v.Number != nil {
		set = fmt.Sprint(*v.Number)
	} else if v.Present {
		set = "of a wrong type"
	}
	return fmt.Sprintf("TcpTimedWaitDelay is %s: a closed connection keeps its port for %s; %d s is the least that is documented", set, lasts, shortestTimeWait)
}

// perSecond writes the ceiling of a range.
func perSecond(r *Range) string {
	low, high := fmt.Sprintf("%.1f", r.Low), fmt.Sprintf("%.1f", r.High)
	switch {
	case r.High == 0 && r.Low == 0:
		return "no new connection"
	case r.High == 0:
		return low + " new connections a second or more"
	case low == high:
		return low + " new connections a second"
	}
	return low + " to " + high + " new connections a second"
}

// remark adds what is wrong with one value.
func (v *Value) remark(add func(code, value, format string, args ...any)) {
	found := v.Text
	if v.Number != nil {
		found = fmt.Sprint(*v.Number)
	}
	switch v.State {
	case OutOfRange:
		add(CodeOutOfRange, v.Name, "%s is %s, %s (%s)", v.Name, found, v.Note, v.Source)
	case WrongType:
		add(CodeWrongType, v.Name, "%s is %s (%s)", v.Name, v.Note, v.Source)
	case Malformed:
		add(CodeMalformed, v.Name, "%s: %s (%s)", v.Name, v.Note, v.Source)
	case Leftover:
		add(CodeLeftover, v.Name, "%s is set: %s", v.Name, v.Note)
	}
}

// taken says which ports are taken out of each range. Families and protocols with
// the same loss are said once.
func (s *Settings) taken(add func(code, value, format string, args ...any)) {
	said := make(map[string]bool)
	for i := range s.Ranges {
		r := &s.Ranges[i]
		if r.Taken == 0 {
			continue
		}
		code, who, whose := CodeReserved, "ReservedPorts", "the range"
		if s.System.Era == Later {
			code, who = CodeExcluded, "excluded ranges"
			whose = "the range of " + strings.ToUpper(r.Proto.String())
		}
		text := fmt.Sprintf("%s take %d of the %d ports of %s", who, r.Taken, r.Len(), whose)
		if r.Taken == r.Len() {
			text += ": none is left for outgoing connections"
		}
		if !said[text] {
			said[text] = true
			add(code, "", "%s", text)
		}
	}
}
