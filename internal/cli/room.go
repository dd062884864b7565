package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/internal/route"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

const roomLong = `Print how many more connects to one destination would succeed from now on, one
after another, if nothing were released: also for a destination that nobody ever
connected to.

DST is ADDRESS:PORT, [IPv6]:PORT, or an address alone with --proto udp. The source
address is the one that the routing table would choose, unless --from names one.

For TCP the number is that of connect() without bind, and of bind() with
IP_BIND_ADDRESS_NO_PORT; "bind" is what bind(ADDRESS, 0) would still get. For UDP
one pool serves all destinations of a local address.

EXIT STATUS
  0   the number was printed
  3   could not be measured
  64  wrong usage`

func (a *app) roomCommand() *cobra.Command {
	var from, proto string
	c := &cobra.Command{
		Use:   "room DST",
		Short: "Print how many more connections one destination gets",
		Long:  roomLong,
		Example: `  portroom room 10.0.0.5:5432
  portroom room '[2001:db8::7]:443' --from 2001:db8::1
  portroom room 192.0.2.53:53 --proto udp --json
  portroom room 10.0.0.5:5432 --netns web1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("room takes one destination, such as 10.0.0.5:5432")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			k, zone, err := parseRoom(args[0], from, proto)
			if err != nil {
				return err
			}
			if a.allNamespaces {
				return usagef("room measures one namespace: use --netns instead of --all-namespaces")
			}
			return a.survey(cmd.Context(), survey.Options{Owners: true}, func(v *survey.View) error {
				return a.room(cmd.Context(), v, k, zone)
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "source `address` instead of the one that the routing table chooses")
	c.Flags().StringVar(&proto, "proto", "tcp", "`protocol`: tcp or udp")
	_ = c.RegisterFlagCompletionFunc("proto", cobra.FixedCompletions([]string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// parseRoom reads the words of a call. zone is the scope of a link-local
// destination.
func parseRoom(dst, from, proto string) (k pool.Key, zone string, err error) {
	if k.Proto, err = parseProto(proto); err != nil {
		return k, "", err
	}
	ap, err := netip.ParseAddrPort(dst)
	if addr, err2 := netip.ParseAddr(strings.Trim(dst, "[]")); err2 == nil && k.Proto == socket.UDP {
		ap, err = netip.AddrPortFrom(addr, 0), nil
	} else if err2 == nil {
		return k, "", usagef("%q has no port: want %s", dst, net.JoinHostPort(addr.String(), "443"))
	}
	if err != nil {
		return k, "", usagef("%q is no destination: want ADDRESS:PORT such as 10.0.0.5:5432 or [2001:db8::7]:443 (names are not looked up)", dst)
	}
	if k.Proto == socket.TCP && ap.Port() == 0 {
		return k, "", usagef("%q: port 0 cannot be connected to: want 1 to 65535", dst)
	}
	addr := ap.Addr().Unmap()
	zone = addr.Zone()
	if addr.IsUnspecified() || addr.IsMulticast() && k.Proto == socket.TCP {
		return k, "", usagef("%q cannot be connected to: want the address of one host", dst)
	}
	k.Dst = netip.AddrPortFrom(addr.WithZone(""), ap.Port())
	if from == "" {
		return k, zone, nil
	}
	src, err := netip.ParseAddr(strings.Trim(from, "[]"))
	if err != nil {
		return k, "", usagef("--from %q is no address: want one such as 10.0.0.1 or 2001:db8::1", from)
	}
	src = src.Unmap().WithZone("")
	if src.Is4() != addr.Is4() {
		return k, "", usagef("--from %s is %s but the destination %s is %s: want two addresses of one family", src, family(src), addr, family(addr))
	}
	if src.IsUnspecified() || src.IsMulticast() {
		return k, "", usagef("--from %s is not the address of a host", src)
	}
	k.Src = src
	return k, zone, nil
}

func parseProto(s string) (socket.Proto, error) {
	switch s {
	case "tcp":
		return socket.TCP, nil
	case "udp":
		return socket.UDP, nil
	}
	return 0, usagef("--proto %q: want tcp or udp", s)
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// room answers for one destination; it runs inside the namespace.
func (a *app) room(_ context.Context, v *survey.View, k pool.Key, zone string) error {
	var oif uint32
	if zone != "" {
		var err error
		if oif, err = ifindex(zone); err != nil {
			return err
		}
		k.Ifindex = oif // connect() binds a link-local socket to the interface
	}
	switch {
	case k.Src.IsValid():
		if c, err := route.Source(k.Src, oif); err != nil || !c.Local {
			fmt.Fprintf(a.stderr, "portroom: %s is no address of this namespace: connects from it fail, whatever ports are left\n", k.Src)
		}
	case k.Proto == socket.UDP:
		// A UDP socket that is not bound takes a port on all addresses.
		k.Src = netip.IPv4Unspecified()
		if k.Dst.Addr().Is6() {
			k.Src = netip.IPv6Unspecified()
		}
	default:
		c, err := route.Source(k.Dst.Addr(), oif)
		if v.Hostwide() && !v.HasShared() {
			err = nil // the source makes no difference
		}
		if errors.Is(err, route.ErrNoRoute) {
			return fmt.Errorf("no route leads to %s from here; --from ADDRESS says which source to count for", k.Dst.Addr())
		}
		if err != nil {
			return err
		}
		k.Src = c.Src
	}
	if k.Proto == socket.UDP {
		k.Dst, k.Ifindex = netip.AddrPort{}, 0
	}
	p := v.Room(k)
	if a.json {
		return printJSON(a.stdout, jsonPool(v, &p))
	}
	return a.printRoom(v, &p)
}

// ifindex reads the zone of an address: a name or a number.
func ifindex(zone string) (uint32, error) {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil && n > 0 {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("there is no interface %q in this namespace", zone)
	}
	return uint32(i.Index), nil
}

func (a *app) printRoom(v *survey.View, p *pool.Pool) error {
	w := &lines{a: a}
	what := "connects"
	if p.Key.Proto == socket.UDP {
		what = "UDP ports"
	}
	w.add(severity(p, defaultWarn, defaultCrit).sgr(), "%s more %s: %s", left(p), what, poolName(p.Key))
	if p.Open() {
		w.add("", "%s", because(v, p.Inexact))
	} else if !p.Exact() {
		w.add("", "at most %d; %s", p.HeadroomMax, because(v, p.Inexact))
	}
	blocked := "none blocked"
	if p.Blocked > 0 {
		blocked = fmt.Sprintf("%d blocked for everyone", p.Blocked)
	}
	w.add("", "range %s, %s, capacity %d", v.PoolRange(p.Key), blocked, p.Capacity)
	held := fmt.Sprintf("held %d", p.Held)
	if p.Reusable > 0 {
		held += fmt.Sprintf(", of which %d may be taken over (tcp_tw_reuse)", p.Reusable)
	}
	if s := states(p); s != "" {
		held += ": " + s
	}
	w.add("", "%s", held)
	if p.Key.Proto == socket.TCP {
		if p.Key.Dst.IsValid() {
			bind := strconv.Itoa(p.BindHeadroom)
			if p.Open() {
				bind = "≤ " + strconv.Itoa(p.BindHeadroomMax)
			} else if p.BindHeadroom != p.BindHeadroomMax {
				bind = "≥ " + bind
			}
			w.add("", "bind(%s, 0) would get %s more", p.Key.Src, bind)
		}
		s := "ceiling " + ceiling(p) + " when this side closes each connection at once"
		if p.CeilingMax > 0 {
			s += "; the sources differ on how long TIME_WAIT lasts"
		}
		w.add("", "%s", s)
	}
	if p.PastKnee() {
		w.add(yellow, "past the knee (%d): each connect searches half of the range first", p.Knee)
	}
	for i, o := range p.Owners {
		if i == 3 {
			w.add("", "and %d more", len(p.Owners)-i)
			break
		}
		w.add("", "%s holds %d", holder(o), o.Ports)
	}
	return w.flush()
}

// poolName writes source and destination.
func poolName(k pool.Key) string {
	if !k.Dst.IsValid() {
		return "from " + k.Src.String() + " to anywhere (" + k.Proto.String() + ")"
	}
	return k.Src.String() + " → " + k.Dst.String()
}

// states writes the states that occur, the most frequent first.
func states(p *pool.Pool) string {
	var parts []string
	left := p.States
	for range left {
		top := 0
		for s, n := range left {
			if n > left[top] {
				top = s
			}
		}
		if left[top] == 0 {
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s", left[top], socket.State(top)))
		left[top] = 0
	}
	return strings.Join(parts, ", ")
}

// reasons say in words why a number is a bound.
var reasons = map[pool.Reason]string{
	pool.OddRange:      "the range has an odd number of ports, so the search may leave out one end",
	pool.NoBuckets:     "without privilege it cannot be seen which used ports are closed to everyone",
	pool.NoStamps:      "without privilege it cannot be seen which TIME_WAIT entries may be taken over",
	pool.Orphans:       "before 6.12 some kernels let connect() take over an orphan in FIN_WAIT2 and some do not",
	pool.HiddenSockets: "this kernel does not list sockets that are bound and not connected",
	pool.Interrupted:   "the socket table changed while it was read",
	pool.StepWidth:     "ip_local_port_step_width is set, and its search has not been verified",
	pool.V6Only:        "without privilege it cannot be seen which IPv6 sockets occupy IPv4 as well",
	pool.Device:        "sockets bound to an interface share this destination",
	pool.Unlisted:      "this system does not list sockets that are bound and not connected, and they hold ports too",
	pool.SharedRange:   "it cannot be seen which ports of the shared range were bound and so are closed to everyone",
}

func because(v *survey.View, list []pool.Reason) string {
	var parts []string
	for _, r := range list {
		text := reasons[r]
		if v.Hostwide() {
			text = strings.TrimPrefix(text, "without privilege ") // nor with it
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
