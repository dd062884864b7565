package pool

import (
	"testing"
	"time"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// connect() passes over a port whose bucket an explicit bind owns, whatever
// address that bind named (fastreuse or fastreuseport ≥ 0, __inet_hash_connect).
func TestBoundPorts(t *testing.T) {
	ten := host.Settings{Kernel: linux618, Range: span(4000, 4009)}
	blocked := func(bind, max int) numbers {
		return numbers{Blocked: 1, Capacity: 9, Headroom: 9, HeadroomMax: 9, Bind: bind, BindMax: max}
	}
	laws := map[string]law{
		"accepted connections hold nothing in the pool of their peer": {
			host: ten, block: []uint16{4003},
			sockets: append([]socket.Socket{local(socket.Listen, "0.0.0.0", 4003)}, established(4003)...),
			want:    blocked(9, 9),
		},
		"a connection bound first blocks its own pool once": {
			host: ten, block: []uint16{4003}, sockets: established(4003), want: blocked(9, 9),
		},
		"a connection bound first blocks the pools of other addresses": {
			host: ten, block: []uint16{4003},
			sockets: []socket.Socket{conn(socket.Established, "10.0.0.2", 4003, "10.9.9.8:80")}, want: blocked(10, 10),
		},
		// The TIME_WAIT keeps the bucket (tw_tb), and tcp_tw_reuse is asked only
		// after the bucket has let the port through.
		"TIME_WAIT left by a bound socket blocks, also when it could be taken over": {
			host:    host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: 1, Timestamps: 1},
			block:   []uint16{4003},
			sockets: timeWaits(socket.Yes, here, there, 4003), want: blocked(9, 9),
		},
		"a bound port without a socket in sight leaves bind() in doubt": {
			host: ten, block: []uint16{4003}, want: blocked(9, 10),
		},
		"a bound and reserved port is blocked once": {
			host:  host.Settings{Kernel: linux618, Range: span(4000, 4009), Reserved: ports(4003)},
			block: []uint16{4003}, sockets: []socket.Socket{local(socket.Listen, here, 4003)}, want: blocked(9, 9),
		},
		"a listener blocks without Block": {
			host: ten, guess: true, sockets: []socket.Socket{local(socket.Listen, "10.0.0.2", 4003)}, want: blocked(10, 10),
		},
		"a bound socket blocks without Block": {
			host: ten, guess: true, sockets: []socket.Socket{local(socket.BoundInactive, "10.0.0.2", 4003)}, want: blocked(10, 10),
		},
	}
	dual := local(socket.Listen, "::", 4003)
	laws["a reserved port is in no doubt, whichever families its listener is on"] = law{
		host:  host.Settings{Kernel: linux618, Range: span(4000, 4009), Reserved: ports(4003)},
		block: []uint16{4003}, sockets: []socket.Socket{dual}, want: blocked(9, 9),
	}
	// bind(ip, 0) compares addresses, a wildcard being equal to all of its
	// families (inet_rcv_saddr_equal); connect() does not.
	for name, c := range map[string]struct {
		src    string
		v6only socket.Tri
		low    int
		high   int
	}{
		"on the address asked for":          {here, socket.Unknown, 9, 9},
		"on another address":                {"10.0.0.2", socket.Unknown, 10, 10},
		"on 0.0.0.0":                        {"0.0.0.0", socket.Unknown, 9, 9},
		"on the address in v4-mapped form":  {"::ffff:10.0.0.1", socket.No, 9, 9},
		"on an IPv6 address":                {"2001:db8::1", socket.No, 10, 10},
		"on :: for both families":           {"::", socket.No, 9, 9},
		"on :: for IPv6 only":               {"::", socket.Yes, 10, 10},
		"on :: for who knows which":         {"::", socket.Unknown, 9, 10},
		"on an address with V6ONLY unknown": {"2001:db8::1", socket.Unknown, 10, 10},
	} {
		s := local(socket.Listen, c.src, 4003)
		s.V6Only = c.v6only
		laws["a listener "+name+" blocks"] = law{host: ten, block: []uint16{4003}, sockets: []socket.Socket{s}, want: blocked(c.low, c.high)}
	}
	check(t, laws)
}

// A TIME_WAIT entry may be taken over if tcp_tw_reuse permits it between these
// addresses and it is old enough (tcp_twsk_unique in net/ipv4/tcp_ipv4.c).
func TestTimeWait(t *testing.T) {
	mode := func(n int) host.Settings {
		return host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: n, TWReuseDelay: time.Second, Timestamps: 1}
	}
	old := mode(1)
	old.Kernel = linux61
	oldLoopback := mode(2)
	oldLoopback.Kernel = linux61
	aged := func(remaining time.Duration) []socket.Socket {
		list := timeWaits(socket.Unknown, here, there, 4000)
		list[0].Remaining = remaining
		return list
	}
	halfOpen := timeWaits(socket.Yes, here, there, 4000)
	halfOpen[0].State, halfOpen[0].HalfOpenTimeWait = socket.FinWait2, true

	youngHalf := timeWaits(socket.No, here, there, 4000)
	youngHalf[0].State, youngHalf[0].HalfOpenTimeWait = socket.FinWait2, true
	liveHalf := established(4000)
	liveHalf[0].State = socket.FinWait2

	held := numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9}
	reusable := numbers{Capacity: 10, Held: 1, Reusable: 1, Headroom: 10, HeadroomMax: 10, Bind: 9, BindMax: 9}
	maybe := numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 10, Bind: 9, BindMax: 9, Why: []Reason{NoStamps}}
	orphan := maybe
	orphan.Why = []Reason{Orphans}
	lo4, lo6 := keyOf("127.0.0.1", "127.0.0.1:443", 0), keyOf("::1", "[::1]:443", 0)
	mixed, onLo := keyOf(here, "127.8.9.10:443", 0), keyOf(here, there, 1)

	check(t, map[string]law{
		"0: an old entry is held":           {host: mode(0), sockets: timeWaits(socket.Yes, here, there, 4000), want: held},
		"0: on loopback too":                {host: mode(0), key: lo4, sockets: timeWaits(socket.Yes, "127.0.0.1", "127.0.0.1:443", 4000), want: held},
		"0: the age need not be known":      {host: mode(0), sockets: timeWaits(socket.Unknown, here, there, 4000), want: held},
		"1: an old entry is reusable":       {host: mode(1), sockets: timeWaits(socket.Yes, here, there, 4000), want: reusable},
		"1: a young entry is held":          {host: mode(1), sockets: timeWaits(socket.No, here, there, 4000), want: held},
		"1: an entry of unknown age may be": {host: mode(1), sockets: timeWaits(socket.Unknown, here, there, 4000), want: maybe},
		"1: an orphan in FIN_WAIT2 is held": {host: mode(1), sockets: halfOpen, want: held},
		// Until 0d9e5df4a257, which came with 6.12 and October 2024's stable kernels.
		"1: before 6.12 an orphan may be taken": {host: old, sockets: halfOpen, want: orphan},
		"1: but not before the delay":           {host: old, sockets: youngHalf, want: held},
		"1: nor while it is a socket":           {host: old, sockets: liveHalf, want: held},
		"2: nor between hosts":                  {host: oldLoopback, sockets: halfOpen, want: held},
		"1: a live connection is held":          {host: mode(1), sockets: established(4000), want: held},
		"2: between hosts an entry is held":     {host: mode(2), sockets: timeWaits(socket.Yes, here, there, 4000), want: held},
		"2: nor need its age be known":          {host: mode(2), sockets: timeWaits(socket.Unknown, here, there, 4000), want: held},
		"2: on 127.0.0.1 it is reusable":        {host: mode(2), key: lo4, sockets: timeWaits(socket.Yes, "127.0.0.1", "127.0.0.1:443", 4000), want: reusable},
		"2: on v4-mapped loopback too":          {host: mode(2), key: lo4, sockets: timeWaits(socket.Yes, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:443", 4000), want: reusable},
		"2: on ::1 too":                         {host: mode(2), key: lo6, sockets: timeWaits(socket.Yes, "::1", "[::1]:443", 4000), want: reusable},
		"2: one end on loopback is enough":      {host: mode(2), key: mixed, sockets: timeWaits(socket.Yes, here, "127.8.9.10:443", 4000), want: reusable},
		"2: bound to the loopback device too":   {host: mode(2), key: onLo, sockets: on(1, timeWaits(socket.Yes, here, there, 4000)...), want: reusable},
		"2: not bound to another device":        {host: mode(2), key: keyOf(here, there, 2), sockets: on(2, timeWaits(socket.Yes, here, there, 4000)...), want: held},

		// sock_diag tells how long the entry still lives, not which timestamps it
		// remembers. Before 6.14 the delay ends with a second of the clock.
		"an entry younger than the delay is held":          {host: mode(1), sockets: aged(59500 * time.Millisecond), want: held},
		"an entry as old as the delay may be":              {host: mode(1), sockets: aged(59 * time.Second), want: maybe},
		"a clock tick short of the delay may be":           {host: mode(1), sockets: aged(59*time.Second + 5*time.Millisecond), want: maybe},
		"without what remains the age is unknown":          {host: mode(1), sockets: aged(0), want: maybe},
		"before 6.14 an entry of half a second may be old": {host: old, sockets: aged(59500 * time.Millisecond), want: maybe},
	})
}

// Without the bind buckets any port that a socket uses may be bound, whoever
// uses it.
func TestWithoutBuckets(t *testing.T) {
	ten := host.Settings{Kernel: linux618, Range: span(4000, 4009)}
	elsewhere := []socket.Socket{conn(socket.Established, "10.0.0.2", 4005, "10.9.9.8:80"), conn(socket.Established, "10.0.0.3", 4006, "10.9.9.8:80")}
	check(t, map[string]law{
		"used ports of other pools widen the bounds": {
			host: ten, guess: true, sockets: append(established(4000), elsewhere...),
			want: numbers{Capacity: 10, Held: 1, Headroom: 7, HeadroomMax: 9, Bind: 9, BindMax: 9, Why: []Reason{NoBuckets}},
		},
		"a port that several use is in doubt once": {
			host: ten, guess: true, sockets: append(elsewhere, conn(socket.Established, "10.0.0.4", 4005, there)),
			want: numbers{Capacity: 10, Headroom: 8, HeadroomMax: 10, Bind: 10, BindMax: 10, Why: []Reason{NoBuckets}},
		},
		"used by this pool alone they leave no doubt": {
			host: ten, guess: true, sockets: established(4000, 4001),
			want: numbers{Capacity: 10, Held: 2, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"what is known to be bound is in no doubt": {
			host: ten, guess: true, block: []uint16{4005, 4006}, sockets: elsewhere,
			want: numbers{Blocked: 2, Capacity: 8, Headroom: 8, HeadroomMax: 8, Bind: 10, BindMax: 10},
		},
		"a reserved port is in no doubt": {
			host:  host.Settings{Kernel: linux618, Range: span(4000, 4009), Reserved: ports(4005, 4006)},
			guess: true, sockets: elsewhere,
			want: numbers{Blocked: 2, Capacity: 8, Headroom: 8, HeadroomMax: 8, Bind: 8, BindMax: 8},
		},
		"a reusable TIME_WAIT may be on a bound port": {
			host:  host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: 1, Timestamps: 1},
			guess: true, sockets: timeWaits(socket.Yes, here, there, 4000),
			want: numbers{Capacity: 10, Held: 1, Reusable: 1, Headroom: 9, HeadroomMax: 10, Bind: 9, BindMax: 9, Why: []Reason{NoBuckets}},
		},
		"two sockets that are not listed may hold two ports": {
			host: ten, guess: true, tell: func(t *Table) { t.Hidden(2) },
			want: numbers{Capacity: 10, Headroom: 8, HeadroomMax: 10, Bind: 8, BindMax: 10, Why: []Reason{HiddenSockets}},
		},
		"hidden sockets beyond the range leave none": {
			host: ten, guess: true, tell: func(t *Table) { t.Hidden(99) },
			want: numbers{Capacity: 10, Headroom: 0, HeadroomMax: 10, Bind: 0, BindMax: 10, Why: []Reason{HiddenSockets}},
		},
		"a bound socket that is listed settles the doubt": {
			host: ten, guess: true,
			sockets: []socket.Socket{local(socket.BoundInactive, "10.0.0.4", 4005), elsewhere[0]},
			want:    numbers{Blocked: 1, Capacity: 9, Headroom: 9, HeadroomMax: 9, Bind: 10, BindMax: 10},
		},
		"several doubts add up": {
			host:  host.Settings{Kernel: linux618, Range: span(4000, 4010)},
			guess: true, sockets: elsewhere, tell: func(t *Table) { t.Hidden(1) },
			want: numbers{Capacity: 11, Headroom: 7, HeadroomMax: 11, Bind: 9, BindMax: 11, Why: []Reason{NoBuckets, HiddenSockets, OddRange}},
		},
	})
}

// A socket bound to no interface occupies its tuple for the askers that are
// bound to one too, but not the other way round (inet_match in
// include/net/inet_hashtables.h).
func TestDevices(t *testing.T) {
	ten := host.Settings{Kernel: linux618, Range: span(4000, 4009)}
	both := append(on(3, established(4000)...), established(4001, 4002)...)
	check(t, map[string]law{
		"sockets bound to a device are nothing to those bound to none": {
			host: ten, sockets: on(3, established(4000)...),
			want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 9, BindMax: 9},
		},
		"nor to those bound to another": {
			host: ten, key: keyOf(here, there, 4), sockets: on(3, established(4000)...),
			want: numbers{Capacity: 10, Headroom: 10, HeadroomMax: 10, Bind: 9, BindMax: 9},
		},
		"sockets bound to none hold ports of a device's pool": {
			host: ten, key: keyOf(here, there, 3), sockets: established(4000),
			want: numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
		"where both are, they may be on the same ports": {
			host: ten, key: keyOf(here, there, 3), sockets: both,
			want: numbers{Capacity: 10, Held: 3, Headroom: 7, HeadroomMax: 8, Bind: 7, BindMax: 7, Why: []Reason{Device}},
		},
		"a port held by both does not count twice beyond the capacity": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4000)}, key: keyOf(here, there, 3),
			sockets: append(on(3, established(4000)...), established(4000)...),
			want:    numbers{Capacity: 1, Held: 1},
		},
		"TIME_WAIT bound to none may be taken over from a device": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: 1, Timestamps: 1}, key: keyOf(here, there, 3),
			sockets: timeWaits(socket.Yes, here, there, 4000, 4001),
			want:    numbers{Capacity: 10, Held: 2, Reusable: 2, Headroom: 10, HeadroomMax: 10, Bind: 8, BindMax: 8},
		},
		"or may not, if its age is not known": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: 1, Timestamps: 1}, key: keyOf(here, there, 3),
			sockets: timeWaits(socket.Unknown, here, there, 4000),
			want:    numbers{Capacity: 10, Held: 1, Headroom: 9, HeadroomMax: 10, Bind: 9, BindMax: 9, Why: []Reason{NoStamps}},
		},
		"the ends may be held by either": {
			host: host.Settings{Kernel: linux618, Range: span(4000, 4010)}, key: keyOf(here, there, 3), sockets: established(4000, 4010),
			want: numbers{Capacity: 11, Held: 2, Headroom: 9, HeadroomMax: 9, Bind: 9, BindMax: 9},
		},
	})
}
