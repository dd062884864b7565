package pool

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// The pool that most tests ask for.
const (
	here  = "10.0.0.1"
	there = "10.9.9.9:443"
)

// Kernels before and after tcp_tw_reuse_delay (6.14) and SOCK_CONNECT_BIND (6.18).
var (
	linux61  = host.Release{Major: 6, Minor: 1}
	linux618 = host.Release{Major: 6, Minor: 18}
)

func span(first, last uint16) port.Range { return port.Range{First: first, Last: last} }

func ports(list ...uint16) (s port.Set) {
	for _, p := range list {
		s.Add(p)
	}
	return s
}

// local returns a TCP socket without a peer.
func local(state socket.State, src string, p uint16) socket.Socket {
	a := netip.MustParseAddr(src)
	return socket.Socket{Proto: socket.TCP, State: state, IPv6: a.Is6(), Src: socket.AddrOf(a), SrcPort: p}
}

// conn returns a connected TCP socket.
func conn(state socket.State, src string, p uint16, dst string) socket.Socket {
	s := local(state, src, p)
	d := netip.MustParseAddrPort(dst)
	s.Dst, s.DstPort = socket.AddrOf(d.Addr()), d.Port()
	return s
}

// established returns one connection of the usual pool on each port.
func established(list ...uint16) (out []socket.Socket) {
	for _, p := range list {
		out = append(out, conn(socket.Established, here, p, there))
	}
	return out
}

// timeWaits returns TIME_WAIT entries of a pool, all of one age.
func timeWaits(stale socket.Tri, src, dst string, list ...uint16) (out []socket.Socket) {
	for _, p := range list {
		s := conn(socket.TimeWait, src, p, dst)
		s.Stale, s.Remaining = stale, 30*time.Second
		out = append(out, s)
	}
	return out
}

// on returns the sockets bound to an interface.
func on(ifindex uint32, list ...socket.Socket) []socket.Socket {
	for i := range list {
		list[i].Ifindex = ifindex
	}
	return list
}

func keyOf(src, dst string, ifindex uint32) Key {
	return Key{Proto: socket.TCP, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddrPort(dst), Ifindex: ifindex}
}

// numbers is what the accounting of a pool comes to.
type numbers struct {
	Blocked, Capacity, Held, Reusable int
	Headroom, HeadroomMax             int
	Bind, BindMax                     int
	Why                               []Reason
}

func numbersOf(p Pool) numbers {
	return numbers{p.Blocked, p.Capacity, p.Held, p.Reusable, p.Headroom, p.HeadroomMax, p.BindHeadroom, p.BindHeadroomMax, p.Inexact}
}

// A law is a host and what one of its pools must come to.
type law struct {
	host    host.Settings
	guess   bool     // the bind buckets could not be read
	block   []uint16 // the ports whose bucket is bound
	tell    func(*Table)
	sockets []socket.Socket
	key     Key // the usual pool if zero
	want    numbers
}

func (l *law) table(opt Options) *Table {
	t := New(&l.host, !l.guess, opt)
	for _, p := range l.block {
		t.Block(p)
	}
	if l.tell != nil {
		l.tell(t)
	}
	for _, s := range l.sockets {
		t.Add(&s, socket.NoOwner)
	}
	return t
}

func check(t *testing.T, laws map[string]law) {
	t.Helper()
	for name, l := range laws {
		t.Run(name, func(t *testing.T) {
			if l.key == (Key{}) {
				l.key = keyOf(here, there, 0)
			}
			p := l.table(Options{}).Room(l.key, nil)
			if diff := cmp.Diff(l.want, numbersOf(p), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%v (-want +got):\n%s", l.key, diff)
			}
			if p.Exact() != (len(l.want.Why) == 0) {
				t.Errorf("Exact() = %v with reasons %v", p.Exact(), p.Inexact)
			}
		})
	}
}

// connect() without bind may take every port of the range that is not blocked
// and whose tuple is free (__inet_hash_connect in net/ipv4/inet_hashtables.c).
func TestConnect(t *testing.T) {
	ten := host.Settings{Kernel: linux618, Range: span(4000, 4009)}
	check(t, map[string]law{
		"an empty host gives the whole range": {
			host: ten,
			want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10},
		},
		"the default range is 28,232 ports": {
			host: host.Settings{Kernel: linux618, Range: span(32768, 60999)},
			want: numbers{Capacity: 28232, Headroom: 28232, HeadroomMax: 28232, Bind: 28232, BindMax: 28232},
		},
		"a tuple is held in every state of a connection": {
			host: ten,
			sockets: []socket.Socket{
				conn(socket.Established, here, 4000, there), conn(socket.SynSent, here, 4001, there),
				conn(socket.TimeWait, here, 4002, there), conn(socket.CloseWait, here, 4009, there),
			},
			want: numbers{Capacity: 10, Held: 4, Headroom: 6, HeadroomMax: 6, Bind: 6, BindMax: 6},
		},
		"connections to another port or address leave connect() alone, but not bind()": {
			host:    ten,
			sockets: []socket.Socket{conn(socket.Established, here, 4000, "10.9.9.9:80"), conn(socket.Established, here, 4001, "10.9.9.8:443")},
			want:    numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 8, BindMax: 8},
		},
		"connections from another address leave both alone": {
			host:    ten,
			sockets: []socket.Socket{conn(socket.Established, "10.0.0.2", 4000, there)},
			want:    numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10},
		},
		"IPv4 and v4-mapped IPv6 sockets are in one pool": {
			host:    ten,
			sockets: []socket.Socket{conn(socket.Established, here, 4000, there), conn(socket.Established, "::ffff:10.0.0.1", 4001, "[::ffff:10.9.9.9]:443")},
			want:    numbers{Capacity: 10, Held: 2, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"a key may be written v4-mapped": {
			host:    ten,
			sockets: established(4000),
			key:     keyOf("::ffff:10.0.0.1", "[::ffff:10.9.9.9]:443", 0),
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"sockets outside the range count nowhere": {
			host:  ten,
			block: []uint16{3999, 4010},
			sockets: append(established(3999, 4010, 0),
				local(socket.Listen, "0.0.0.0", 80), local(socket.BoundInactive, "0.0.0.0", 4011)),
			want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10},
		},
		"reserved ports count within the range only": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4009), Reserved: ports(3999, 4000, 4005, 4010)},
			want: numbers{Blocked: 2, Capacity: 8, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"a connection on a reserved port costs nothing more": {
			host:    host.Settings{Kernel: linux618, Range: span(4000, 4009), Reserved: ports(4000)},
			sockets: established(4000, 4001),
			want:    numbers{Blocked: 1, Capacity: 9, Held: 1, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"everything reserved leaves nothing": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4001), Reserved: ports(4000, 4001)},
			want: numbers{Blocked: 2},
		},
		"a port step width leaves a doubt of one": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4009), StepWidth: 7},
			want: numbers{Capacity: 10, Headroom: 9, HeadroomMax: 10, Bind: 10, BindMax: 10, Why: []Reason{StepWidth}},
		},
		"a table that changed while it was read is never exact": {
			host: ten,
			tell: (*Table).Interrupted,
			want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10, Why: []Reason{Interrupted}},
		},
	})
}

// The search takes an even number of steps, so that of an odd number of ports
// one end is left out, which one depends on a secret offset. 31 ports gave 31
// in eleven fillings of twelve, and 30 once.
func TestConnectInOddRanges(t *testing.T) {
	eleven := host.Settings{Kernel: linux618, Range: span(4000, 4010)}
	odd := []Reason{OddRange}
	check(t, map[string]law{
		"empty: an end may be left out": {
			host: eleven,
			want: numbers{Capacity: 11, Headroom: 10, HeadroomMax: 11, Bind: 10, BindMax: 11, Why: odd},
		},
		"the first port held: the last may be left out": {
			host: eleven, sockets: established(4000),
			want: numbers{Capacity: 11, Held: 1, Headroom: 9, HeadroomMax: 10, Bind: 9, BindMax: 10, Why: odd},
		},
		"the last port held: the first may be left out": {
			host: eleven, sockets: established(4010),
			want: numbers{Capacity: 11, Held: 1, Headroom: 9, HeadroomMax: 10, Bind: 9, BindMax: 10, Why: odd},
		},
		"both ends held: exact": {
			host: eleven, sockets: established(4000, 4010),
			want: numbers{Capacity: 11, Held: 2, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"both ends blocked: exact": {
			host:    host.Settings{Kernel: linux618, Range: span(4000, 4010), Reserved: ports(4000)},
			block:   []uint16{4010},
			sockets: []socket.Socket{local(socket.Listen, here, 4010)},
			want:    numbers{Blocked: 2, Capacity: 9, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"one end held, one blocked: exact": {
			host: eleven, block: []uint16{4000},
			sockets: append(established(4010), local(socket.BoundInactive, here, 4000)),
			want:    numbers{Blocked: 1, Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"an end that may be taken over is among the free": {
			host:    host.Settings{Kernel: linux618, Range: span(4000, 4010), TWReuse: 1, Timestamps: 1},
			sockets: timeWaits(socket.Yes, here, there, 4000, 4010),
			want:    numbers{Capacity: 11, Held: 2, Reusable: 2, Headroom: 10, HeadroomMax: 11, Bind: 9, BindMax: 9, Why: odd},
		},
		"only an end free: none or one": {
			host: eleven, sockets: established(4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009, 4010),
			want: numbers{Capacity: 11, Held: 10, Headroom: 0, HeadroomMax: 1, Bind: 0, BindMax: 1, Why: odd},
		},
		"none free: none, exactly": {
			host: eleven, sockets: established(4000, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009, 4010),
			want: numbers{Capacity: 11, Held: 11},
		},
		"five ports are the first odd range in doubt": {
			host: host.Settings{Kernel: linux618, Range: span(4001, 4005)},
			want: numbers{Capacity: 5, Headroom: 4, HeadroomMax: 5, Bind: 4, BindMax: 5, Why: odd},
		},
		// The offset is taken modulo 2 and made even, so that it is always 0.
		"of three ports the last is never visited": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4002)},
			want: numbers{Blocked: 1, Capacity: 2, Headroom: 2, HeadroomMax: 2, Bind: 2, BindMax: 2},
		},
		"of three ports one held leaves one": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4002)}, sockets: established(4001),
			want: numbers{Blocked: 1, Capacity: 2, Held: 1, Headroom: 1, HeadroomMax: 1, Bind: 1, BindMax: 1},
		},
		"of three ports the last costs nothing more when it is used": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4002)}, sockets: established(4002),
			want: numbers{Blocked: 1, Capacity: 2, Headroom: 2, HeadroomMax: 2, Bind: 2, BindMax: 2},
		},
		"a range of one port gives it": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4000)},
			want: numbers{Capacity: 1, Headroom: 1, HeadroomMax: 1, Bind: 1, BindMax: 1},
		},
		"a range of one port gives it once": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4000)}, sockets: established(4000),
			want: numbers{Capacity: 1, Held: 1},
		},
		"a range of two ports gives both": {
			host: host.Settings{Kernel: linux618, Range: span(4001, 4002)},
			want: numbers{Capacity: 2, Headroom: 2, HeadroomMax: 2, Bind: 2, BindMax: 2},
		},
	})
}
