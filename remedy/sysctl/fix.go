package sysctl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/claim"
)

// Remedies are those that this package can do, for messages and completion.
var Remedies = []string{
	finding.WidenRange, finding.ReserveListeners, finding.EvenRange, finding.TWReuse, finding.TWReuseDelay, finding.RestoreTimestamps,
}

// Facts are what assignments are made and completed by.
type Facts struct {
	Settings *host.Settings
	Claims   claim.Claims
	// SSH is the port on which the connection came in over which the command is
	// given; 0 for none.
	SSH uint16
}

// Fix returns the assignments of remedies. Errors are a [*ValueError].
func (f *Facts) Fix(names []string) ([]Assignment, error) {
	s := f.Settings
	var out []Assignment
	if slices.Contains(names, finding.TWReuse) && s.Timestamps == 0 {
		names = append(slices.Clone(names), finding.RestoreTimestamps) // it does nothing without
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		a := Assignment{Remedy: name}
		switch name {
		case finding.WidenRange:
			r, wider := finding.Wide(s)
			if !wider {
				return nil, refuse("widen-range: the range %s is as wide as portroom makes it; portroom set %s=FIRST-LAST sets another", s.Range, Range)
			}
			a.Name, a.Value = Range, rangeText(r)
			a.Why = fmt.Sprintf("%d ports to each destination instead of %d", r.Len(), s.Range.Len())
		case finding.EvenRange:
			if slices.Contains(names, finding.WidenRange) || !s.Range.Odd() {
				continue // it is even then
			}
			a.Name, a.Value = Range, rangeText(finding.Even(s.Range))
			a.Why = "with ends of different parity connect() reaches every port"
		case finding.ReserveListeners:
			u := finding.Unreserved(s, f.Claims)
			if u.Len() == 0 {
				continue
			}
			reserved := s.Reserved
			reserved.Union(&u)
			a.Name, a.Value = Reserved, reserved.String()
			a.Why = "of servers in the range: " + f.Claims.In(&u).String()
		case finding.TWReuse:
			a.Name, a.Value = TWReuse, "1"
			a.Why = "connects take over their own TIME_WAIT entries"
			a.Hazard = hazard(a)
		case finding.TWReuseDelay:
			if !present(s, ReuseDelay) {
				return nil, refuse("tw-reuse-delay: Linux %s has no %s, it came with 6.14", s.Kernel.Text, ReuseDelay)
			}
			if s.TWReuseDelay <= finding.ShortDelay {
				continue
			}
			a.Name, a.Value = ReuseDelay, strconv.FormatInt(finding.ShortDelay.Milliseconds(), 10)
			a.Why = fmt.Sprintf("TIME_WAIT entries are taken over after %d ms instead of %d", finding.ShortDelay.Milliseconds(), s.TWReuseDelay.Milliseconds())
			a.Hazard = hazard(a)
		case finding.RestoreTimestamps:
			if s.Timestamps != 0 {
				continue
			}
			a.Name, a.Value = Timestamps, "1"
			a.Why = "without timestamps no TIME_WAIT entry is ever taken over"
		default:
			return nil, refuse("%q is no remedy: want %s", name, strings.Join(Remedies, ", "))
		}
		out = append(out, a)
	}
	return out, nil
}

// hazard is what may go wrong with a value, "" for nothing known.
func hazard(a Assignment) string {
	switch {
	case a.Name == TWReuse && a.Value == "1":
		return "a NAT or load balancer that merges clients or strips timestamps may drop connects that take over a TIME_WAIT entry, and so may a firewall that keeps closed connections longer"
	case a.Name == ReuseDelay && len(a.Value) < len("1000"):
		return "where a peer's timestamp clock ticks more slowly than that (up to 1 s is allowed), a connect may be dropped"
	}
	return ""
}

func milliseconds(text string) (time.Duration, error) {
	n, err := strconv.Atoi(text)
	return time.Duration(n) * time.Millisecond, err
}
