package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/internal/portmap"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

const portsLong = `With a PORT, say why it is free or not, and whose it is: outside the ephemeral range,
reserved, listening, bound, or held, by which connections and processes;
TIME_WAIT with the seconds it still lasts.

Without a PORT, draw the whole ephemeral range as a map. State is told by glyph
and by colour; --png writes the map as a picture.

EXIT STATUS
  0   printed
  3   could not be measured
  64  wrong usage`

func (a *app) portsCommand() *cobra.Command {
	var png, proto string
	c := &cobra.Command{
		Use:   "ports [PORT]",
		Short: "Say why a port is free or not, or draw all of them as a map",
		Long:  portsLong,
		Example: `  portroom ports
  portroom ports --png map.png
  portroom ports 50123
  portroom ports 50123 --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("ports takes one port at most, got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.allNamespaces {
				return usagef("ports shows one namespace: use --netns instead of --all-namespaces")
			}
			if len(args) == 0 {
				p, err := parseProto(proto)
				if err != nil {
					return err
				}
				return a.survey(cmd.Context(), survey.Options{Map: true, MapProto: p}, func(v *survey.View) error {
					return a.portMap(v, p, png)
				})
			}
			if png != "" {
				return usagef("--png draws the whole range: leave out the port")
			}
			n, err := strconv.ParseUint(args[0], 10, 16)
			if err != nil || n == 0 {
				return usagef("%q is no port: want 1 to 65535", args[0])
			}
			return a.survey(cmd.Context(), survey.Options{Owners: true, Port: uint16(n)}, func(v *survey.View) error {
				return a.port(v, uint16(n))
			})
		},
	}
	c.Flags().StringVar(&png, "png", "", "write the map as a picture to this `file`")
	c.Flags().StringVar(&proto, "proto", "tcp", "`protocol` of the map: tcp or udp")
	_ = c.RegisterFlagCompletionFunc("proto", cobra.FixedCompletions([]string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// mapJSON is the map for scripts: the ports of each use, in the kernel's list
// form.
type mapJSON struct {
	Netns uint64             `json:"netns"`
	Range rangeJSON          `json:"range"`
	Uses  map[string]useJSON `json:"uses"`
}

type useJSON struct {
	Count int    `json:"count"`
	Ports string `json:"ports"`
}

// portMap draws the map of the range.
func (a *app) portMap(v *survey.View, proto socket.Proto, png string) error {
	m, r := v.Table.PortMap(), v.Range(proto)
	if png != "" {
		title := fmt.Sprintf("Ephemeral ports %s", r)
		if v.Namespace.Label != "" {
			title += " of " + v.Namespace.Label
		}
		if err := writeFile(png, func(f *os.File) error { return portmap.PNG(f, m, r, title) }); err != nil {
			return err
		}
		if !a.json {
			_, err := fmt.Fprintf(a.stderr, "portroom: wrote %s\n", png)
			return err
		}
	}
	if a.json {
		return printJSON(a.stdout, jsonMap(v, proto))
	}
	return portmap.Text(a.stdout, m, r, portmap.Options{Width: a.width, Color: a.color, ASCII: a.ascii})
}

// writeFile writes a file as a whole or not at all.
func writeFile(name string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".portroom-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = write(f); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func jsonMap(v *survey.View, proto socket.Proto) mapJSON {
	j := mapJSON{Netns: v.Namespace.ID, Range: jsonRange(v, proto), Uses: make(map[string]useJSON)}
	for u := pool.Free + 1; int(u) < pool.NumUses; u++ {
		set := v.Table.PortMap().Set(u, v.Range(proto))
		if n := set.Len(); n > 0 {
			j.Uses[u.String()] = useJSON{n, set.String()}
		}
	}
	return j
}

// portJSON is the answer about one port.
type portJSON struct {
	Netns    uint64       `json:"netns"`
	Port     uint16       `json:"port"`
	InRange  bool         `json:"in_range"`
	Reserved bool         `json:"reserved"`
	Blocked  *bool        `json:"blocked"` // null when it cannot be known
	Verdict  string       `json:"verdict"`
	Sockets  []socketJSON `json:"sockets"`
	Limited  string       `json:"limited"`
}

type socketJSON struct {
	Proto     string   `json:"proto"`
	State     string   `json:"state"`
	Src       string   `json:"src"`
	Dst       string   `json:"dst"`
	Remaining *float64 `json:"remaining_seconds,omitempty"`
	PID       int      `json:"pid"`
	Command   string   `json:"command"`
	Cgroup    string   `json:"cgroup"`
	UID       uint32   `json:"uid"`
}

// port explains one port.
func (a *app) port(v *survey.View, n uint16) error {
	j := portJSON{
		Netns: v.Namespace.ID, Port: n, InRange: v.InRange(n), Reserved: v.Reserved(n),
		Sockets: []socketJSON{}, Limited: limitText(v),
	}
	slices.SortStableFunc(v.Sockets, func(x, y survey.Holder) int { return rank(x) - rank(y) })
	for _, h := range v.Sockets {
		s := socketJSON{
			Proto: h.Proto.String(), State: h.State.String(), Src: hostPort(h.Src.Netip(), h.SrcPort),
			Dst: hostPort(h.Dst.Netip(), h.DstPort), PID: h.Owner.PID, Command: h.Owner.Command, Cgroup: v.Cgroup(h.Owner.PID), UID: h.UID,
		}
		if h.DstPort == 0 {
			s.Dst = "*"
		}
		if h.Remaining > 0 {
			left := round1(h.Remaining.Seconds())
			s.Remaining = &left
		}
		j.Sockets = append(j.Sockets, s)
	}
	blocked := v.PortBound
	if j.Reserved {
		blocked = socket.Yes
	}
	if v.Shared(n) && blocked == socket.Yes && !closedShared(v.Sockets) {
		blocked = socket.Unknown // unless it was bound, which cannot be seen
	}
	if !v.Hostwide() && blocked == socket.Unknown && !anyTCP(v.Sockets) {
		blocked = socket.No
	}
	if blocked != socket.Unknown {
		b := blocked == socket.Yes
		j.Blocked = &b
	}
	j.Verdict = portVerdict(v, n, blocked)
	if a.json {
		return printJSON(a.stdout, j)
	}
	return a.printPort(v, j)
}

func anyTCP(list []survey.Holder) bool {
	return slices.ContainsFunc(list, func(h survey.Holder) bool { return h.Proto == socket.TCP })
}

// rank orders the sockets on a port by how much they explain.
func rank(h survey.Holder) int {
	switch h.State {
	case socket.Listen:
		return 0
	case socket.BoundInactive:
		return 1
	case socket.TimeWait:
		return 3
	}
	return 2
}

// portVerdict is the one sentence about a port.
func portVerdict(v *survey.View, n uint16, blocked socket.Tri) string {
	tcp, udp, timeWait, listening, idle := 0, 0, 0, false, false
	for _, h := range v.Sockets {
		switch {
		case h.Proto == socket.UDP:
			udp++
		case h.State == socket.Listen:
			listening = true
		case h.State == socket.BoundInactive:
			idle = true
		case h.State == socket.TimeWait || h.HalfOpenTimeWait:
			timeWait++
			tcp++
		default:
			tcp++
		}
	}
	where := ""
	if !v.InRange(n) {
		where = fmt.Sprintf("outside the ephemeral range %s, so never chosen by the kernel; ", v.Range(socket.TCP))
	}
	if v.Hostwide() {
		return where + hostwideVerdict(v, n, blocked, tcp, udp, timeWait, listening, idle)
	}
	var what string
	switch {
	case v.Reserved(n):
		what = "reserved: the kernel never chooses it (ip_local_reserved_ports)"
	case listening:
		what = "listening: no connect() is given it, on whatever address"
	case idle:
		what = "bound without a connection: no connect() is given it"
	case blocked == socket.Yes && tcp > 0:
		what = "bound before connecting: no other connect() is given it"
	case blocked == socket.Yes:
		what = "bound: no connect() is given it"
	case tcp > 0 && timeWait == tcp:
		what = fmt.Sprintf("held by %d in TIME_WAIT: free for every other destination", timeWait)
	case tcp > 0:
		what = fmt.Sprintf("held by %s: free for every other destination", count(tcp, "connection"))
	case udp > 0:
		what = "held by UDP; free for TCP"
	default:
		what = "free"
	}
	if blocked == socket.Unknown && tcp > 0 && !listening && !idle {
		what += ", unless it was bound first, which cannot be seen without privilege"
	}
	return where + what
}

func (a *app) printPort(v *survey.View, j portJSON) error {
	w := &lines{a: a}
	w.add(bold, "port %d: %s", j.Port, j.Verdict)
	if len(j.Sockets) == 0 {
		return w.flush()
	}
	if err := w.flush(); err != nil {
		return err
	}
	t := &table{head: []string{"PROTO", "STATE", "LOCAL", "PEER", "LEFT", "PROCESS"}, right: map[int]bool{4: true}, drop: []string{"LOCAL"}}
	const most = 50
	for i, s := range j.Sockets {
		if i == most {
			break
		}
		remaining, who := "-", "-"
		if s.Remaining != nil {
			remaining = fmt.Sprintf("%.1fs", *s.Remaining)
		}
		if s.PID != 0 {
			who = fmt.Sprintf("%s[%d]", clean(s.Command), s.PID)
		}
		t.add("", s.Proto, s.State, s.Src, s.Dst, remaining, who)
	}
	if err := a.writeTable(a.stdout, t); err != nil {
		return err
	}
	if n := len(j.Sockets) - most; n > 0 {
		w.add(faint, "… and %s (--json shows all)", count(n, "more socket"))
	}
	if j.Limited != "" {
		w.add(faint, "%s", j.Limited)
	}
	return w.flush()
}
