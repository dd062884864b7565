package finding

import (
	"fmt"
	"slices"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// The values of KB 196271 and TechNet cc938217 that remedies set.
const (
	legacyFirst   = 1025  // where the range begins: KB 929851
	legacyHighest = 65534 // the most that MaxUserPort may be
	delayLowest   = 30    // of TcpTimedWaitDelay, in seconds
)

// about are the texts of remarks with one of these codes, on one of these values if
// any are named.
func (w *WindowsFacts) about(codes []string, values ...string) []string {
	var out []string
	for _, r := range w.Settings.Remarks() {
		if slices.Contains(codes, r.Code) && (len(values) == 0 || slices.Contains(values, r.Value)) {
			out = append(out, r.Text)
		}
	}
	return out
}

// invalid are the codes of remarks on a value that is not a documented one.
var invalid = []string{nt.CodeOutOfRange, nt.CodeWrongType, nt.CodeMalformed}

// era is the age of the Windows that is judged.
func (f *Facts) era() nt.Era {
	if f.Windows == nil || f.Windows.Settings == nil {
		return nt.UnknownEra
	}
	return f.Windows.Settings.System.Era
}

// registry reports whether there are settings of a Windows to judge.
func (f *Facts) registry() bool { return f.Windows != nil && f.Windows.Settings != nil }

// serving is the range that serves TCP over IPv4, nil when not known.
func (w *WindowsFacts) serving() *nt.Range {
	for i := range w.Settings.Ranges {
		if r := &w.Settings.Ranges[i]; r.Proto == 0 || r.Proto == socket.TCP && r.Family == nt.IPv4 {
			return r
		}
	}
	return nil
}

// roomOf is what a range gives; the rate is by the longest TIME_WAIT.
func (w *WindowsFacts) roomOf(r port.Range, taken int) Room {
	n := r.Len() - taken
	if w.Settings.TimeWaitHigh == 0 {
		return Room{Capacity: n}
	}
	return Room{n, float64(n) / float64(w.Settings.TimeWaitHigh)}
}

// assign is the remedy of one value. It acts after a restart.
func (f *Facts) assign(id, name, value string) Remedy {
	return Remedy{
		ID: id, Text: fmt.Sprintf("set %s to %s, and restart", name, value),
		Command: f.command("set " + name + "=" + value), Sets: []Assignment{{name, value}},
	}
}

// windowsWiden are the remedies that give Windows more ports.
func (f *Facts) windowsWiden() []Remedy {
	w := f.Windows
	if !f.registry() {
		return nil
	}
	r := w.serving()
	switch {
	case r == nil:
		return nil
	case f.era() == nt.Legacy:
		if r.Exact && r.Last == legacyHighest {
			return nil
		}
		to := port.Range{First: legacyFirst, Last: legacyHighest}
		m := f.assign(MaxUserPort, nt.MaxUserPort, fmt.Sprint(legacyHighest))
		m.Gain = Gain{w.roomOf(r.Range, r.Taken), w.roomOf(to, w.Settings.Reserved.LenIn(to))}
		m.Hazard = "servers on ports above 5000 that start later may find theirs taken: list them in ReservedPorts"
		return []Remedy{m}
	case !r.Exact: // only a running system tells its range, and only there it can be set
		return nil
	}
	var out []Remedy
	to := port.Range{First: wideFirst, Last: lastPort}
	if r.Len() < to.Len() {
		value := fmt.Sprintf("%d-%d", to.First, to.Last)
		excluded := nt.ExcludedSet(w.Settings.Excluded, socket.TCP, nt.IPv4)
		out = append(out, Remedy{
			ID: DynamicRange, Text: fmt.Sprintf("widen the dynamic range to %d–%d", to.First, to.Last),
			Command: f.command("set dynamicport.tcp4=" + value), Sets: []Assignment{{"dynamicport.tcp4", value}},
			Gain:   Gain{w.roomOf(r.Range, r.Taken), w.roomOf(to, excluded.LenIn(to))},
			Hazard: "firewall rules that expect source ports from 49152 on, and servers in the range",
		})
	}
	if a := w.Settings.AutoReuse; a == nil || !a.On() {
		out = append(out, Remedy{
			ID: AutoReuse, Text: "set AutoReusePortRange=FIRST-LAST by portroom set (2012 R2 with KB3149157, 2016 and later): a port then serves every destination at once, for programs that connect without bind or set SO_REUSE_UNICASTPORT",
		})
	}
	return out
}

// windowsShorten are the remedies that shorten TIME_WAIT.
func (f *Facts) windowsShorten() []Remedy {
	w := f.Windows
	if !f.registry() || w.Settings.TimeWaitHigh <= delayLowest {
		return nil
	}
	m := f.assign(TimedWaitDelay, nt.TcpTimedWaitDelay, fmt.Sprint(delayLowest))
	m.Hazard = "a segment that is late by more than 30 s may meet a new connection"
	if r := w.serving(); r != nil && f.era() == nt.Legacy {
		from := w.roomOf(r.Range, r.Taken)
		m.Gain = Gain{from, from.scaled(from.Capacity, delayLowest)}
	} else {
		m.Text += "; no article says for certain whether this Windows goes by it"
	}
	return []Remedy{m}
}

func maxUserPortAbsent(f *Facts) *Finding {
	if f.era() != nt.Legacy || f.Windows.Settings.Value(nt.MaxUserPort).State != nt.Absent {
		return nil
	}
	return &Finding{
		Severity: Info,
		Title:    f.Windows.about([]string{nt.CodeRange})[0],
		Evidence: f.Windows.about([]string{nt.CodeTimeWait}),
		Remedies: f.windowsWiden(),
	}
}

func maxUserPortLow(f *Facts) *Finding {
	if f.era() != nt.Legacy {
		return nil
	}
	v := f.Windows.Settings.Value(nt.MaxUserPort)
	if v.State != nt.Good || *v.Number >= legacyHighest {
		return nil
	}
	return &Finding{
		Severity: Info,
		Title:    f.Windows.about([]string{nt.CodeRange})[0],
		Evidence: f.Windows.about([]string{nt.CodeTimeWait}),
		Remedies: f.windowsWiden(),
	}
}

// warnOf makes a warning of remarks; nil when there are none.
func warnOf(title string, texts []string, remedies ...Remedy) *Finding {
	if len(texts) == 0 {
		return nil
	}
	return &Finding{Severity: Warning, Title: title, Evidence: texts, Remedies: remedies}
}

// firstOf makes a warning whose title is the first of these remarks; the evidence is
// what follows from it.
func (w *WindowsFacts) firstOf(texts []string, follows string, remedies ...Remedy) *Finding {
	if len(texts) == 0 {
		return nil
	}
	return warnOf(texts[0], w.about([]string{follows, nt.CodeUnknownSystem}), remedies...)
}

func maxUserPortInvalid(f *Facts) *Finding {
	if !f.registry() || f.era() == nt.Later {
		return nil
	}
	remedies := f.windowsWiden()
	if f.era() == nt.UnknownEra {
		remedies = []Remedy{nameSystem}
	}
	return f.Windows.firstOf(f.Windows.about(invalid, nt.MaxUserPort), nt.CodeRange, remedies...)
}

func maxUserPortIgnored(f *Facts) *Finding {
	if f.era() != nt.Later {
		return nil
	}
	out := f.Windows.firstOf(f.Windows.about([]string{nt.CodeLeftover}, nt.MaxUserPort), nt.CodeRange, f.windowsWiden()...)
	if out == nil {
		return nil
	}
	out.Evidence = append(out.Evidence, "Microsoft's articles differ whether it is ignored or taken as a number of ports: do not rely on it")
	out.Remedies = append(out.Remedies, Remedy{
		ID: RestoreDefault, Text: "take MaxUserPort away, so that nobody counts on it",
		Command: f.command("set MaxUserPort=absent"), Sets: []Assignment{{nt.MaxUserPort, "absent"}},
	})
	return out
}

func timedWaitDelayInvalid(f *Facts) *Finding {
	if !f.registry() {
		return nil
	}
	m := f.assign(TimedWaitDelay, nt.TcpTimedWaitDelay, fmt.Sprint(delayLowest))
	if f.Windows.Settings.Value(nt.TcpTimedWaitDelay).State != nt.OutOfRange {
		// It cannot be set before it is gone.
		m = Remedy{
			ID: RestoreDefault, Text: "take it away: its default then holds",
			Command: f.command("set TcpTimedWaitDelay=absent"), Sets: []Assignment{{nt.TcpTimedWaitDelay, "absent"}},
		}
	}
	return f.Windows.firstOf(f.Windows.about(invalid, nt.TcpTimedWaitDelay), nt.CodeTimeWait, m)
}

// otherValues are those that no rule of its own is about.
var otherValues = []string{nt.ReservedPorts, nt.MaxFreeTcbs, nt.MaxFreeTWTcbs, nt.MaxHashTableSize, nt.TcpNumConnections, nt.StrictTimeWaitSeqCheck}

func valueInvalid(f *Facts) *Finding {
	if !f.registry() {
		return nil
	}
	return warnOf("a value is set that is not a documented one", f.Windows.about(invalid, otherValues...), Remedy{
		ID: RestoreDefault, Text: "correct the value, or take it away: its default then holds (portroom settings shows both)",
	})
}

func valueLeftover(f *Facts) *Finding {
	if f.era() != nt.Later {
		return nil
	}
	out := warnOf("a value is set that this Windows does not go by", f.Windows.about([]string{nt.CodeLeftover}, otherValues...), Remedy{
		ID: RestoreDefault, Text: "take it away, so that nobody counts on it",
	})
	if out != nil && len(f.Windows.about([]string{nt.CodeLeftover}, nt.ReservedPorts)) == 0 {
		out.Severity = Info // whoever set ReservedPorts believes that it protects a server
	}
	return out
}

func fewerThanPorts(f *Facts) *Finding {
	if !f.registry() {
		return nil
	}
	return warnOf("TcpNumConnections allows fewer connections than there are ports", f.Windows.about([]string{nt.CodeFewer}), Remedy{
		ID: RestoreDefault, Text: "take TcpNumConnections away: its default is 16777214 connections",
	})
}

func restartPending(f *Facts) *Finding {
	if !f.registry() {
		return nil
	}
	return warnOf("a restart is pending", f.Windows.about([]string{nt.CodePending}), Remedy{ID: Restart, Text: "restart, when the services allow it"})
}

func unknownWindows(f *Facts) *Finding {
	if !f.registry() {
		return nil
	}
	return warnOf("what governs the ports of this Windows is not known", f.Windows.about([]string{nt.CodeUnknownSystem}), nameSystem)
}

var nameSystem = Remedy{
	ID: NameSystem, Text: "judge it with its SOFTWARE hive beside the SYSTEM hive, or export HKEY_LOCAL_MACHINE whole",
}
