package cli

import (
	"fmt"

	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// What is said otherwise of hosts on which a port in use is out of reach for every
// destination.

func hostwideLine(r port.Range, capacity, blocked int) string {
	s := fmt.Sprintf("Range %s for TCP over IPv4: %s, %d for all destinations together", r, count(r.Len(), "port"), capacity)
	if blocked == 0 {
		return s + ", none blocked"
	}
	return fmt.Sprintf("%s, %d blocked", s, blocked)
}

// otherRanges name the ranges of the other protocols and families.
func otherRanges(v *survey.View) []string {
	var out []string
	same := true
	for i := range v.Spaces {
		s := &v.Spaces[i]
		if s.Proto == socket.TCP && !s.IPv6 {
			continue
		}
		excluded := s.Excluded.LenIn(s.Range)
		same = same && s.Range == v.Range(socket.TCP) && excluded == 0
		line := fmt.Sprintf("%s over %s: %s, %s", s.Proto, spaceFamily(s), s.Range, count(s.Range.Len(), "port"))
		if excluded > 0 {
			line += fmt.Sprintf(", %d excluded", excluded)
		}
		out = append(out, line)
	}
	if same && len(out) > 0 {
		out = []string{"TCP over IPv6 and UDP have the same range, counted apart"}
	}
	for i := range v.Spaces {
		if s := &v.Spaces[i]; s.Shared != nil && !s.IPv6 {
			out = append(out, fmt.Sprintf("AutoReusePortRange %s: connect() without bind() draws from there, for each destination apart", s.Shared))
		}
	}
	return out
}

// hostwideVerdict is the sentence about a port.
func hostwideVerdict(v *survey.View, n uint16, blocked socket.Tri, tcp, udp, timeWait int, listening, idle bool) string {
	shared := v.Shared(n)
	switch {
	case v.Reserved(n):
		return "excluded: the system never chooses it"
	case listening:
		return "listening: no connection is given it"
	case idle:
		return "bound without a connection: no connection is given it"
	case tcp > 0 && shared:
		return fmt.Sprintf("held by %s, in AutoReusePortRange: free for every other destination, unless it was bound first, which cannot be seen", count(tcp, "connection"))
	case tcp > 0 && timeWait == tcp:
		return fmt.Sprintf("held by %d in TIME_WAIT: out of reach for every destination", timeWait)
	case tcp > 0:
		return fmt.Sprintf("held by %s: out of reach for every destination", count(tcp, "connection"))
	case blocked == socket.Unknown && udp > 0:
		return "held by UDP; for TCP no socket is seen on it, but this system does not list those that are bound and not connected"
	case udp > 0:
		return "held by UDP; free for TCP"
	case blocked == socket.Unknown:
		return "no socket is seen on it, but this system does not list those that are bound and not connected"
	}
	return "free"
}

// closedShared reports whether a port of a shared range is closed to all: by a
// listener, or by a bound socket.
func closedShared(list []survey.Holder) bool {
	for _, h := range list {
		if h.State == socket.Listen || h.State == socket.BoundInactive {
			return true
		}
	}
	return false
}
