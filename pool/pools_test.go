package pool

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// ownersOf returns owners with these indices, each with a socket of its own.
func ownersOf(list ...socket.Owner) *socket.Owners {
	o := socket.NewOwners()
	for i, owner := range list {
		o.Add(uint64(i+1), owner.PID, owner.Command)
	}
	return o
}

func TestOwners(t *testing.T) {
	owners := ownersOf(socket.Owner{PID: 30, Command: "curl"}, socket.Owner{PID: 20, Command: "wget"}, socket.Owner{PID: 10, Command: "proxy"})
	fill := func(opt Options) *Table {
		table := New(&host.Settings{Kernel: linux618, Range: span(4000, 4009)}, true, opt)
		for i, owner := range []int32{0, 1, 2, 2, socket.NoOwner} {
			table.Add(&established(4000 + uint16(i))[0], owner)
		}
		other := conn(socket.Established, here, 4009, "10.9.9.9:80")
		table.Add(&other, 0)
		u := udp(socket.Closed, here, 4009, socket.Unknown)
		table.Add(&u, 1)
		return table
	}
	want := []Owner{{PID: 10, Command: "proxy", Ports: 2}, {PID: 20, Command: "wget", Ports: 1}, {PID: 30, Command: "curl", Ports: 1}}
	table := fill(Options{Owners: true})

	t.Run("those who hold most come first, then by PID, the unknown left out", func(t *testing.T) {
		if diff := cmp.Diff(want, table.Room(keyOf(here, there, 0), owners).Owners); diff != "" {
			t.Errorf("owners (-want +got):\n%s", diff)
		}
	})
	t.Run("each pool has its own", func(t *testing.T) {
		got := make(map[Key][]Owner)
		for _, p := range table.Pools(owners) {
			got[p.Key] = p.Owners
		}
		unbound := udpKey("0.0.0.0")
		if diff := cmp.Diff(map[Key][]Owner{
			keyOf(here, there, 0):         want,
			keyOf(here, "10.9.9.9:80", 0): {{PID: 30, Command: "curl", Ports: 1}},
			udpKey(here):                  {{PID: 20, Command: "wget", Ports: 1}},
			unbound:                       nil,
		}, got, cmp.Comparer(func(a, b Key) bool { return a == b })); diff != "" {
			t.Errorf("owners (-want +got):\n%s", diff)
		}
	})
	t.Run("none without a list of processes", func(t *testing.T) {
		if got := table.Room(keyOf(here, there, 0), nil).Owners; got != nil {
			t.Errorf("owners %v", got)
		}
	})
	t.Run("none unless asked for", func(t *testing.T) {
		if got := fill(Options{}).Room(keyOf(here, there, 0), owners).Owners; got != nil {
			t.Errorf("owners %v", got)
		}
	})
}

func TestStates(t *testing.T) {
	l := law{
		host:  host.Settings{Kernel: linux618, Range: span(4000, 4009)},
		block: []uint16{4002},
		sockets: append(append(established(4000, 4001, 4002, 5000), timeWaits(socket.No, here, there, 4003)...),
			conn(socket.SynSent, here, 4004, "10.9.9.9:80")),
	}
	got := l.table(Options{}).Room(keyOf(here, there, 0), nil).States
	want := [socket.NumStates]int{socket.Established: 3, socket.TimeWait: 1}
	if got != want {
		t.Errorf("states %v, want %v: blocked ports count, those outside the range do not", got, want)
	}
}

// A server's connections are in no pool of its own.
func TestAcceptedConnectionsMakeNoPool(t *testing.T) {
	l := law{
		host: host.Settings{Kernel: linux618, Range: span(4000, 4009)}, block: []uint16{4000},
		sockets: append([]socket.Socket{local(socket.Listen, "0.0.0.0", 4000)}, established(4000)...),
	}
	if pools := l.table(Options{}).Pools(nil); len(pools) != 0 {
		t.Errorf("pools %+v", pools)
	}
}

// Past half the capacity connect() walks the full half of the range that it
// prefers before it finds a port in the other.
func TestKnee(t *testing.T) {
	reuse := host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: 1, Timestamps: 1}
	eight := reuse
	eight.Reserved = ports(4000, 4001)
	for name, c := range map[string]struct {
		law
		knee int
		past bool
	}{
		"at half the capacity connects are fast still": {law{host: reuse, sockets: established(4000, 4001, 4002, 4003, 4004)}, 5, false},
		"past it they are slow":                        {law{host: reuse, sockets: established(4000, 4001, 4002, 4003, 4004, 4005)}, 5, true},
		"blocked ports bring it nearer":                {law{host: eight, sockets: established(4002, 4003, 4004, 4005, 4006)}, 4, true},
		"reusable entries do not count":                {law{host: reuse, sockets: timeWaits(socket.Yes, here, there, 4000, 4001, 4002, 4003, 4004, 4005)}, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.table(Options{}).Room(keyOf(here, there, 0), nil)
			if p.Knee != c.knee || p.PastKnee() != c.past {
				t.Errorf("knee %d, past it %v; want %d, %v", p.Knee, p.PastKnee(), c.knee, c.past)
			}
		})
	}
}

// By Little's law a pool of N ports, each kept W seconds after its connection,
// gives N ÷ W connections per second; measured on Linux for W of 60 s and for
// tcp_tw_reuse_delay.
func TestCeiling(t *testing.T) {
	linux := func(reuse int, delay time.Duration, stamps int) host.Settings {
		return host.Settings{Kernel: linux618, Range: span(32768, 60999), TWReuse: reuse, TWReuseDelay: delay, Timestamps: stamps}
	}
	hundred := host.Settings{Kernel: linux618, Range: span(4000, 4099), Reserved: ports(4000, 4001, 4002, 4003)}
	lo := keyOf("127.0.0.1", "127.0.0.1:443", 0)
	for name, c := range map[string]struct {
		host host.Settings
		key  Key
		want float64
	}{
		"the default between hosts is 470.5":        {linux(2, time.Second, 1), keyOf(here, there, 0), 28232.0 / 60},
		"on loopback the delay counts":              {linux(2, time.Second, 1), lo, 28232},
		"tcp_tw_reuse 1 after a second":             {linux(1, time.Second, 1), keyOf(here, there, 0), 28232},
		"tcp_tw_reuse 1 after a tenth of a second":  {linux(1, 100*time.Millisecond, 2), keyOf(here, there, 0), 282320},
		"tcp_tw_reuse 0 is off on loopback too":     {linux(0, time.Second, 1), lo, 28232.0 / 60},
		"without timestamps nothing can be reused":  {linux(1, time.Second, 0), keyOf(here, there, 0), 28232.0 / 60},
		"it is the capacity that counts, not ports": {hundred, keyOf(here, there, 0), 96.0 / 60},
	} {
		t.Run(name, func(t *testing.T) {
			l := law{host: c.host}
			if got := l.table(Options{}).Room(c.key, nil).CeilingPerSecond; math.Abs(got-c.want) > 1e-9*c.want {
				t.Errorf("ceiling %v per second, want %v", got, c.want)
			}
		})
	}
}

func TestUsed(t *testing.T) {
	for name, c := range map[string]struct {
		pool Pool
		want float64
	}{
		"an empty pool":                        {Pool{Capacity: 10, Headroom: 10, HeadroomMax: 10}, 0},
		"the cautious bound counts":            {Pool{Capacity: 10, Headroom: 4, HeadroomMax: 10}, 0.6},
		"a full pool":                          {Pool{Capacity: 10}, 1},
		"a pool without capacity is full":      {Pool{}, 1},
		"reusable entries are no use of ports": {Pool{Capacity: 10, Held: 10, Reusable: 10, Headroom: 10, HeadroomMax: 10}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.pool.Used(); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("Used() = %v, want %v", got, c.want)
			}
		})
	}
}

func TestPoolsAreTightestFirst(t *testing.T) {
	l := law{
		host: host.Settings{Kernel: linux618, Range: span(4000, 4009), TWReuse: 1, Timestamps: 1},
		sockets: slices.Concat(
			established(4000, 4001, 4002),
			timeWaits(socket.Yes, here, "10.9.9.8:443", 4003, 4004, 4005), // as empty as can be, but held
			timeWaits(socket.Yes, here, "10.9.9.1:443", 4003),
			[]socket.Socket{
				conn(socket.Established, here, 4006, "10.9.9.9:90"), conn(socket.Established, here, 4006, "10.9.9.9:80"),
				conn(socket.Established, "10.0.0.0", 4006, "10.9.9.9:80"), conn(socket.Established, here, 4006, "10.9.9.7:99"),
				udp(socket.Closed, here, 4006, socket.Unknown), udp(socket.Closed, here, 4007, socket.Unknown),
			},
			on(2, conn(socket.Established, here, 4007, "10.9.9.6:80")),
			on(1, conn(socket.Established, here, 4007, "10.9.9.6:80")),
		),
	}
	var got []Key
	for _, p := range l.table(Options{}).Pools(nil) {
		got = append(got, p.Key)
	}
	want := []Key{
		keyOf(here, there, 0),
		udpKey("0.0.0.0"), udpKey(here), // two ports held
		keyOf(here, "10.9.9.6:80", 1), keyOf(here, "10.9.9.6:80", 2), // one held: by address
		keyOf(here, "10.9.9.7:99", 0),
		keyOf("10.0.0.0", "10.9.9.9:80", 0), keyOf(here, "10.9.9.9:80", 0), keyOf(here, "10.9.9.9:90", 0),
		keyOf(here, "10.9.9.8:443", 0), keyOf(here, "10.9.9.1:443", 0), // three held, one held
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Key) bool { return a == b })); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}
