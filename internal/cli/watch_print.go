package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/trace"
)

// What a connect was refused for; both give EADDRNOTAVAIL.
const (
	reasonNoPort = "no-port"    // none of the range was free
	reasonTaken  = "port-taken" // the port that bind() chose is in use to this destination
	reasonFull   = "full"       // polling: the pool has no port left, whether or not anyone asks
)

// refusalJSON is one line of watch --json: the refusals of one pool by one process
// in one second.
type refusalJSON struct {
	Time     string `json:"time"` // RFC 3339, the second
	Netns    uint64 `json:"netns"`
	Proto    string `json:"proto"`
	Src      string `json:"src"`
	Dst      string `json:"dst"`
	PID      int    `json:"pid"`
	Command  string `json:"command"`
	Cgroup   string `json:"cgroup"`
	Errno    string `json:"errno"`
	Count    uint64 `json:"count"`
	Reason   string `json:"reason"`
	Held     *int   `json:"held"`
	Capacity *int   `json:"capacity"`
}

// refusal is what becomes a line.
type refusal struct {
	refusalJSON
	at  time.Time
	key pool.Key
}

func newRefusal(second time.Time, r *trace.Row, n uint64, reason string) refusal {
	return refusal{
		refusalJSON: refusalJSON{
			Time: second.Format(time.RFC3339), Netns: r.Netns, Proto: "tcp", Src: r.Src.String(), Dst: r.Dst.String(),
			PID: r.PID, Command: r.Command, Cgroup: r.Cgroup, Errno: "EADDRNOTAVAIL", Count: n, Reason: reason,
		},
		at: second, key: poolKey(r.Src, r.Dst, r.Ifindex),
	}
}

func poolKey(src netip.Addr, dst netip.AddrPort, ifindex uint32) pool.Key {
	return pool.Key{Proto: socket.TCP, Src: src, Dst: dst, Ifindex: ifindex}
}

// printRefusals prints the refusals of a second, those of which there are most
// first.
func (a *app) printRefusals(list []refusal) error {
	slices.SortFunc(list, func(a, b refusal) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Netns, b.Netns), cmp.Compare(a.Dst, b.Dst), cmp.Compare(a.PID, b.PID))
	})
	for i := range list {
		r := &list[i]
		if a.json {
			text, err := json.Marshal(r.refusalJSON)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(a.stdout, "%s\n", text); err != nil {
				return err
			}
			continue
		}
		lead := r.at.Format("15:04:05") + "  "
		if _, err := fmt.Fprintln(a.stdout, lead+a.wrap(len(lead), r.text(), strings.Repeat(" ", len(lead)))); err != nil {
			return err
		}
	}
	return nil
}

// text is the line for people, without the time.
func (r *refusal) text() string {
	var b strings.Builder
	if r.PID != 0 {
		fmt.Fprintf(&b, "%s ", holder(pool.Owner{PID: r.PID, Command: r.Command}))
		if l := netns.Label(r.Cgroup); l != "" {
			fmt.Fprintf(&b, "in %s ", clean(l))
		}
	}
	fmt.Fprintf(&b, "%s → %s: ", r.Src, r.Dst)
	switch r.Reason {
	case reasonFull:
		b.WriteString("no port is left")
	case reasonTaken:
		fmt.Fprintf(&b, "%s refused (%s): the port that was bound is in use to this destination", connects(r.Count), r.Errno)
	default:
		fmt.Fprintf(&b, "%s refused (%s)", connects(r.Count), r.Errno)
	}
	if r.Held != nil && r.Capacity != nil {
		fmt.Fprintf(&b, ", %d of %d held", *r.Held, *r.Capacity)
	}
	return b.String()
}

func connects(n uint64) string {
	if n == 1 {
		return "1 connect"
	}
	return strconv.FormatUint(n, 10) + " connects"
}
