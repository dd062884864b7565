package pool

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// A scene is a host as it is, and as much of it as two readers see: one that
// reads the bind buckets and BPF iterators, one that has sock_diag alone.
type scene struct {
	host    host.Settings
	bound   []uint16        // ports whose bucket is bound
	chosen  []uint16        // of these, ports of a socket that named its port
	hidden  int             // bound ports whose socket is listed nowhere
	first   []socket.Socket // listening, or bound and not connected
	sockets []socket.Socket // connected, and UDP
}

var (
	addresses = []string{"127.0.0.1", "10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"}
	wildcards = []string{"0.0.0.0", "::"}
	peers     = []string{"127.0.0.1:80", "10.0.0.1:80", "[::1]:80"}
	tris      = []socket.Tri{socket.Unknown, socket.No, socket.Yes}
)

func pick[T any](t *rapid.T, what string, from ...T) T { return rapid.SampledFrom(from).Draw(t, what) }

func drawScene(t *rapid.T) *scene {
	first := rapid.IntRange(1024, 1027).Draw(t, "first port")
	count := rapid.IntRange(1, 9).Draw(t, "ports")
	sc := &scene{host: host.Settings{
		Kernel:       pick(t, "kernel", linux61, linux618),
		Range:        span(uint16(first), uint16(first+count-1)),
		TWReuse:      rapid.IntRange(0, 2).Draw(t, "tcp_tw_reuse"),
		TWReuseDelay: pick(t, "delay", time.Millisecond, time.Second, 2*time.Second),
		Timestamps:   rapid.IntRange(0, 2).Draw(t, "tcp_timestamps"),
		StepWidth:    pick(t, "step width", 0, 0, 0, 7),
	}}
	for p := first - 1; p <= first+count; p++ {
		if rapid.IntRange(0, 7).Draw(t, "reserved") == 0 {
			sc.host.Reserved.Add(uint16(p))
		}
	}
	taken := make(map[Key]map[uint16]bool)
	for p := first - 1; p <= first+count; p++ {
		sc.drawPort(t, uint16(p), taken)
	}
	return sc
}

// drawPort draws the sockets of one port, such as the kernel lets them be: a
// tuple is taken once, and only bound sockets make a bound bucket.
func (sc *scene) drawPort(t *rapid.T, p uint16, taken map[Key]map[uint16]bool) {
	listed, named := false, false
	bucket := rapid.IntRange(0, 3).Draw(t, "bucket") == 0
	if bucket {
		for range rapid.IntRange(0, 2).Draw(t, "without a peer") {
			s := local(pick(t, "state", socket.Listen, socket.BoundInactive), pick(t, "address", append(addresses, wildcards...)...), p)
			s.V6Only = pick(t, "v6only", socket.No, socket.Yes)
			sc.first = append(sc.first, s)
			listed = true
			named = named || rapid.Bool().Draw(t, "port named")
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "connections") {
		s := drawConn(t, p, sc.host.TWReuseDelay)
		k := Key{Src: s.Src.Netip(), Dst: netip.AddrPortFrom(s.Dst.Netip(), s.DstPort), Ifindex: s.Ifindex}
		if taken[k] == nil {
			taken[k] = make(map[uint16]bool)
		}
		if !taken[k][p] {
			taken[k][p] = true
			sc.sockets = append(sc.sockets, s)
			listed = true
			named = named || bucket && rapid.Bool().Draw(t, "port named")
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "udp") == 0 {
		sc.sockets = append(sc.sockets, udp(pick(t, "state", socket.Closed, socket.Established), pick(t, "address", append(addresses, wildcards...)...), p, pick(t, "v6only", socket.No, socket.Yes)))
	}
	if bucket {
		sc.bound = append(sc.bound, p)
		if !listed {
			sc.hidden++
		} else if named {
			sc.chosen = append(sc.chosen, p)
		}
	}
}

func drawConn(t *rapid.T, p uint16, delay time.Duration) socket.Socket {
	state := pick(t, "state", socket.Established, socket.CloseWait, socket.TimeWait, socket.TimeWait)
	s := conn(state, pick(t, "address", addresses...), p, pick(t, "peer", peers...))
	s.Ifindex = pick[uint32](t, "interface", 0, 0, 0, 1, 2)
	s.V6Only = pick(t, "v6only", socket.No, socket.Yes)
	s.ByConnect = pick(t, "by connect", tris...)
	if state == socket.TimeWait {
		age := time.Duration(rapid.IntRange(0, 3000).Draw(t, "age")) * time.Millisecond
		s.Remaining = timeWait - age
		s.Stale = socket.TriOf(age >= delay && rapid.IntRange(0, 3).Draw(t, "timestamps") > 0)
	}
	return s
}

// full is the account of one who sees everything.
func (sc *scene) full(extra ...socket.Socket) *Table {
	l := law{host: sc.host, block: sc.bound}
	for _, s := range extra {
		if s.State == socket.Listen || s.State == socket.BoundInactive {
			l.block = append(l.block[:len(l.block):len(l.block)], s.SrcPort)
			l.sockets = append(l.sockets, s)
		}
	}
	l.sockets = append(append(l.sockets, sc.first...), sc.sockets...)
	for _, s := range extra {
		if s.State != socket.Listen && s.State != socket.BoundInactive {
			l.sockets = append(l.sockets, s)
		}
	}
	return l.table(Options{})
}

// dim is the account of one without BPF, who also may not know what only a
// newer kernel tells. What is bound and not connected comes before what is
// connected.
func (sc *scene) dim() *Table {
	l := law{host: sc.host, block: sc.chosen, guess: true, tell: func(t *Table) { t.Hidden(sc.hidden) }}
	l.sockets = append(append(l.sockets, sc.first...), sc.sockets...)
	for i := range l.sockets {
		s := &l.sockets[i]
		s.Stale, s.ByConnect, s.V6Only = socket.Unknown, socket.Unknown, socket.Unknown
	}
	return l.table(Options{})
}

// keys are those of every pool that a scene may have, empty ones among them.
func keys() (list []Key) {
	for _, src := range append(addresses[:4:4], wildcards...) {
		list = append(list, udpKey(src))
		for _, dst := range peers {
			for dev := range uint32(4) {
				list = append(list, keyOf(src, dst, dev))
			}
		}
	}
	return list
}

func TestNumbersOfAPoolFitTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		for name, table := range map[string]*Table{"full": sc.full(), "dim": sc.dim()} {
			for _, k := range keys() {
				p := table.Room(k, nil)
				claim := func(what string, holds bool) {
					if !holds {
						t.Errorf("%s: not %s: %+v", name, what, p)
					}
				}
				claim("Range = Blocked + Capacity", p.Range == p.Blocked+p.Capacity && p.Blocked >= 0 && p.Capacity >= 0)
				claim("0 ≤ Headroom ≤ HeadroomMax ≤ Capacity", 0 <= p.Headroom && p.Headroom <= p.HeadroomMax && p.HeadroomMax <= p.Capacity)
				claim("0 ≤ BindHeadroom ≤ BindHeadroomMax ≤ Range", 0 <= p.BindHeadroom && p.BindHeadroom <= p.BindHeadroomMax && p.BindHeadroomMax <= p.Range)
				claim("0 ≤ Used ≤ 1", 0 <= p.Used() && p.Used() <= 1)
				claim("exact exactly if the bounds meet", p.Exact() == (p.Headroom == p.HeadroomMax))
				claim("0 ≤ Reusable ≤ Held ≤ Capacity", 0 <= p.Reusable && p.Reusable <= p.Held && p.Held <= p.Capacity)
				if k.Ifindex != 0 {
					continue // Held may count a port for both kinds of socket
				}
				claim("HeadroomMax ≥ Capacity − Held + Reusable", p.HeadroomMax >= p.Capacity-p.Held+p.Reusable)
				if p.Exact() {
					claim("Headroom = Capacity − Held + Reusable when exact", p.Headroom == p.Capacity-p.Held+p.Reusable)
				}
			}
		}
	})
}

// The order in which a dump lists sockets is that of the hash table.
func TestOrderOfSocketsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		shuffled := *sc
		shuffled.first = rapid.Permutation(sc.first).Draw(t, "first")
		shuffled.sockets = rapid.Permutation(sc.sockets).Draw(t, "sockets")
		equal := cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b Key) bool { return a == b })}
		if diff := cmp.Diff(sc.full().Pools(nil), shuffled.full().Pools(nil), equal); diff != "" {
			t.Errorf("pools differ:\n%s", diff)
		}
		if diff := cmp.Diff(sc.dim().Pools(nil), shuffled.dim().Pools(nil), equal); diff != "" {
			t.Errorf("pools without BPF differ:\n%s", diff)
		}
		a, b := sc.full(), shuffled.full()
		if diff := cmp.Diff(a.Blocked(), b.Blocked(), equal); diff != "" {
			t.Errorf("blocked ports differ:\n%s", diff)
		}
		if a.Questions() != b.Questions() || a.Unseen() != b.Unseen() {
			t.Errorf("questions %v and %v, unseen %d and %d", a.Questions(), b.Questions(), a.Unseen(), b.Unseen())
		}
	})
}

// Who knows less must not say anything else, only less.
func TestBoundsHoldTheExactNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		full, dim := sc.full(), sc.dim()
		for _, k := range keys() {
			f, d := full.Room(k, nil), dim.Room(k, nil)
			// Where sockets of an interface may share ports with sockets of none, the
			// full account counts those twice and is the vaguer of the two below.
			low := f.Headroom
			if slices.Contains(f.Inexact, Device) {
				low = f.HeadroomMax
			}
			if low < d.Headroom || f.HeadroomMax > d.HeadroomMax {
				t.Errorf("%v: %d to %d is not within %d to %d", k, f.Headroom, f.HeadroomMax, d.Headroom, d.HeadroomMax)
			}
			if f.BindHeadroom < d.BindHeadroom || f.BindHeadroomMax > d.BindHeadroomMax {
				t.Errorf("%v: bind: %d to %d is not within %d to %d", k, f.BindHeadroom, f.BindHeadroomMax, d.BindHeadroom, d.BindHeadroomMax)
			}
		}
	})
}

func TestOneMoreSocketRaisesNoHeadroom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		p := uint16(rapid.IntRange(int(sc.host.Range.First), int(sc.host.Range.Last)).Draw(t, "port"))
		var more socket.Socket
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			more = local(pick(t, "state", socket.Listen, socket.BoundInactive), pick(t, "address", append(addresses, wildcards...)...), p)
		case 1:
			more = udp(socket.Closed, pick(t, "address", append(addresses, wildcards...)...), p, pick(t, "v6only", tris...))
		default:
			more = drawConn(t, p, sc.host.TWReuseDelay)
			for _, s := range sc.sockets {
				if s.Proto == more.Proto && s.Src == more.Src && s.SrcPort == more.SrcPort && s.Dst == more.Dst && s.DstPort == more.DstPort && s.Ifindex == more.Ifindex {
					return // the tuple is taken
				}
			}
		}
		before, after := sc.full(), sc.full(more)
		for _, k := range keys() {
			b, a := before.Room(k, nil), after.Room(k, nil)
			// A bound on what may be the same port twice gets better when that port
			// is blocked; it is no statement about the kernel then.
			vague := slices.Contains(b.Inexact, Device)
			if a.Headroom > b.Headroom && !vague || a.HeadroomMax > b.HeadroomMax || a.BindHeadroomMax > b.BindHeadroomMax {
				t.Errorf("%v: from %+v to %+v", k, numbersOf(b), numbersOf(a))
			}
		}
	})
}

func TestRoomIsTheEntryOfPools(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := drawScene(t)
		for name, table := range map[string]*Table{"full": sc.full(), "dim": sc.dim()} {
			for _, p := range table.Pools(nil) {
				if diff := cmp.Diff(p, table.Room(p.Key, nil), cmp.Comparer(func(a, b Key) bool { return a == b })); diff != "" {
					t.Errorf("%s: Pools and Room differ on %v:\n%s", name, p.Key, diff)
				}
			}
		}
	})
}

// slices.SortFunc wants a strict weak order.
func TestTighterIsAnOrder(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) Pool {
		p := Pool{Key: pick(t, "key", keys()[:8]...), Capacity: rapid.IntRange(0, 3).Draw(t, "capacity")}
		p.Headroom = rapid.IntRange(0, p.Capacity).Draw(t, "headroom")
		p.Held = rapid.IntRange(0, p.Capacity).Draw(t, "held")
		return p
	})
	sign := func(n int) int { return max(-1, min(1, n)) }
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw.Draw(t, "a"), draw.Draw(t, "b"), draw.Draw(t, "c")
		if Tighter(a, a) != 0 {
			t.Errorf("%v is not equal to itself", a)
		}
		if sign(Tighter(a, b)) != -sign(Tighter(b, a)) {
			t.Errorf("not antisymmetric: %v, %v", a, b)
		}
		if Tighter(a, b) <= 0 && Tighter(b, c) <= 0 && Tighter(a, c) > 0 {
			t.Errorf("not transitive: %v, %v, %v", a, b, c)
		}
		if Tighter(a, b) == 0 && a.Key != b.Key {
			t.Errorf("%v and %v are in no order", a.Key, b.Key)
		}
	})
}
