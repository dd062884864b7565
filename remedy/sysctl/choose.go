package sysctl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// The remedies, named as package finding names them.
const (
	WidenRange        = "widen-range"
	ReserveListeners  = "reserve-listeners"
	EvenRange         = "even-range"
	TakeOver          = "tw-reuse"
	TakeOverSooner    = "tw-reuse-delay"
	RestoreTimestamps = "restore-timestamps"
)

// Remedies are all of them, for messages and completion.
var Remedies = []string{WidenRange, ReserveListeners, EvenRange, TakeOver, TakeOverSooner, RestoreTimestamps}

const (
	// wideFirst is where a widened range begins: above the registered ports that
	// most servers use, and even, so that with 65535 both halves are equal.
	wideFirst = 10240
	lastPort  = 65535
	// shortDelay is 100 ms: more than the 1 to 10 ms tick of the timestamp clock
	// of Linux peers. RFC 7323 allows ticks of up to one second.
	shortDelay = 100
	// tight is the share of a pool, in percent, from which on it wants a remedy:
	// the threshold at which portroom check warns.
	tight = 70
)

// Facts are what remedies are chosen by.
type Facts struct {
	Settings *host.Settings
	Pools    []pool.Pool // the tightest first
	Blocked  int         // ports of the range that are out of every pool
	Claims   claim.Claims
	// SSH is the port on which the connection came in over which the command is
	// given; 0 for none.
	SSH uint16
}

// Choose returns the remedies that this host wants, and why none, if so.
func (f *Facts) Choose() (names []string, none string) {
	s := f.Settings
	worst := f.worst()
	_, wider := f.wide()
	exhausted := s.Range.Len() <= f.Blocked
	switch {
	case (worst != nil || exhausted) && wider:
		names = append(names, WidenRange)
	case s.Range.Odd() && s.Range.Len() > 1:
		names = append(names, EvenRange)
	}
	if worst != nil && !wider && worst.Key.Proto == socket.TCP && 2*worst.States[socket.TimeWait] >= worst.Held && s.TWReuse != 1 {
		names = append(names, TakeOver)
	}
	if s.TWReuse == 1 && s.Timestamps == 0 {
		names = append(names, RestoreTimestamps)
	}
	if u := f.unreserved(); u.Len() > 0 {
		names = append(names, ReserveListeners)
	}
	switch {
	case len(names) > 0:
	case worst != nil:
		none = fmt.Sprintf("%s is held to %d%%, and no setting gives it more: the range %s is as wide as it gets. Keep connections open and use them again, or spread them over more addresses (portroom check shows who holds the ports)",
			poolName(worst.Key), int(worst.Used()*100), s.Range)
	default:
		none = fmt.Sprintf("nothing to fix: no pool is held to %d%%, and the range %s collides with nobody", tight, s.Range)
	}
	return names, none
}

func poolName(k pool.Key) string {
	if !k.Dst.IsValid() {
		return k.Proto.String() + " from " + k.Src.String()
	}
	return k.Src.String() + " → " + k.Dst.String()
}

// worst is the tightest pool that wants a remedy, nil when there is none.
func (f *Facts) worst() *pool.Pool {
	for i := range f.Pools {
		if p := &f.Pools[i]; p.HeadroomMax == 0 || p.Capacity > 0 && 100*(p.Capacity-p.HeadroomMax) >= tight*p.Capacity {
			return p
		}
	}
	return nil
}

// wide is the range that widen-range makes, and whether it is wider than what is
// there. Its length is even, so that connect() finds both halves equal.
func (f *Facts) wide() (port.Range, bool) {
	s := f.Settings
	r := port.Range{First: min(s.Range.First, wideFirst), Last: lastPort}
	if r.Odd() {
		r.First++
	}
	for int(r.First) < s.UnprivilegedPortStart && r.First < lastPort-1 {
		r.First += 2
	}
	return r, r.Len() > s.Range.Len()
}

// even is the range with one port more where there is one, or one less.
func (f *Facts) even() port.Range {
	r := f.Settings.Range
	switch {
	case !r.Odd():
	case r.Last < lastPort:
		r.Last++
	default:
		r.First++
	}
	return r
}

// unreserved are the ports of listeners inside the range that are not reserved.
func (f *Facts) unreserved() port.Set {
	u := f.Claims.Set(claim.Listening, claim.NodePort)
	u.Clip(f.Settings.Range)
	u.Subtract(&f.Settings.Reserved)
	return u
}

// Fix returns the assignments of remedies. Errors are a [*ValueError].
func (f *Facts) Fix(names []string) ([]Assignment, error) {
	s := f.Settings
	var out []Assignment
	if slices.Contains(names, TakeOver) && s.Timestamps == 0 {
		names = append(slices.Clone(names), RestoreTimestamps) // it does nothing without
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		a := Assignment{Remedy: name}
		switch name {
		case WidenRange:
			r, wider := f.wide()
			if !wider {
				return nil, refuse("widen-range: the range %s is as wide as portroom makes it; portroom set %s=FIRST-LAST sets another", s.Range, Range)
			}
			a.Name, a.Value = Range, rangeText(r)
			a.Why = fmt.Sprintf("%d ports to each destination instead of %d", r.Len(), s.Range.Len())
		case EvenRange:
			if slices.Contains(names, WidenRange) || !s.Range.Odd() {
				continue // it is even then
			}
			a.Name, a.Value = Range, rangeText(f.even())
			a.Why = "with ends of different parity connect() reaches every port"
		case ReserveListeners:
			u := f.unreserved()
			if u.Len() == 0 {
				continue
			}
			reserved := s.Reserved
			reserved.Union(&u)
			a.Name, a.Value = Reserved, reserved.String()
			a.Why = "of servers in the range: " + f.Claims.In(&u).String()
		case TakeOver:
			a.Name, a.Value = TWReuse, "1"
			a.Why = "connects take over their own TIME_WAIT entries"
			a.Hazard = hazard(a)
		case TakeOverSooner:
			if !present(s, ReuseDelay) {
				return nil, refuse("tw-reuse-delay: Linux %s has no %s, it came with 6.14", s.Kernel.Text, ReuseDelay)
			}
			if s.TWReuseDelay <= shortDelay*time.Millisecond {
				continue
			}
			a.Name, a.Value = ReuseDelay, strconv.Itoa(shortDelay)
			a.Why = fmt.Sprintf("TIME_WAIT entries are taken over after %d ms instead of %d", shortDelay, s.TWReuseDelay.Milliseconds())
			a.Hazard = hazard(a)
		case RestoreTimestamps:
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
