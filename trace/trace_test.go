package trace

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSizesAreRoundedUpAndBounded(t *testing.T) {
	for _, c := range []struct {
		opt         Options
		flows, sets int
		err         string
	}{
		{Options{}, 16384, 65536, ""},
		{Options{Flows: 1, Sockets: 4}, 1, 1, ""},
		{Options{Flows: 100, Sockets: 5}, 100, 2, ""},
		{Options{Sockets: 100_000}, 16384, 32768, ""},
		{Options{Flows: -1}, 0, 0, "trace -1 flows: want 1 to 1048576"},
		{Options{Sockets: 3}, 0, 0, "trace 3 sockets: want 4 to 16777216"},
		{Options{Sockets: 1 << 25}, 0, 0, "trace 33554432 sockets: want 4 to 16777216"},
	} {
		flows, sets, err := c.opt.sizes()
		said := ""
		if err != nil {
			said = err.Error()
		}
		if flows != c.flows || sets != c.sets || said != c.err {
			t.Errorf("%+v: %d flows, %d sets, %q; want %d, %d, %q", c.opt, flows, sets, said, c.flows, c.sets, c.err)
		}
	}
}

func TestSinceSaysWhatChangedInEachRow(t *testing.T) {
	flow := Flow{Netns: 1, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddrPort("10.0.0.2:443"), PID: 7}
	row := func(id, connects, refused uint64, class int) Row {
		r := Row{ID: id, Flow: flow, Command: "curl", Counts: Counts{Connects: connects, Refused: refused}}
		r.Lifetimes[class] = connects - refused
		return r
	}
	first := &Aggregates{Rows: []Row{row(1, 10, 2, 0), row(2, 5, 0, 0)}}
	// Row 1 has gone on; row 2 has not; the flow of row 1 has a second one.
	second := &Aggregates{Rows: []Row{row(1, 15, 6, 0), row(2, 5, 0, 0), row(3, 4, 1, 3)}}
	want := []Row{row(1, 5, 4, 0), row(3, 4, 1, 3)}
	if d := cmp.Diff(want, second.Since(first), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("since the first reading (-want +got):\n%s", d)
	}
	if got := first.Since(nil); len(got) != 2 || got[0] != first.Rows[0] {
		t.Errorf("since nothing: %+v", got)
	}
}

func TestCountsAddAndSubtract(t *testing.T) {
	a := Counts{Connects: 9, Refused: 1, RefusedBound: 1, Failed: 1, ClosedHere: 1, ClosedThere: 1, Aborted: 1, Lost: 1}
	a.Lifetimes[31] = 3
	if a.Ended() != 7 || a.Open() != 2 {
		t.Errorf("%d ended, %d open", a.Ended(), a.Open())
	}
	b := a
	b.Add(&a)
	if b.Ended() != 14 || b.Lifetimes[31] != 6 || b.Sub(&a) != a {
		t.Errorf("the sum is %+v", b)
	}
	// A row may be read between the two counts of one connection.
	if n := (&Counts{Failed: 1}).Open(); n != 0 {
		t.Errorf("%d are open", n)
	}
}

func TestClassesOfLifetimesDouble(t *testing.T) {
	if got := LifetimeBelow(0); got != 2097152*time.Nanosecond {
		t.Errorf("the first ends at %s", got)
	}
	for class := 1; class < Lifetimes-1; class++ {
		if LifetimeBelow(class) != 2*LifetimeBelow(class-1) {
			t.Errorf("class %d ends at %s", class, LifetimeBelow(class))
		}
	}
	if got := LifetimeBelow(Lifetimes - 1); got != 0 {
		t.Errorf("the last ends at %s", got)
	}
}
