package cli

import (
	"fmt"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

func rangeLine(r port.Range, capacity, blocked int) string {
	s := fmt.Sprintf("Range %s: %s, %d for each destination", r, count(r.Len(), "port"), capacity)
	if blocked == 0 {
		return s + ", none blocked"
	}
	return fmt.Sprintf("%s, %d blocked for everyone", s, blocked)
}

// boundsLine says which numbers are bounds and why.
func boundsLine(hostwide bool, why string) string {
	if hostwide {
		return "numbers with ≤ are upper bounds: " + why
	}
	return "numbers with ≥ are lower bounds: " + why
}

// blockedLines name who blocks ports for everyone, the largest first.
func blockedLines(v *survey.View, b pool.Blocked) []string {
	var out []string
	if n := b.Kinds[pool.Reserved]; n > 0 {
		what := "reserved (ip_local_reserved_ports)"
		if v.Hostwide() {
			what = "excluded (netsh interface ipv4 show excludedportrange protocol=tcp)"
			if v.Windows.System.Era == nt.Legacy {
				what = "reserved (ReservedPorts)"
			}
		}
		out = append(out, fmt.Sprintf("%d %s", n, what))
	}
	listed := make(map[pool.Kind]int)
	const perKind = 3
	for _, by := range b.By {
		if by.Kind == pool.OutOfReach {
			continue
		}
		if listed[by.Kind]++; listed[by.Kind] > perKind {
			continue
		}
		who := "nobody known"
		if by.Owner != socket.NoOwner {
			o := v.Owners.At(by.Owner)
			who = fmt.Sprintf("%s[%d]", clean(o.Command), o.PID)
		} else if by.Kind == pool.BoundFirst {
			who = "TIME_WAIT or another user's process"
		}
		out = append(out, fmt.Sprintf("%d %s by %s", by.Ports, kindWords[by.Kind], who))
	}
	for k, n := range listed {
		if n > perKind {
			out = append(out, fmt.Sprintf("and %s %s", count(n-perKind, "process"), kindWords[k]))
		}
	}
	if n := b.Kinds[pool.Leftover]; n > 0 {
		out = append(out, fmt.Sprintf("%d still closed by connections that a bound socket left behind", n))
	}
	if n := b.Kinds[pool.OutOfReach]; n > 0 {
		out = append(out, "1 never reached: in a range of three ports connect() visits two")
	}
	return out
}

var kindWords = map[pool.Kind]string{
	pool.Listening:  "listening",
	pool.BoundIdle:  "bound without a connection",
	pool.BoundFirst: "bound before connecting",
}
