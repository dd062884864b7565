package socket

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/test/need"
)

func newReader(t testing.TB, engine Engine) *Reader {
	t.Helper()
	r, err := NewReader(engine)
	check(t, "reader", err)
	t.Cleanup(func() { check(t, "close", r.Close()) })
	if engine != Plain {
		err := r.Limited()
		need.That(t, err == nil, "BPF", "run on Linux 5.10 or later with CONFIG_DEBUG_INFO_BTF")
	}
	return r
}

// only returns the sockets that are kept, in the form in which a reader shows
// them.
func only(in []Socket, shown func(*Socket) bool) []Socket {
	var out []Socket
	for _, s := range in {
		if shown(&s) {
			out = append(out, s)
		}
	}
	return out
}

// byDiag is what sock_diag shows of a socket.
func byDiag(s *Socket) bool {
	s.Auto, s.ByConnect = Unknown, Unknown
	if s.State != Listen && s.State != BoundInactive && s.State != Closed {
		s.V6Only = Unknown
	}
	return true
}

// byIterator is what a BPF iterator shows of a socket.
func (w *world) byIterator(s *Socket) bool {
	if !w.release.AtLeast(6, 18) {
		s.ByConnect = Unknown
	}
	return s.State != BoundInactive
}

// same compares what was read with what is true, whatever the order. V6Only means
// nothing for IPv4, and time changes the rest of what is left out.
func same(t *testing.T, what string, got, want []Socket) {
	t.Helper()
	for i := range got {
		s := &got[i]
		if !s.IPv6 {
			s.V6Only = Unknown
		}
		s.Remaining = 0
		if s.State == TimeWait || s.HalfOpenTimeWait {
			s.Stale = Unknown
		}
	}
	for _, list := range [][]Socket{got, want} {
		slices.SortFunc(list, func(a, b Socket) int {
			return cmp.Or(cmp.Compare(a.SrcPort, b.SrcPort), cmp.Compare(a.DstPort, b.DstPort))
		})
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("%s:\n%s", what, d)
	}
}

// keep returns a callback that copies each socket, and where to.
func keep() (func(*Socket) error, *[]Socket) {
	var list []Socket
	return func(s *Socket) error {
		list = append(list, *s)
		return nil
	}, &list
}

func TestEveryReaderReportsExactlyTheSocketsThereAre(t *testing.T) {
	w := newWorld(t)
	for _, engine := range []Engine{Auto, Diag, Iterator} {
		r := newReader(t, engine)
		name := "engine " + string(engine) + ": "

		for _, idle := range []bool{false, true} {
			fn, got := keep()
			d, err := r.StartTCP(t.Context(), idle)
			check(t, "StartTCP", err)
			interrupted, err := d.Each(fn)
			if interrupted || err != nil {
				t.Errorf("%sEach: interrupted %v, %v", name, interrupted, err)
			}
			listening := func(s Socket) bool { return s.State == Listen }
			if i := slices.IndexFunc(*got, func(s Socket) bool { return !listening(s) }); slices.ContainsFunc((*got)[i:], listening) {
				t.Errorf("%slistening sockets do not come first", name)
			}
			same(t, name+"StartTCP", *got, only(w.tcp, func(s *Socket) bool {
				return byDiag(s) && (s.State != BoundInactive || idle && w.release.AtLeast(6, 8))
			}))
		}

		fn, got := keep()
		interrupted, err := r.BoundInactive(t.Context(), fn)
		if interrupted || err != nil {
			t.Errorf("%sBoundInactive: interrupted %v, %v", name, interrupted, err)
		}
		same(t, name+"BoundInactive", *got, only(w.tcp, func(s *Socket) bool {
			return byDiag(s) && s.State == BoundInactive && w.release.AtLeast(6, 8)
		}))

		fn, got = keep()
		interrupted, err = r.UserPorts(t.Context(), fn)
		if interrupted || err != nil {
			t.Errorf("%sUserPorts: interrupted %v, %v", name, interrupted, err)
		}
		same(t, name+"UserPorts", *got, only(w.tcp, func(s *Socket) bool {
			shown := s.Auto == No && (s.State != BoundInactive || w.release.AtLeast(6, 8))
			byDiag(s)
			s.Auto, s.Bound = No, Yes
			return shown
		}))

		fn, got = keep()
		interrupted, err = r.UserListeners(t.Context(), fn)
		if interrupted || err != nil {
			t.Errorf("%sUserListeners: interrupted %v, %v", name, interrupted, err)
		}
		same(t, name+"UserListeners", *got, only(w.tcp, func(s *Socket) bool {
			shown := s.Auto == No && s.State == Listen
			byDiag(s)
			s.Auto, s.Bound = No, Yes
			return shown
		}))

		fn, got = keep()
		check(t, "IterateTCP", r.IterateTCP(t.Context(), fn))
		same(t, name+"IterateTCP", *got, only(w.tcp, w.byIterator))

		for exact, shown := range map[bool]func(*Socket) bool{false: byDiag, true: w.byIterator} {
			fn, got = keep()
			interrupted, err = r.UDP(t.Context(), exact, fn)
			if interrupted || err != nil {
				t.Errorf("%sUDP: interrupted %v, %v", name, interrupted, err)
			}
			same(t, name+"UDP", *got, only(w.udp, shown))
		}
	}
}

// TCP_TIMEWAIT_LEN is 60 s.
func TestATimeWaitIsReadWithItsRemainingTime(t *testing.T) {
	before := time.Now()
	newWorld(t)
	d, err := newReader(t, Plain).StartTCP(t.Context(), false)
	check(t, "StartTCP", err)
	n := 0
	_, err = d.Each(func(s *Socket) error {
		if s.State != TimeWait && !s.HalfOpenTimeWait {
			if s.Remaining != 0 {
				t.Errorf("%v has %v left", s.State, s.Remaining)
			}
			return nil
		}
		n++
		// A jiffy is 10 ms at most.
		if least := time.Minute - time.Since(before) - 20*time.Millisecond; s.Remaining < least || s.Remaining > time.Minute {
			t.Errorf("%v has %v left, want %v to a minute", s.State, s.Remaining, least)
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d entries, %v", n, err)
	}
}

func TestATimeWaitBecomesStaleAfterTheDelay(t *testing.T) {
	r := newReader(t, Iterator)
	start := time.Now()
	w := newWorld(t)
	read := func() (tw Tri) {
		check(t, "IterateTCP", r.IterateTCP(t.Context(), func(s *Socket) error {
			switch {
			case s.State == TimeWait:
				tw = s.Stale
			case s.HalfOpenTimeWait != (s.Stale != Unknown):
				t.Errorf("%v is stale: %d", s.State, s.Stale)
			}
			return nil
		}))
		return tw
	}
	got := read()
	took := time.Since(start)
	for got == No && time.Since(start) < 10*time.Second {
		time.Sleep(20 * time.Millisecond)
		got, took = read(), time.Since(start)
	}
	if got != Yes {
		t.Fatalf("after %v it is %d", took, got)
	}
	// Since 6.14 the delay, a second, is counted in ms; before, it was enough that
	// the clock went on to the next second.
	if w.release.AtLeast(6, 14) && took < time.Second {
		t.Errorf("it was stale after %v", took)
	}
}

func TestBucketsOfABindAreReportedAndThoseOfAConnectAreNot(t *testing.T) {
	w := newWorld(t)
	var want port.Set
	for _, p := range w.buckets {
		want.Add(p)
	}
	for _, engine := range []Engine{Diag, Iterator} {
		got, err := newReader(t, engine).Buckets(t.Context())
		check(t, "Buckets", err)
		if set := got[w.netns]; set == nil || *set != want {
			t.Errorf("engine %s: got %v, want %v", engine, set, &want)
		}
	}
}

// Neighbouring ports are neighbours in the bind hash, and what the walk writes of
// a part of it at once is limited.
func TestThousandsOfNeighbouringPortsMayBeBound(t *testing.T) {
	var want port.Set
	id := freshNetns(t)
	for p := uint16(20000); p < 26000; p++ {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(t, "socket", err)
		defer unix.Close(fd)
		check(t, "bind", unix.Bind(fd, &unix.SockaddrInet4{Port: int(p)}))
		want.Add(p)
	}
	got, err := newReader(t, Diag).Buckets(t.Context())
	check(t, "Buckets", err)
	if set := got[id]; set == nil || *set != want {
		t.Errorf("got %v, want %v", set, &want)
	}
}

func TestANamespaceWithoutBindsHasNoBuckets(t *testing.T) {
	w := newWorld(t)
	empty := freshNetns(t)
	got, err := newReader(t, Diag).Buckets(t.Context())
	check(t, "Buckets", err)
	if got[empty] != nil || got[w.netns] == nil {
		t.Errorf("the empty namespace has %v, the other %v", got[empty], got[w.netns])
	}
	d, err := newReader(t, Plain).StartTCP(t.Context(), true)
	check(t, "StartTCP", err)
	fn, list := keep()
	if _, err := d.Each(fn); err != nil || len(*list) != 0 {
		t.Errorf("the empty namespace holds %v, %v", *list, err)
	}
}

func TestOwnersAreOurselves(t *testing.T) {
	w := newWorld(t)
	comm, err := os.ReadFile("/proc/self/comm")
	check(t, "comm", err)
	want := Owner{os.Getpid(), strings.TrimSuffix(string(comm), "\n")}
	for _, engine := range []Engine{Plain, Diag, Iterator} {
		r := newReader(t, engine)
		o, err := r.Owners(t.Context())
		check(t, "Owners", err)
		for _, s := range slices.Concat(w.tcp, w.udp) {
			i := o.Of(s.Inode)
			if s.Inode == 0 {
				if i != NoOwner {
					t.Errorf("engine %s: a %v without a file has owner %d", engine, s.State, i)
				}
			} else if i == NoOwner {
				t.Errorf("engine %s: nobody owns %v %d", engine, s.State, s.SrcPort)
			} else if got := o.At(i); got != want {
				t.Errorf("engine %s: %v %d belongs to %+v, want %+v", engine, s.State, s.SrcPort, got, want)
			}
		}
		if engine == Plain {
			continue // /proc says nothing of sockets that are bound
		}
		got := slices.Clone(o.Bound[w.netns])
		same(t, "bound, by "+string(engine), got, only(w.tcp, func(s *Socket) bool {
			idle := s.State == BoundInactive
			w.byIterator(s)
			return idle
		}))
	}
}
