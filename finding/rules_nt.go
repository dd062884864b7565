package finding

import (
	"fmt"
	"time"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/socket"
)

// takenFrom makes a finding of ports that are kept out of a range: worth a word
// where a burst would feel it, worse as the thresholds of pools say.
func (f *Facts) takenFrom(code string) *Finding {
	if !f.registry() {
		return nil
	}
	texts := f.Windows.about([]string{code})
	worst, all := 0.0, false
	for i := range f.Windows.Settings.Ranges {
		r := &f.Windows.Settings.Ranges[i]
		worst = max(worst, 100*float64(r.Taken)/float64(r.Len()))
		all = all || r.Taken == r.Len()
	}
	if len(texts) == 0 || worst < crowd {
		return nil
	}
	out := &Finding{Severity: Info, Title: texts[0], Evidence: texts[1:]}
	switch {
	case all, worst >= f.crit():
		out.Severity = Critical
	case worst >= f.warn():
		out.Severity = Warning
	}
	return out
}

func reservedPorts(f *Facts) *Finding {
	out := f.takenFrom(nt.CodeReserved)
	if out == nil {
		return nil
	}
	s := f.Windows.Settings
	out.Evidence = append(out.Evidence, "reserved: "+cut(s.Reserved.String(), 60))
	out.Remedies = append(f.windowsWiden(), Remedy{
		ID: UnblockPorts, Text: "take out of ReservedPorts what nobody needs, and restart",
		Hazard: "a port that somebody reserved protects a server: find out whose first",
	})
	return out
}

func excludedRanges(f *Facts) *Finding {
	out := f.takenFrom(nt.CodeExcluded)
	if out == nil {
		return nil
	}
	s := f.Windows.Settings
	excluded := nt.ExcludedSet(s.Excluded, socket.TCP, nt.IPv4)
	m := Remedy{
		ID: TrimExclusions, Text: "restart WinNAT (net stop winnat, net start winnat), or keep Hyper-V from excluding blocks at each start; netsh int ipv4 show excludedportrange tcp lists them, an asterisk marks those that an administrator made",
		Hazard: "containers and virtual machines lose their networks for a moment",
	}
	if r := f.Windows.serving(); r != nil && r.Taken > 0 {
		out.Evidence = append(out.Evidence, "excluded for TCP over IPv4: "+cut(excluded.String(), 60))
		m.Gain = Gain{f.Windows.roomOf(r.Range, r.Taken), f.Windows.roomOf(r.Range, 0)}
	}
	out.Remedies = []Remedy{m}
	return out
}

func boundLeak(f *Facts) *Finding {
	w := f.Windows
	if !f.registry() || w.Bound == 0 {
		return nil
	}
	r := w.serving()
	if r == nil || 100*w.Bound < crowd*r.Len() {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    fmt.Sprintf("%d sockets hold a port without a connection (BOUND): a program leaks them", w.Bound),
		Evidence: []string{fmt.Sprintf("%d BOUND of a range of %d", w.Bound, r.Len())},
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
	if !f.registry() {
		return nil
	}
	// Vista, 2008, 7 and 2008 R2: builds 6000 to 7601 (KB2553549).
	build := f.Windows.Settings.System.Build
	if build < 6000 || build > 7601 || f.Uptime < wrap497-warnAhead {
		return nil
	}
	out := &Finding{
		Severity: Critical,
		Title:    "up for more than 497 days: on this Windows TIME_WAIT then never ends, and ports are lost one by one",
		Evidence: []string{fmt.Sprintf("up for %d days, build %d; %d in TIME_WAIT", days(f.Uptime), build, f.TimeWaits)},
		Remedies: []Remedy{{ID: UpdateSystem, Text: "restart, and install KB2553549"}},
	}
	if f.Uptime < wrap497 {
		out.Severity = Warning
		out.Title = fmt.Sprintf("in %d days this Windows has been up for 497, and TIME_WAIT will never end", days(wrap497-f.Uptime)+1)
	}
	return out
}
