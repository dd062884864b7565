package pool

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// windows returns the four spaces of a host, ten ports each.
func windows(change func(*Space)) []Space {
	var list []Space
	for _, proto := range []socket.Proto{socket.TCP, socket.UDP} {
		for _, six := range []bool{false, true} {
			s := Space{Proto: proto, IPv6: six, Range: span(4000, 4009), HoldMin: 120 * time.Second, HoldMax: 240 * time.Second}
			if change != nil {
				change(&s)
			}
			list = append(list, s)
		}
	}
	return list
}

var tcp4 = Key{Proto: socket.TCP, Src: netip.IPv4Unspecified()}

func v6only(known socket.Tri, s socket.Socket) socket.Socket {
	s.V6Only = known
	return s
}

func TestAPortInUseIsOutOfReachForEveryDestination(t *testing.T) {
	shared := span(5000, 5009)
	share := func(s *Space) {
		if s.Proto == socket.TCP {
			s.Shared = &shared
		}
	}
	for name, c := range map[string]struct {
		change  func(*Space)
		sockets []socket.Socket
		key     Key
		want    numbers
	}{
		"an idle host gives the whole range": {want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10}},
		"connections to one destination and another": {
			sockets: []socket.Socket{conn(socket.Established, here, 4000, there), conn(socket.SynSent, here, 4001, "10.9.9.8:80")},
			want:    numbers{Capacity: 10, Held: 2, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"two connections of one port hold it once": {
			sockets: []socket.Socket{conn(socket.Established, here, 4000, there), conn(socket.TimeWait, here, 4000, "10.9.9.8:80")},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"another source address makes no difference": {
			sockets: []socket.Socket{conn(socket.TimeWait, "10.0.0.2", 4000, there)},
			key:     keyOf(here, there, 0),
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"bound without a connection": {
			sockets: []socket.Socket{local(socket.BoundInactive, "0.0.0.0", 4009)},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"a listener is out of the capacity, and what it accepted takes no more": {
			sockets: []socket.Socket{local(socket.Listen, "0.0.0.0", 4003), conn(socket.Established, here, 4003, there)},
			want:    numbers{Blocked: 1, Capacity: 9, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"excluded ports are out of the capacity, held or not": {
			change:  func(s *Space) { s.Excluded = ports(3999, 4000, 4001) },
			sockets: []socket.Socket{conn(socket.Established, here, 4000, there)},
			want:    numbers{Blocked: 2, Capacity: 8, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"ports outside the range, UDP and IPv6 count elsewhere": {
			sockets: []socket.Socket{
				conn(socket.Established, here, 3999, there), conn(socket.Established, "2001:db8::1", 4000, "[2001:db8::9]:443"),
				udp(socket.Closed, here, 4001, socket.Unknown),
			},
			want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10},
		},
		"an IPv6 listener for both families holds the port over IPv4": {
			sockets: []socket.Socket{v6only(socket.No, local(socket.Listen, "::", 4003))},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"an IPv6 listener of which that is not known may": {
			sockets: []socket.Socket{local(socket.Listen, "::", 4003)},
			want:    numbers{Capacity: 10, Headroom: 9, HeadroomMax: 10, Bind: 9, BindMax: 10, Why: []Reason{V6Only}},
		},
		"and does where it accepted over IPv4": {
			sockets: []socket.Socket{local(socket.Listen, "::", 4003), conn(socket.Established, here, 4003, there)},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"a system that hides bound sockets leaves the upper bound": {
			change:  func(s *Space) { s.Unlisted = true },
			sockets: []socket.Socket{conn(socket.Established, here, 4000, there)},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 0, HeadroomMax: 9, Bind: 0, BindMax: 9, Why: []Reason{Unlisted}},
		},
		"UDP has no such doubt": {
			change: func(s *Space) { s.Unlisted = true }, key: udpKey("0.0.0.0"),
			sockets: []socket.Socket{udp(socket.Closed, "0.0.0.0", 4000, socket.Unknown), udp(socket.Closed, here, 4000, socket.Unknown)},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"a shared range is counted by tuple": {
			change: share, key: keyOf(here, there, 0),
			sockets: []socket.Socket{conn(socket.TimeWait, here, 5000, there), conn(socket.Established, here, 4000, there)},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"a port of it used to another destination may have been bound": {
			change: share, key: keyOf(here, there, 0),
			sockets: []socket.Socket{conn(socket.Established, here, 5000, "10.9.9.8:80"), conn(socket.Established, here, 5001, there)},
			want:    numbers{Capacity: 10, Held: 1, Headroom: 8, HeadroomMax: 9, Bind: 10, BindMax: 10, Why: []Reason{SharedRange}},
		},
		"a listener in it is out of reach": {
			change: share, key: keyOf(here, there, 0), sockets: []socket.Socket{local(socket.Listen, "0.0.0.0", 5003)},
			want: numbers{Blocked: 1, Capacity: 9, Headroom: 9, HeadroomMax: 9, Bind: 10, BindMax: 10},
		},
		"without a source the pool of sockets that bind is meant": {
			change: share, key: Key{Proto: socket.TCP, Dst: netip.MustParseAddrPort(there)},
			sockets: []socket.Socket{conn(socket.TimeWait, here, 5000, there)},
			want:    numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 10, BindMax: 10},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHostwide(windows(c.change), Options{})
			for i := range c.sockets {
				h.Add(&c.sockets[i], socket.NoOwner)
			}
			if c.key.Proto == 0 {
				c.key = tcp4
			}
			if d := cmp.Diff(c.want, numbersOf(h.Room(c.key, nil))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestHostwideCeilingsAreAPairWhereTheHoldTimeIs(t *testing.T) {
	h := NewHostwide(windows(nil), Options{})
	if p := h.Room(tcp4, nil); p.CeilingPerSecond != 10.0/240 || p.CeilingMax != 10.0/120 || p.Knee != 0 {
		t.Errorf("ceiling %g to %g, knee %d", p.CeilingPerSecond, p.CeilingMax, p.Knee)
	}
	if p := h.Room(udpKey("0.0.0.0"), nil); p.CeilingPerSecond != 0 || p.CeilingMax != 0 {
		t.Errorf("UDP: ceiling %g to %g", p.CeilingPerSecond, p.CeilingMax)
	}
	h = NewHostwide(windows(func(s *Space) { s.HoldMin = s.HoldMax }), Options{})
	if p := h.Room(tcp4, nil); p.CeilingPerSecond != 10.0/240 || p.CeilingMax != 0 {
		t.Errorf("where it is known: %g to %g", p.CeilingPerSecond, p.CeilingMax)
	}
}

func TestHostwidePoolsAreThoseInUse(t *testing.T) {
	h := NewHostwide(windows(func(s *Space) {
		if s.Proto == socket.UDP && s.IPv6 {
			s.Excluded.AddRange(s.Range)
		}
	}), Options{Owners: true, Map: true, MapProto: socket.TCP})
	owners := ownersOf(socket.Owner{PID: 7, Command: "a.exe"}, socket.Owner{PID: 8, Command: "b.exe"})
	listener, first, second := local(socket.Listen, "0.0.0.0", 4003), conn(socket.Established, here, 4000, there), conn(socket.TimeWait, here, 4001, there)
	h.Add(&listener, 1)
	h.Add(&first, 0)
	h.Add(&first, 1)
	h.Add(&second, socket.NoOwner)
	h.Add(&socket.Socket{Proto: socket.TCP, State: socket.Closed}, socket.NoOwner)
	pools := h.Pools(owners)
	if len(pools) != 2 || pools[0].Key.Proto != socket.UDP || pools[0].Headroom != 0 || pools[1].Key != tcp4 {
		t.Fatalf("the pools are %+v", pools)
	}
	if d := cmp.Diff([]Owner{{PID: 7, Command: "a.exe", Ports: 1}}, pools[1].Owners); d != "" {
		t.Errorf("owners (-want +got):\n%s", d)
	}
	if s := pools[1].States; s[socket.Established] != 2 || s[socket.TimeWait] != 1 {
		t.Errorf("states %v", s)
	}
	if d := cmp.Diff(Blocked{Total: 1, Kinds: [numKinds]int{Listening: 1}, By: []BlockedBy{{Listening, 1, 1}}}, h.Blocked()); d != "" {
		t.Errorf("blocked (-want +got):\n%s", d)
	}
	m := h.PortMap()
	if m[4000] != Connected || m[4001] != InTimeWait || m[4003] != UseListen || m[4004] != Free {
		t.Errorf("the map says %v %v %v %v", m[4000], m[4001], m[4003], m[4004])
	}
	if len(h.Spaces()) != 4 {
		t.Errorf("%d spaces", len(h.Spaces()))
	}
	if p := NewHostwide(nil, Options{}).Room(tcp4, nil); p.Headroom != 0 || p.Range != 0 {
		t.Errorf("of a family that is not there: %+v", p)
	}
}

// handOut counts how many ports a stack gives out one after another that passes
// over every port in use.
func handOut(s *Space, sockets []socket.Socket) int {
	taken := s.Excluded
	for _, c := range sockets {
		if c.Proto == s.Proto && (c.IPv6 == s.IPv6 || !s.IPv6 && c.V6Only == socket.No && c.Src.IsUnspecified()) {
			taken.Add(c.SrcPort)
		}
	}
	n := 0
	for p := int(s.Range.First); p <= int(s.Range.Last); p++ {
		if !taken.Contains(uint16(p)) {
			n++
		}
	}
	return n
}

func drawHostwide(t *rapid.T) ([]Space, []socket.Socket) {
	spaces := windows(func(s *Space) {
		first := rapid.IntRange(1025, 1030).Draw(t, "first")
		s.Range = port.Range{First: uint16(first), Last: uint16(first + rapid.IntRange(0, 9).Draw(t, "more"))}
		for p := uint16(1024); p < 1042; p++ {
			if rapid.IntRange(0, 5).Draw(t, "excluded") == 0 {
				s.Excluded.Add(p)
			}
		}
	})
	var listeners, rest []socket.Socket
	for range rapid.IntRange(0, 20).Draw(t, "sockets") {
		p := uint16(rapid.IntRange(1024, 1041).Draw(t, "port"))
		six := rapid.Bool().Draw(t, "IPv6")
		src, any, dst := here, "0.0.0.0", there
		if six {
			src, any, dst = "2001:db8::1", "::", "[2001:db8::9]:443"
		}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			listeners = append(listeners, v6only(pick(t, "v6only", socket.No, socket.Yes), local(socket.Listen, any, p)))
		case 1:
			rest = append(rest, conn(pick(t, "state", socket.Established, socket.TimeWait, socket.CloseWait), src, p, dst))
		case 2:
			rest = append(rest, v6only(pick(t, "v6only", socket.No, socket.Yes), local(socket.BoundInactive, any, p)))
		default:
			rest = append(rest, udp(socket.Closed, any, p, pick(t, "v6only", socket.No, socket.Yes)))
		}
	}
	return spaces, append(listeners, rest...)
}

func TestHostwideHeadroomIsWhatAStackHandsOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spaces, sockets := drawHostwide(t)
		h := NewHostwide(spaces, Options{Owners: true})
		dim := NewHostwide(spaces, Options{}) // sees nothing of IPV6_V6ONLY
		for i := range sockets {
			h.Add(&sockets[i], socket.NoOwner)
			blind := sockets[i]
			blind.V6Only = socket.Unknown
			dim.Add(&blind, socket.NoOwner)
		}
		for i := range spaces {
			s := &spaces[i]
			k := Key{Proto: s.Proto, Src: netip.IPv4Unspecified()}
			if s.IPv6 {
				k.Src = netip.IPv6Unspecified()
			}
			p, want := h.Room(k, nil), handOut(s, sockets)
			if p.Headroom != want || p.HeadroomMax != want || !p.Exact() {
				t.Fatalf("%v: headroom %d to %d %v, the stack gives %d", k, p.Headroom, p.HeadroomMax, p.Inexact, want)
			}
			if p.Range != p.Blocked+p.Capacity || p.Capacity != p.Held+p.Headroom {
				t.Fatalf("%v: the numbers do not fit together: %+v", k, p)
			}
			if p := dim.Room(k, nil); p.Headroom > want || p.HeadroomMax < want || p.Exact() != (p.Headroom == p.HeadroomMax) {
				t.Fatalf("%v: bounds %d to %d %v, the stack gives %d", k, p.Headroom, p.HeadroomMax, p.Inexact, want)
			}
		}
	})
}

func TestOneMoreSocketRaisesNoHostwideHeadroom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spaces, sockets := drawHostwide(t)
		shared := span(1024, 1041)
		if rapid.Bool().Draw(t, "shared") {
			spaces[0].Shared, spaces[1].Shared = &shared, &shared
		}
		h := NewHostwide(spaces, Options{})
		keys := []Key{tcp4, udpKey("::"), keyOf(here, there, 0), keyOf(here, "10.9.9.8:80", 0)}
		was := make(map[Key]Pool)
		for _, k := range keys {
			was[k] = h.Room(k, nil)
		}
		for i := range sockets {
			h.Add(&sockets[i], socket.NoOwner)
			for _, k := range keys {
				p := h.Room(k, nil)
				if p.Headroom > was[k].Headroom || p.HeadroomMax > was[k].HeadroomMax || p.Headroom > p.HeadroomMax || p.Headroom < 0 {
					t.Fatalf("%v: headroom %d to %d after %d to %d", k, p.Headroom, p.HeadroomMax, was[k].Headroom, was[k].HeadroomMax)
				}
				was[k] = p
			}
		}
	})
}
