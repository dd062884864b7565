package finding

import (
	"slices"
	"strings"
	"testing"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/socket"
)

// doable are the words of portroom fix.
var doable = []string{
	WidenRange, ReserveListeners, EvenRange, TWReuse, TWReuseDelay, RestoreTimestamps,
	MaxUserPort, TimedWaitDelay, DynamicRange, RestoreDefault,
}

func TestTheRemediesThatAreChosen(t *testing.T) {
	widest := func(f *Facts) { f.Settings.Range = port.Range{First: 1024, Last: 65535} }
	for name, c := range map[string]struct {
		facts *Facts
		want  string
		left  string // the code of what nothing chosen answers
	}{
		"a host without trouble":               {facts: linux(at(100, socket.Established))},
		"a pool that is only slow":             {facts: linux(at(600, socket.Established))},
		"a tight pool":                         {facts: linux(at(700, socket.Established)), want: "widen-range"},
		"a full pool of TIME_WAIT":             {facts: linux(at(1000, socket.TimeWait)), want: "widen-range"},
		"a full pool and timestamps off":       {facts: linux(at(1000, socket.TimeWait)).with(func(f *Facts) { f.Settings.Timestamps = 0 }), want: "widen-range"},
		"a full UDP pool":                      {facts: linux(udp(1000)), want: "widen-range"},
		"a full pool in a range of odd length": {facts: linux(at(1000, socket.Established)).with(func(f *Facts) { f.Settings.Range.Last++ }), want: "widen-range even-range"},
		"every port blocked, and no pool":      {facts: blocked(pool.Reserved, 1000), want: "widen-range"},
		"TIME_WAIT in the widest range":        {facts: linux(mixed(1000, 500)).with(widest), want: "tw-reuse"},
		"open connections in the widest range": {facts: linux(mixed(1000, 499)).with(widest), left: "PR101"},
		"an application that does not close":   {facts: linux(at(500, socket.CloseWait)), left: "PR105"},
		"a range of odd length":                {facts: linux().with(func(f *Facts) { f.Settings.Range.Last++ }), want: "even-range"},
		"tcp_tw_reuse without timestamps":      {facts: linux().with(func(f *Facts) { f.Settings.TWReuse, f.Settings.Timestamps = 1, 0 }), want: "restore-timestamps"},
		"a listener in the range":              {facts: linux().with(func(f *Facts) { f.Claims = listening(40500) }), want: "reserve-listeners"},
		"a listener outside":                   {facts: linux().with(func(f *Facts) { f.Claims = listening(80) })},
		"tcp_tw_reuse_delay is not touched":    {facts: linux().with(func(f *Facts) { f.Settings.TWReuse = 1 })},
		"a conntrack table that is full":       {facts: linux().with(func(f *Facts) { f.Conntrack = &Conntrack{Count: 9, Max: 9} }), left: "PR119"},
		"XP without MaxUserPort":               {facts: offline(legacy()), want: "max-user-port"},
		"XP with the delay out of range":       {facts: offline(legacy(registry.NewDWORD(nt.MaxUserPort, 65534), registry.NewDWORD(nt.TcpTimedWaitDelay, 5))), want: "timed-wait-delay"},
		"XP with everything":                   {facts: offline(legacy(registry.NewDWORD(nt.MaxUserPort, 65534)))},
		"Windows 10 with a range of its own":   {facts: later(19045, port.Range{First: 49152, Last: 65535}, 0)},
		"Windows 10 that is short of ports":    {facts: later(19045, port.Range{First: 49152, Last: 65535}, 0).with(func(f *Facts) { f.Pools = []pool.Pool{at(1000, socket.Established)} }), want: "dynamic-range"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Judge(c.facts)
			got := c.facts.Choose(found, doable)
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q of %+v", s, c.want, found)
			}
			code := ""
			if f := Unanswered(found, got); f != nil {
				code = f.Code
			}
			if code != c.left {
				t.Errorf("left is %q, want %q", code, c.left)
			}
			if got := c.facts.Choose(found, nil); len(got) > 0 {
				t.Errorf("%q can be done by nobody", got)
			}
		})
	}
}

func offline(f *Facts) *Facts { f.SettingsOnly = true; return f }

// A remedy that needs another one brings it along.
func TestTakingOverBringsTimestampsAlong(t *testing.T) {
	f := linux(at(1000, socket.TimeWait)).with(func(f *Facts) { f.Settings.Timestamps = 0 })
	m := f.reuse(&f.Pools[0])
	if len(m) != 1 || !slices.Equal(m[0].Sets, []Assignment{{"tcp_tw_reuse", "1"}, {"tcp_timestamps", "1"}}) {
		t.Errorf("%+v", m)
	}
}

func TestARangeOfOddLengthGainsOrLosesOnePort(t *testing.T) {
	for was, want := range map[port.Range]port.Range{
		{First: 10, Last: 12}: {First: 10, Last: 13}, {First: 65533, Last: 65535}: {First: 65534, Last: 65535}, {First: 10, Last: 13}: {First: 10, Last: 13},
	} {
		if got := Even(was); got != want {
			t.Errorf("%s became %s, want %s", was, got, want)
		}
	}
	if r, wider := Wide(&host.Settings{Range: port.Range{First: 1024, Last: 65535}}); wider {
		t.Errorf("the widest range became %s", r)
	}
}
