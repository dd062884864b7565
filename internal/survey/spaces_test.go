package survey

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// later returns the settings of a Windows of which everything was read.
func later() *nt.Settings {
	s := &nt.Settings{
		System: nt.System{Era: nt.Later}, ExcludedExact: true, TimeWaitLow: 120, TimeWaitHigh: 240,
		AutoReuse: &nt.AutoReuse{First: 10000, Count: 500},
		Excluded:  []nt.Excluded{{Proto: socket.UDP, Family: nt.IPv6, First: 50000, Last: 50059}},
	}
	for _, p := range nt.Pools {
		s.Ranges = append(s.Ranges, nt.Range{Proto: p.Proto, Family: p.Family, Range: nt.DefaultDynamic, Exact: true})
	}
	return s
}

func TestEachProtocolAndFamilyOfWindowsIsASpace(t *testing.T) {
	got, err := spacesOf(later())
	if err != nil {
		t.Fatal(err)
	}
	shared := port.Range{First: 10000, Last: 10499}
	var excluded port.Set
	excluded.AddRange(port.Range{First: 50000, Last: 50059})
	want := []pool.Space{
		{Proto: socket.TCP, Shared: &shared}, {Proto: socket.TCP, IPv6: true, Shared: &shared},
		{Proto: socket.UDP}, {Proto: socket.UDP, IPv6: true, Excluded: excluded},
	}
	for i := range want {
		want[i].Range, want[i].HoldMin, want[i].HoldMax = nt.DefaultDynamic, 120*time.Second, 240*time.Second
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(port.Set{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestOneRangeServesAllOfALegacySystem(t *testing.T) {
	s := &nt.Settings{System: nt.System{Era: nt.Legacy}, TimeWaitLow: 240, TimeWaitHigh: 240}
	s.Ranges = []nt.Range{{Range: port.Range{First: 1025, Last: 5000}, Exact: true}}
	s.Reserved.Add(4000)
	got, err := spacesOf(s)
	if err != nil || len(got) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, g := range got {
		if g.Range != s.Ranges[0].Range || g.Excluded.String() != "4000" || g.Shared != nil {
			t.Errorf("%+v", g)
		}
	}
}

func TestARangeThatIsAssumedGivesNoNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*nt.Settings)
		want   string // of the error, or the number of spaces
		spaces int
	}{
		"the system is not known":      {func(s *nt.Settings) { s.Ranges = nil }, "cannot be told", 0},
		"IPv4 was not read":            {func(s *nt.Settings) { s.Ranges[0].Exact = false }, "tcp over ipv4 could not be read", 0},
		"excluded ranges were not":     {func(s *nt.Settings) { s.ExcludedExact = false }, "excluded port ranges could not be read", 0},
		"IPv6 was not: it is absent":   {func(s *nt.Settings) { s.Ranges[1].Exact, s.Ranges[3].Exact = false, false }, "", 2},
		"AutoReusePortRange was not":   {func(s *nt.Settings) { s.AutoReuse = nil }, "", 4},
		"AutoReusePortRange is broken": {func(s *nt.Settings) { s.AutoReuse.Count = 70000 }, "", 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := later()
			c.change(s)
			got, err := spacesOf(s)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || len(got) != c.spaces {
				t.Errorf("%d spaces, %v", len(got), err)
			}
		})
	}
}
