package nt

import (
	"fmt"
	"strings"
)

// A Level is how bad a remark is.
type Level uint8

// The levels.
const (
	Fine Level = iota
	Warning
	Critical
)

// A Remark is one thing that the settings alone say about a system.
type Remark struct {
	Code  string // stable, for programs
	Level Level
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

// Judge says what the articles would say about these settings, in the order in
// which it is best read. A range is worth a warning when reserved and excluded
// ports take warn percent of it, and critical from crit percent on or when they
// leave nothing.
//
// That a system has its default settings is no fault: whether they are enough
// depends on what it does.
func (s *Settings) Judge(warn, crit int) []Remark {
	var out []Remark
	add := func(code string, l Level, format string, args ...any) {
		out = append(out, Remark{code, l, fmt.Sprintf(format, args...)})
	}
	if s.System.Era == UnknownEra {
		add(CodeUnknownSystem, Warning, "which Windows this is cannot be told, so neither can what governs its ports")
	}
	if len(s.Ranges) > 0 {
		add(CodeRange, Fine, "%s", s.rangeText())
	}
	s.judgeTaken(warn, crit, add)
	if s.System.Era != UnknownEra {
		add(CodeTimeWait, Fine, "%s", s.timeWaitText())
	}
	for i := range s.Values {
		s.Values[i].judge(add)
	}
	if v := s.Value(TcpNumConnections); v != nil && v.State == Good && len(s.Ranges) > 0 {
		if free := s.Ranges[0].Len() - s.Ranges[0].Taken; int(*v.Number) < free {
			add(CodeFewer, Warning, "TcpNumConnections is %d: fewer connections may be open than there are ports (%d)", *v.Number, free)
		}
	}
	if s.AutoReuse != nil && s.AutoReuse.On() {
		if r, err := s.AutoReuse.Range(); err == nil {
			add(CodeAutoReuse, Fine, "outgoing connections may share the ports %s (AutoReusePortRange): only the same destination needs another port", r)
		}
	}
	if s.RestartPending != nil && *s.RestartPending {
		add(CodePending, Warning, "the TCP/IP parameters were changed after the last boot: they act from the next one on (KB 196271)")
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

// judge adds what is wrong with one value.
func (v *Value) judge(add func(code string, l Level, format string, args ...any)) {
	found := v.Text
	if v.Number != nil {
		found = fmt.Sprint(*v.Number)
	}
	switch v.State {
	case OutOfRange:
		add(CodeOutOfRange, Warning, "%s is %s, %s (%s)", v.Name, found, v.Note, v.Source)
	case WrongType:
		add(CodeWrongType, Warning, "%s is %s (%s)", v.Name, v.Note, v.Source)
	case Malformed:
		add(CodeMalformed, Warning, "%s: %s (%s)", v.Name, v.Note, v.Source)
	case Leftover:
		l := Fine
		if v.Name == MaxUserPort || v.Name == ReservedPorts {
			l = Warning // whoever set it believes that it acts
		}
		add(CodeLeftover, l, "%s is set: %s", v.Name, v.Note)
	}
}

// judgeTaken weighs the ports that are taken out of each range. Families and
// protocols with the same loss are said once.
func (s *Settings) judgeTaken(warn, crit int, add func(code string, l Level, format string, args ...any)) {
	said := make(map[string]bool)
	for i := range s.Ranges {
		r := &s.Ranges[i]
		if r.Taken == 0 {
			continue
		}
		l := Fine
		switch share := 100 * r.Taken / r.Len(); {
		case share >= crit || r.Taken == r.Len():
			l = Critical
		case share >= warn:
			l = Warning
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
			add(code, l, "%s", text)
		}
	}
}
