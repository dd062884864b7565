package pool

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

func udp(state socket.State, src string, p uint16, v6only socket.Tri) socket.Socket {
	s := local(state, src, p)
	s.Proto, s.V6Only = socket.UDP, v6only
	return s
}

func udpKey(src string) Key { return Key{Proto: socket.UDP, Src: netip.MustParseAddr(src)} }

// udp_lib_get_port compares local addresses only, a wildcard being equal to all
// addresses of its families (inet_rcv_saddr_equal). It visits every port of the
// range, whatever its length.
func TestUDP(t *testing.T) {
	const closed, unknown, yes, no = socket.Closed, socket.Unknown, socket.Yes, socket.No
	eleven := host.Settings{Kernel: linux618, Range: span(4000, 4010)}
	room := func(low, high int) numbers {
		n := numbers{Capacity: 11, Held: 11 - high, Headroom: low, HeadroomMax: high, Bind: low, BindMax: high}
		if low != high {
			n.Why = []Reason{V6Only}
		}
		return n
	}
	laws := map[string]law{
		"reserved ports are the only ones blocked": {
			host:  host.Settings{Kernel: linux618, Range: span(4000, 4010), Reserved: ports(4000, 4001, 5000)},
			block: []uint16{4002}, key: udpKey(here),
			sockets: []socket.Socket{udp(closed, here, 4000, unknown), udp(closed, here, 4003, unknown), local(socket.Listen, here, 4004)},
			want:    numbers{Blocked: 2, Capacity: 9, Held: 1, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"of three ports all are visited": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4002), Reserved: ports(4000)}, key: udpKey(here),
			want: numbers{Blocked: 1, Capacity: 2, Headroom: 2, HeadroomMax: 2, Bind: 2, BindMax: 2},
		},
		"a connected socket holds its port for every peer": {
			host: eleven, key: udpKey(here),
			sockets: []socket.Socket{udp(socket.Established, here, 4000, unknown)}, want: room(10, 10),
		},
		"two sockets on one port hold it once": {
			host: eleven, key: udpKey(here),
			sockets: []socket.Socket{udp(closed, here, 4000, unknown), udp(closed, here, 4000, unknown)}, want: room(10, 10),
		},
		"a socket of unknown families leaves no doubt of a reserved port": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4010), Reserved: ports(4000)}, key: udpKey(here),
			sockets: []socket.Socket{udp(closed, "::", 4000, unknown)},
			want:    numbers{Blocked: 1, Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10},
		},
		"nor of a port that is taken anyway": {
			host: eleven, key: udpKey(here),
			sockets: []socket.Socket{udp(closed, "::", 4000, unknown), udp(closed, here, 4000, unknown)}, want: room(10, 10),
		},
		"a table that changed while it was read is never exact": {
			host: eleven, key: udpKey(here), tell: (*Table).Interrupted,
			want: numbers{Capacity: 11, Headroom: 11, HeadroomMax: 11, Bind: 11, BindMax: 11, Why: []Reason{Interrupted}},
		},
		"UDP holds nothing of TCP": {
			host: eleven, sockets: []socket.Socket{udp(closed, here, 4000, unknown)},
			want: numbers{Capacity: 11, Headroom: 10, HeadroomMax: 11, Bind: 10, BindMax: 11, Why: []Reason{OddRange}},
		},
	}
	// One socket on 4005 and what it leaves to askers on four addresses.
	for name, c := range map[string]struct {
		socket           socket.Socket
		one4, one6       numbers // on 10.0.0.1 and on 2001:db8::1
		unbound4, unbnd6 numbers // not bound
	}{
		"on the IPv4 address":      {udp(closed, here, 4005, unknown), room(10, 10), room(11, 11), room(10, 10), room(10, 10)},
		"on another IPv4 address":  {udp(closed, "10.0.0.2", 4005, unknown), room(11, 11), room(11, 11), room(10, 10), room(10, 10)},
		"on 0.0.0.0":               {udp(closed, "0.0.0.0", 4005, unknown), room(10, 10), room(11, 11), room(10, 10), room(10, 10)},
		"on :: for both families":  {udp(closed, "::", 4005, no), room(10, 10), room(10, 10), room(10, 10), room(10, 10)},
		"on :: for IPv6 only":      {udp(closed, "::", 4005, yes), room(11, 11), room(10, 10), room(11, 11), room(10, 10)},
		"on :: for unknown":        {udp(closed, "::", 4005, unknown), room(10, 11), room(10, 10), room(10, 11), room(10, 10)},
		"on the IPv6 address":      {udp(closed, "2001:db8::1", 4005, yes), room(11, 11), room(10, 10), room(11, 11), room(10, 10)},
		"on an IPv6 address, dual": {udp(closed, "2001:db8::2", 4005, no), room(11, 11), room(11, 11), room(10, 10), room(10, 10)},
	} {
		for asker, want := range map[string]numbers{here: c.one4, "2001:db8::1": c.one6, "0.0.0.0": c.unbound4, "::": c.unbnd6} {
			laws["a socket "+name+" and an asker on "+asker] = law{host: eleven, key: udpKey(asker), sockets: []socket.Socket{c.socket}, want: want}
		}
	}
	check(t, laws)
}

// A socket that is not bound asks for a port on all addresses at once: that
// pool exists as soon as its family has a socket.
func TestUDPPoolsOfUnboundSockets(t *testing.T) {
	for name, c := range map[string]struct {
		sockets []socket.Socket
		want    map[string]int // headroom by local address
	}{
		"none without sockets": {nil, map[string]int{}},
		"IPv4": {
			[]socket.Socket{udp(socket.Closed, here, 4000, socket.Unknown), udp(socket.Closed, "10.0.0.2", 4001, socket.Unknown)},
			map[string]int{here: 9, "10.0.0.2": 9, "0.0.0.0": 8},
		},
		"IPv6": {
			[]socket.Socket{udp(socket.Closed, "::1", 4000, socket.Yes)},
			map[string]int{"::1": 9, "::": 9},
		},
		"v4-mapped is IPv4": {
			[]socket.Socket{udp(socket.Closed, "::ffff:10.0.0.1", 4000, socket.No)},
			map[string]int{here: 9, "0.0.0.0": 9},
		},
		"a socket on IPv6 for both families": {
			[]socket.Socket{udp(socket.Closed, "::", 4000, socket.No)},
			map[string]int{"::": 9, "0.0.0.0": 9},
		},
		"sockets on it are in it": {
			[]socket.Socket{udp(socket.Closed, "0.0.0.0", 4000, socket.Unknown), udp(socket.Closed, "::", 4001, socket.No)},
			map[string]int{"0.0.0.0": 8, "::": 8},
		},
		"sockets outside the range make none": {
			[]socket.Socket{udp(socket.Closed, here, 53, socket.Unknown)}, map[string]int{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := law{host: host.Settings{Kernel: linux618, Range: span(4000, 4009)}, sockets: c.sockets}
			got := make(map[string]int)
			for _, p := range l.table(Options{}).Pools(nil) {
				if p.Key.Proto != socket.UDP || p.Key.Dst.IsValid() || p.Knee != 0 || p.CeilingPerSecond != 0 {
					t.Errorf("UDP pool %+v", p)
				}
				got[p.Key.Src.String()] = p.Headroom
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}
