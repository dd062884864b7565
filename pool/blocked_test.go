package pool

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// owned is a socket and who holds it.
type owned struct {
	socket socket.Socket
	owner  int32
}

func TestBlocked(t *testing.T) {
	none := socket.NoOwner
	byConnect := func(s socket.Socket, tri socket.Tri) socket.Socket {
		s.ByConnect = tri
		return s
	}
	bound := func(p uint16) socket.Socket {
		return byConnect(conn(socket.Established, here, p, there), socket.No)
	}
	kinds := func(pairs ...int) (k [numKinds]int) {
		for i := 0; i < len(pairs); i += 2 {
			k[pairs[i]] = pairs[i+1]
		}
		return k
	}
	ten := host.Settings{Kernel: linux618, Range: span(4000, 4009)}
	reserved := ten
	reserved.Reserved = ports(4000, 4001, 5000)
	three := host.Settings{Kernel: linux618, Range: span(4000, 4002)}
	reservedThree := three
	reservedThree.Reserved = ports(4002)

	for name, c := range map[string]struct {
		host    host.Settings
		block   []uint16
		sockets []owned
		want    Blocked
		unseen  int
	}{
		"nothing": {host: ten, want: Blocked{}},
		"reserved ports count within the range, by nobody": {
			host: reserved, want: Blocked{Total: 2, Kinds: kinds(int(Reserved), 2)},
		},
		"a listener": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{local(socket.Listen, "::1", 4003), 5}},
			want:    Blocked{1, kinds(int(Listening), 1), []BlockedBy{{Listening, 5, 1}}},
		},
		"an accepted connection is not bound first": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{local(socket.Listen, here, 4003), 5}, {bound(4003), 6}},
			want:    Blocked{1, kinds(int(Listening), 1), []BlockedBy{{Listening, 5, 1}}},
		},
		"a connection from a reserved port blocks nothing": {
			host: reserved, block: []uint16{4000}, sockets: []owned{{bound(4000), 5}},
			want: Blocked{Total: 2, Kinds: kinds(int(Reserved), 2)},
		},
		"two listeners on one port block it once, in the name of the first": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{local(socket.Listen, here, 4003), 5}, {local(socket.Listen, "10.0.0.2", 4003), 6}},
			want:    Blocked{1, kinds(int(Listening), 1), []BlockedBy{{Listening, 5, 1}}},
		},
		"bound and neither listening nor connected": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{local(socket.BoundInactive, here, 4003), 5}},
			want:    Blocked{1, kinds(int(BoundIdle), 1), []BlockedBy{{BoundIdle, 5, 1}}},
		},
		"bound before connect, also of unknown owner": {
			host: ten, block: []uint16{4003, 4004},
			sockets: []owned{{bound(4003), none}, {bound(4004), none}},
			want:    Blocked{2, kinds(int(BoundFirst), 2), []BlockedBy{{BoundFirst, none, 2}}},
		},
		"TIME_WAIT of a bound socket": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{conn(socket.TimeWait, here, 4003, there), none}},
			want:    Blocked{1, kinds(int(BoundFirst), 1), []BlockedBy{{BoundFirst, none, 1}}},
		},
		// Its bucket is bound, but not by this one: connect() took the port before
		// the bind, and the binder has gone.
		"a port that connect() chose is left over from a binder": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{byConnect(conn(socket.Established, here, 4003, there), socket.Yes), 5}},
			want:    Blocked{1, kinds(int(Leftover), 1), nil},
		},
		"a port without any socket is left over": {
			host: ten, block: []uint16{4003, 4004},
			want: Blocked{2, kinds(int(Leftover), 2), nil}, unseen: 2,
		},
		"a port in use that is not bound blocks nothing": {
			host: ten, sockets: []owned{{bound(4003), 5}}, want: Blocked{},
		},
		"the end of a range of three": {
			host: three, want: Blocked{1, kinds(int(OutOfReach), 1), []BlockedBy{{OutOfReach, none, 1}}},
		},
		"a port is named by the first kind that applies": {
			host: ten, block: []uint16{4003, 4004},
			sockets: []owned{
				{local(socket.Listen, here, 4003), 5}, {local(socket.BoundInactive, "10.0.0.2", 4003), 5},
				{local(socket.BoundInactive, here, 4004), 5}, {bound(4004), 5},
			},
			want: Blocked{2, kinds(int(Listening), 1, int(BoundIdle), 1), []BlockedBy{{Listening, 5, 1}, {BoundIdle, 5, 1}}},
		},
		"also when it comes last": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{local(socket.BoundInactive, "10.0.0.2", 4003), 6}, {local(socket.Listen, here, 4003), 5}},
			want:    Blocked{1, kinds(int(Listening), 1), []BlockedBy{{Listening, 5, 1}}},
		},
		"a process is named though its TIME_WAIT on the port comes first": {
			host: ten, block: []uint16{4003},
			sockets: []owned{{conn(socket.TimeWait, here, 4003, there), none}, {bound(4003), 5}},
			want:    Blocked{1, kinds(int(BoundFirst), 1), []BlockedBy{{BoundFirst, 5, 1}}},
		},
		"reserved comes before a listener": {
			host: reserved, block: []uint16{4000}, sockets: []owned{{local(socket.Listen, here, 4000), 5}},
			want: Blocked{Total: 2, Kinds: kinds(int(Reserved), 2)},
		},
		"reserved comes before out of reach": {
			host: reservedThree, want: Blocked{Total: 1, Kinds: kinds(int(Reserved), 1)},
		},
		"those who block most come first, then by kind, then by owner": {
			host: ten, block: []uint16{4001, 4002, 4003, 4004, 4005, 4006},
			sockets: []owned{
				{local(socket.BoundInactive, here, 4001), 9}, {local(socket.BoundInactive, here, 4002), 9},
				{local(socket.BoundInactive, here, 4003), 7}, {local(socket.Listen, here, 4004), 8},
				{local(socket.Listen, here, 4005), 3}, {bound(4006), 1},
			},
			want: Blocked{6, kinds(int(Listening), 2, int(BoundIdle), 3, int(BoundFirst), 1),
				[]BlockedBy{{BoundIdle, 9, 2}, {Listening, 3, 1}, {Listening, 8, 1}, {BoundIdle, 7, 1}, {BoundFirst, 1, 1}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := law{host: c.host, block: c.block}
			table := l.table(Options{})
			for _, s := range c.sockets {
				table.Add(&s.socket, s.owner)
			}
			got := table.Blocked()
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("blocked (-want +got):\n%s", diff)
			}
			if n := table.Unseen(); n != c.unseen {
				t.Errorf("%d ports are bound without a socket in sight, want %d", n, c.unseen)
			}
		})
	}
}

// What sock_diag leaves open and the BPF iterators would tell.
func TestQuestions(t *testing.T) {
	ten := host.Settings{Kernel: linux618, Range: span(4000, 4009)}
	before, reuse := ten, ten
	before.Kernel = linux61
	reuse.TWReuse = 1
	for name, c := range map[string]struct {
		law
		want bool
	}{
		"an empty table asks nothing":                      {law{host: ten}, false},
		"the age of TIME_WAIT where tcp_tw_reuse is on":    {law{host: reuse, sockets: timeWaits(socket.Unknown, here, there, 4000)}, true},
		"not where it is off":                              {law{host: ten, sockets: timeWaits(socket.Unknown, here, there, 4000)}, false},
		"not where the age is known":                       {law{host: reuse, sockets: timeWaits(socket.No, here, there, 4000)}, false},
		"who bound a port":                                 {law{host: ten, block: []uint16{4000}, sockets: established(4000)}, true},
		"not before 6.18, which could not answer":          {law{host: before, block: []uint16{4000}, sockets: established(4000)}, false},
		"not of a port that is not bound":                  {law{host: ten, sockets: established(4000)}, false},
		"whether a UDP socket on IPv6 occupies IPv4":       {law{host: ten, sockets: []socket.Socket{udp(socket.Closed, "::", 4000, socket.Unknown)}}, true},
		"not where IPV6_V6ONLY is known":                   {law{host: ten, sockets: []socket.Socket{udp(socket.Closed, "::", 4000, socket.No)}}, false},
		"nor of a v4-mapped socket, which is IPv4 for all": {law{host: ten, sockets: []socket.Socket{udp(socket.Closed, "::ffff:10.0.0.1", 4000, socket.Unknown)}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.table(Options{}).Questions(); got != c.want {
				t.Errorf("Questions() = %v, want %v", got, c.want)
			}
		})
	}
}

func TestPortMap(t *testing.T) {
	halfOpen := conn(socket.FinWait2, here, 4000, there)
	halfOpen.HalfOpenTimeWait = true
	timeWait := conn(socket.TimeWait, here, 4000, there)
	alive := conn(socket.Established, here, 4000, "10.9.9.9:80")
	bound, listener := local(socket.BoundInactive, here, 4000), local(socket.Listen, here, 4000)
	list := func(s ...socket.Socket) []socket.Socket { return s }
	reserved := host.Settings{Kernel: linux618, Range: span(4000, 4009), Reserved: ports(4000)}
	free := host.Settings{Kernel: linux618, Range: span(4000, 4009)}

	for name, c := range map[string]struct {
		law
		proto socket.Proto
		want  Use
	}{
		"no socket":                             {law{host: free}, socket.TCP, Free},
		"TIME_WAIT":                             {law{host: free, sockets: list(timeWait)}, socket.TCP, InTimeWait},
		"an orphan in FIN_WAIT2 is TIME_WAIT":   {law{host: free, sockets: list(halfOpen)}, socket.TCP, InTimeWait},
		"one live connection outdoes TIME_WAIT": {law{host: free, sockets: list(alive, timeWait)}, socket.TCP, Connected},
		"whichever comes first":                 {law{host: free, sockets: list(timeWait, alive)}, socket.TCP, Connected},
		"bound outdoes connected":               {law{host: free, sockets: list(bound, alive)}, socket.TCP, UseBound},
		"bound before it connected":             {law{host: free, block: []uint16{4000}, sockets: list(alive)}, socket.TCP, UseBound},
		"listening outdoes bound":               {law{host: free, sockets: list(listener, bound, alive)}, socket.TCP, UseListen},
		"reserved outdoes listening":            {law{host: reserved, sockets: list(listener)}, socket.TCP, UseReserved},
		"UDP without a peer is bound":           {law{host: free, sockets: list(udp(socket.Closed, here, 4000, socket.Unknown))}, socket.UDP, UseBound},
		"UDP with a peer is connected":          {law{host: free, sockets: list(udp(socket.Established, here, 4000, socket.Unknown))}, socket.UDP, Connected},
		"UDP is not on the map of TCP":          {law{host: free, sockets: list(udp(socket.Closed, here, 4000, socket.Unknown))}, socket.TCP, Free},
		"nor TCP on that of UDP":                {law{host: free, sockets: list(listener)}, socket.UDP, Free},
		"reserved ports are on both":            {law{host: reserved}, socket.UDP, UseReserved},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.table(Options{Map: true, MapProto: c.proto}).PortMap()[4000]; got != c.want {
				t.Errorf("port 4000 is %v, want %v", got, c.want)
			}
		})
	}

	t.Run("the map shows ports outside the range", func(t *testing.T) {
		l := law{host: reserved, sockets: list(local(socket.Listen, here, 80), local(socket.Listen, here, 65535))}
		l.host.Reserved = ports(5000)
		m := l.table(Options{Map: true, MapProto: socket.TCP}).PortMap()
		if m[80] != UseListen || m[65535] != UseListen || m[5000] != UseReserved {
			t.Errorf("80 %v, 65535 %v, 5000 %v", m[80], m[65535], m[5000])
		}
		s, want := m.Set(UseListen, span(80, 65535)), ports(80, 65535)
		if s != want {
			t.Errorf("Set(listening, 80-65535) = %v", s.String())
		}
		if s := m.Set(UseListen, span(81, 65534)); s.Len() != 0 {
			t.Errorf("Set(listening, 81-65534) = %v", s.String())
		}
	})
	t.Run("there is no map unless it is asked for", func(t *testing.T) {
		l := law{host: reserved, sockets: list(listener)}
		if l.table(Options{MapProto: socket.TCP}).PortMap() != nil {
			t.Error("PortMap() is not nil")
		}
	})
}

// The names are part of the JSON, which is documented and stable.
func TestNames(t *testing.T) {
	var kinds, uses []string
	for k := range numKinds {
		kinds = append(kinds, k.String())
	}
	for u := range NumUses {
		uses = append(uses, Use(u).String())
	}
	if diff := cmp.Diff([]string{"reserved", "listening", "bound", "bound-before-connect", "leftover", "out-of-reach"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"free", "time-wait", "connected", "bound", "listening", "reserved"}, uses); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}
