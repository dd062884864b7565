package finding

import (
	"fmt"
	"time"

	"github.com/portroom/portroom/port"
)

// What Windows NT 4.0 to Server 2003 do: KB 196271 and KB 929851. The range begins
// at 1025; MaxUserPort is its last port.
const (
	legacyFirst    = 1025
	legacyDefault  = 5000
	legacyLowest   = 5000  // of MaxUserPort
	legacyHighest  = 65534 // of MaxUserPort
	delayLowest    = 30    // of TcpTimedWaitDelay, in seconds: technet cc938217
	delayHighest   = 300
	legacyTimeWait = 240 // seconds; 120 or 240 on Server 2003: sources differ
)

// legacyRoom is what the host gives with this MaxUserPort.
func (w *WindowsFacts) legacyRoom(last int) Room {
	n, seconds := last-legacyFirst+1, float64(legacyTimeWait)
	if d := w.TcpTimedWaitDelay; d.ok() && d.Number >= delayLowest && d.Number <= delayHighest {
		seconds = float64(d.Number)
	}
	return Room{n, float64(n) / seconds}
}

// windowsWiden are the remedies that give Windows more ports.
func (f *Facts) windowsWiden() []Remedy {
	w := f.Windows
	if w == nil {
		return nil
	}
	if !w.Modern {
		from := legacyDefault
		if w.MaxUserPort.ok() && w.MaxUserPort.Number >= legacyLowest && w.MaxUserPort.Number <= legacyHighest {
			from = int(w.MaxUserPort.Number)
		}
		if from == legacyHighest {
			return nil
		}
		return []Remedy{{
			ID: MaxUserPort, Text: "set MaxUserPort to 65534, and restart", Command: "portroom set MaxUserPort=65534",
			Gain:   Gain{w.legacyRoom(from), w.legacyRoom(legacyHighest)},
			Hazard: "servers on ports above 5000 that start later may find theirs taken: list them in ReservedPorts",
		}}
	}
	if w.Dynamic == nil || w.Dynamic.Len() > 50000 {
		return nil
	}
	to := port.Range{First: wideFirst, Last: lastPort}
	return []Remedy{
		{
			ID: DynamicRange, Text: fmt.Sprintf("widen the dynamic range to %d–%d", to.First, to.Last),
			Command: fmt.Sprintf("portroom set dynamicport.tcp4=%d-%d", to.First, to.Last),
			Gain:    Gain{Room{Capacity: w.Dynamic.Len()}, Room{Capacity: to.Len()}},
			Hazard:  "firewall rules that expect source ports from 49152 on, and servers in the range",
		},
		{
			ID: AutoReuse, Text: "set AutoReusePortRange (2012 R2 with KB3149157, 2016 and later): a port then serves every destination at once, for programs that connect without bind or set SO_REUSE_UNICASTPORT",
		},
	}
}

func maxUserPortAbsent(f *Facts) *Finding {
	w := f.Windows
	if w == nil || w.Modern || w.MaxUserPort.Present {
		return nil
	}
	r := w.legacyRoom(legacyDefault)
	return &Finding{
		Severity: Info,
		Title:    fmt.Sprintf("MaxUserPort is absent: %d ports serve the whole host, %s", r.Capacity, perSecond(r.CeilingPerSecond)),
		Evidence: []string{"TIME_WAIT lasts 240 s unless TcpTimedWaitDelay says otherwise (120 s on Server 2003, by some sources)", "the default is the range 1025 to 5000; after MS08-037 sources differ whether wildcards move to 49152 and above"},
		Remedies: f.windowsWiden(),
	}
}

func maxUserPortInvalid(f *Facts) *Finding {
	w := f.Windows
	if w == nil || w.Modern || !w.MaxUserPort.Present {
		return nil
	}
	v := w.MaxUserPort
	out := &Finding{Severity: Warning, Remedies: f.windowsWiden()}
	switch {
	case !v.ok():
		out.Title = fmt.Sprintf("MaxUserPort is a %s: Windows reads a REG_DWORD only", v.Type)
		out.Evidence = []string{"the type is " + v.Type}
	case v.Number < legacyLowest || v.Number > legacyHighest:
		out.Title = fmt.Sprintf("MaxUserPort is %d, outside of 5000 to 65534", v.Number)
		out.Evidence = []string{"what Windows makes of it is not documented; the default of 5000 is likely"}
	default:
		return nil
	}
	return out
}

func maxUserPortIgnored(f *Facts) *Finding {
	w := f.Windows
	if w == nil || !w.Modern || !w.MaxUserPort.Present {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    "MaxUserPort is set, and this Windows goes by its dynamic range",
		Evidence: []string{fmt.Sprintf("MaxUserPort=%d on %s; sources differ whether it is ignored or taken as a number of ports, so do not rely on it", w.MaxUserPort.Number, w.Release)},
		Remedies: append(f.windowsWiden(), Remedy{ID: RestoreDefault, Text: "take MaxUserPort away, so that nobody counts on it"}),
	}
	if w.Dynamic != nil {
		out.Evidence = append(out.Evidence, fmt.Sprintf("the dynamic range is %s, %s", w.Dynamic, count(w.Dynamic.Len(), "port")))
	}
	return out
}

func timedWaitDelayInvalid(f *Facts) *Finding {
	w := f.Windows
	if w == nil || !w.TcpTimedWaitDelay.Present {
		return nil
	}
	v := w.TcpTimedWaitDelay
	out := &Finding{
		Severity: Warning,
		Remedies: []Remedy{{ID: TimedWaitDelay, Text: "set TcpTimedWaitDelay to 30, and restart", Command: "portroom set TcpTimedWaitDelay=30"}},
	}
	switch {
	case !v.ok():
		out.Title = fmt.Sprintf("TcpTimedWaitDelay is a %s: Windows reads a REG_DWORD only", v.Type)
		out.Evidence = []string{"the type is " + v.Type}
	case v.Number < delayLowest || v.Number > delayHighest:
		out.Title = fmt.Sprintf("TcpTimedWaitDelay is %d s, outside of 30 to 300", v.Number)
		out.Evidence = []string{"sources differ whether a value below 30 is honoured; where it is, late segments may meet a new connection"}
	default:
		return nil
	}
	return out
}

func excludedRanges(f *Facts) *Finding {
	w := f.Windows
	if w == nil || w.Dynamic == nil {
		return nil
	}
	n := w.Excluded.LenIn(*w.Dynamic)
	if n == 0 || 100*n < crowd*w.Dynamic.Len() {
		return nil
	}
	return &Finding{
		Severity: Warning,
		Title:    fmt.Sprintf("excluded ranges take %d of the %d ports of the dynamic range", n, w.Dynamic.Len()),
		Evidence: []string{"excluded: " + cut(w.Excluded.String(), 60)},
		Remedies: []Remedy{{
			ID: TrimExclusions, Text: "restart WinNAT (net stop winnat, net start winnat), or keep Hyper-V from excluding blocks at each start; netsh int ipv4 show excludedportrange tcp lists them, an asterisk marks those that an administrator made",
			Gain:   Gain{Room{Capacity: w.Dynamic.Len() - n}, Room{Capacity: w.Dynamic.Len()}},
			Hazard: "containers and virtual machines lose their networks for a moment",
		}},
	}
}

func boundLeak(f *Facts) *Finding {
	w := f.Windows
	if w == nil || w.Dynamic == nil || w.Bound == 0 || 100*w.Bound < crowd*w.Dynamic.Len() {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    fmt.Sprintf("%d sockets hold a port without a connection (BOUND): a program leaks them", w.Bound),
		Evidence: []string{fmt.Sprintf("%d BOUND of a dynamic range of %d", w.Bound, w.Dynamic.Len())},
		Remedies: []Remedy{{ID: AppClose, Text: "make the program close them, or restart it: no setting helps"}},
	}
	if w.BoundBy != "" {
		out.Evidence = append(out.Evidence, fmt.Sprintf("%s holds %d of them", w.BoundBy, w.BoundMost))
	}
	return out
}

// wrap497 is when a 32-bit counter of 10 ms ticks overflows: 497.1 days.
const wrap497 = (1 << 32) * 10 * time.Millisecond

// warnAhead is how long before such an overflow it is worth saying.
const warnAhead = 30 * 24 * time.Hour

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

func after497Days(f *Facts) *Finding {
	w := f.Windows
	// Vista, 2008, 7 and 2008 R2: builds 6000 to 7601 (KB2553549).
	if w == nil || w.Build < 6000 || w.Build > 7601 || f.Uptime < wrap497-warnAhead {
		return nil
	}
	out := &Finding{
		Severity: Critical,
		Title:    "up for more than 497 days: on this Windows TIME_WAIT then never ends, and ports are lost one by one",
		Evidence: []string{fmt.Sprintf("up for %d days, build %d; %d in TIME_WAIT", days(f.Uptime), w.Build, w.TimeWaits)},
		Remedies: []Remedy{{ID: UpdateSystem, Text: "restart, and install KB2553549"}},
	}
	if f.Uptime < wrap497 {
		out.Severity = Warning
		out.Title = fmt.Sprintf("in %d days this Windows has been up for 497, and TIME_WAIT will never end", days(wrap497-f.Uptime)+1)
	}
	return out
}

// wrap49 is when a 32-bit counter of milliseconds overflows: 49.7 days.
const wrap49 = (1 << 32) * time.Millisecond

func after49Days(f *Facts) *Finding {
	if f.Uptime < wrap49-2*24*time.Hour {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    "up for more than 49.7 days: reports say that on some versions of macOS TIME_WAIT then never ends",
		Evidence: []string{fmt.Sprintf("up for %d days, %d in TIME_WAIT; which versions have it is not known", days(f.Uptime), f.TimeWaits)},
		Remedies: []Remedy{{ID: Restart, Text: "restart: nothing else is known to help"}},
	}
	if f.Uptime < wrap49 {
		out.Title = fmt.Sprintf("in %d days macOS has been up for 49.7: reports say that TIME_WAIT may never end then", days(wrap49-f.Uptime)+1)
	}
	return out
}
