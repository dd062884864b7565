package socket

import (
	"slices"
	"testing"
)

// manyMsgs returns n messages of one kind, as one receive might.
func manyMsgs(n int, m inetDiagMsg) []byte {
	return slices.Concat(slices.Repeat([][]byte{nlmsg(20, 2, m.encode())}, n)...)
}

// Whatever the kernel sends: what is handed out is in order, and the receiver
// (ends) and the reader (parseDump) agree on where an answer ends, or the reader
// would wait for more than the receiver takes in.
func FuzzParseDump(f *testing.F) {
	tw := diagMsg(2, 6, 3, "127.0.0.1:40000", "127.0.0.1:80")
	tw.Expires = 60_000
	listen := diagMsg(10, 10, 0, "[::]:80", "[::]:0").encode(nlattr(11, 1))
	f.Add(manyMsgs(2, tw), true)
	f.Add(slices.Concat(nlmsg(20, 2, listen), nlmsg(3, 2, errno(0))), true)
	f.Add(slices.Concat(nlmsg(20, 0x12, diagMsg(2, 7, 0, "0.0.0.0:53", "0.0.0.0:0").encode()), nlmsg(3, 2, nil)), false)
	f.Add(nlmsg(2, 0, errno(-2)), false)
	f.Add(slices.Concat(nlmsg(1, 0, nil), nlmsg(4, 0, nil)), true)
	f.Fuzz(func(t *testing.T, b []byte, tcp bool) {
		proto := UDP
		if tcp {
			proto = TCP
		}
		got, st, err := dumped(proto, b)
		for _, s := range got {
			if s.State < 1 || s.State >= NumStates || s.Proto != proto {
				t.Errorf("state %d of protocol %d", s.State, s.Proto)
			}
			if tcp && s.State == Closed {
				t.Error("a TCP socket in the table is closed")
			}
			if !s.IPv6 && (!s.Src.Is4() || !s.Dst.Is4() || s.V6Only != Unknown) {
				t.Errorf("an IPv4 socket: %+v", s)
			}
			if s.HalfOpenTimeWait && (!tcp || s.State != FinWait2 || s.Inode != 0) ||
				s.Remaining != 0 && s.State != TimeWait && !s.HalfOpenTimeWait {
				t.Errorf("TIME_WAIT or not: %+v", s)
			}
			if s.Auto != Unknown || s.ByConnect != Unknown || s.Bound != Unknown || s.Stale != Unknown {
				t.Errorf("sock_diag does not say that: %+v", s)
			}
		}
		// Both walk the same messages and stop at the same ones, the reader also at
		// a socket that it cannot read.
		if end := ends(b); end && !st.done && err == nil {
			t.Error("the receiver sees an end, the reader none")
		} else if !end && st.done {
			t.Error("the reader sees an end, the receiver none")
		}
	})
}

func TestParseDumpAllocatesNothing(t *testing.T) {
	b := manyMsgs(100, diagMsg(2, 1, 0, "127.0.0.1:40000", "127.0.0.1:80"))
	s, n := Socket{Proto: TCP}, 0
	count := func(*Socket) error { n++; return nil }
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := parseDump(b, &s, count); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for 100 sockets", allocs)
	}
	if n != 101*100 { // AllocsPerRun runs once more to warm up
		t.Errorf("%d sockets", n)
	}
}

func BenchmarkParseDump(b *testing.B) {
	tw := diagMsg(2, 6, 3, "127.0.0.1:40000", "127.0.0.1:80")
	tw.Expires = 60_000
	n := (32 << 10) / len(nlmsg(20, 2, tw.encode()))
	buf := manyMsgs(n, tw)
	s := Socket{Proto: TCP}
	use := func(*Socket) error { return nil }
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseDump(buf, &s, use); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/socket")
}
