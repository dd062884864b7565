package finding

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/socket"
)

var server = pool.Key{Proto: socket.TCP, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddrPort("10.0.0.5:5432")}

// at is a pool of 1,000 ports of which so many are held, all in one state.
func at(held int, s socket.State) pool.Pool {
	p := pool.Pool{
		Key: server, Range: 1000, Capacity: 1000, Held: held, Headroom: 1000 - held, HeadroomMax: 1000 - held,
		BindHeadroom: 1000 - held, BindHeadroomMax: 1000 - held, Knee: 500, CeilingPerSecond: 1000.0 / 60,
		Owners: []pool.Owner{{PID: 42, Command: "app", Ports: held}},
	}
	p.States[s] = held
	return p
}

// linux is a host with the kernel's defaults and a range of 1,000 ports.
func linux(pools ...pool.Pool) *Facts {
	s := &host.Settings{
		Kernel: host.Release{Major: 6, Minor: 18}, Range: port.Range{First: 40000, Last: 40999},
		TWReuse: 2, TWReuseDelay: time.Second, Timestamps: 1, MaxTWBuckets: 131072, UnprivilegedPortStart: 1024,
		Values: []host.Value{
			{Name: "net.ipv4.ip_local_port_range", Text: "40000\t40999", Default: "40000\t40999", Present: true},
			{Name: "net.ipv4.tcp_tw_reuse", Text: "2", Default: "2", Present: true},
		},
	}
	return &Facts{System: Linux, Settings: s, Pools: pools, FinTimeout: 60, EhashEntries: 262144, Recycle: socket.No}
}

// with changes facts.
func (f *Facts) with(change func(*Facts)) *Facts { change(f); return f }

func blocked(k pool.Kind, n int) *Facts {
	return linux().with(func(f *Facts) {
		f.Blocked.Kinds[k], f.Blocked.Total = n, n
		f.Blockers = []Blocker{{Kind: k, PID: 7, Command: "proxy", Ports: n}}
	})
}

// nobody is a host where so many ports were bound before connecting, by whom is not
// known.
func nobody(n int) *Facts {
	return blocked(pool.BoundFirst, n).with(func(f *Facts) { f.Blockers[0].PID, f.Blockers[0].Command = 0, "" })
}

func set(ports ...uint16) (s port.Set) {
	for _, p := range ports {
		s.Add(p)
	}
	return s
}

func listening(ports ...uint16) (c claim.Claims) {
	for _, p := range ports {
		c = append(c, claim.Claim{Kind: claim.Listening, Ports: port.Range{First: p, Last: p}, By: "app[42]"})
	}
	return c
}

func asleep(p uint16) claim.Claims {
	return claim.Claims{{Kind: claim.Configured, Ports: port.Range{First: p, Last: p}, By: "db.socket"}}
}

func nodePorts(first, last uint16) claim.Claims {
	return claim.Claims{{Kind: claim.NodePort, Ports: port.Range{First: first, Last: last}, By: "NodePorts"}}
}

func udp(held int) pool.Pool {
	p := at(held, socket.Established)
	p.Key = pool.Key{Proto: socket.UDP, Src: netip.IPv4Unspecified()}
	p.Knee, p.CeilingPerSecond = 0, 0
	return p
}

func mixed(held int, tw int) pool.Pool {
	p := at(held, socket.Established)
	p.States[socket.Established], p.States[socket.TimeWait] = held-tw, tw
	return p
}

type ruleCase struct {
	code     string
	severity Severity
	found    *Facts
	short    *Facts
	says     string // part of the title or the evidence
}

// Each rule finds what it is about, and not what falls just short of it.
var cases = []ruleCase{
	{"PR101", Critical, linux(at(1000, socket.Established)), linux(at(999, socket.Established)), "no port left"},
	{"PR102", Warning, linux(at(700, socket.Established)), linux(at(699, socket.Established)), "300 of 1000 left"},
	{"PR102", Critical, linux(at(900, socket.Established)), linux(at(100, socket.Established)), "app[42] holds 900"},
	{"PR103", Info, linux(at(501, socket.Established)), linux(at(500, socket.Established)), "searches half of the range first"},
	{"PR104", Warning, linux(mixed(700, 350)), linux(mixed(700, 349)), "350 of the 700 ports held"},
	{"PR104", Warning, linux(mixed(700, 700)), linux(mixed(699, 699)), "TIME_WAIT"},
	{"PR105", Warning, linux(at(100, socket.CloseWait)), linux(at(99, socket.CloseWait)), "app[42] does not close"},
	{"PR105", Critical, linux(at(1000, socket.CloseWait)), linux(at(1, socket.CloseWait)), "1000 CLOSE_WAIT"},
	{"PR106", Warning, linux(at(100, socket.SynSent)), linux(at(99, socket.SynSent)), "10.0.0.5:5432 does not answer"},
	{"PR107", Info, blocked(pool.BoundFirst, 1), linux(), "1 port was bound before connecting by proxy[7]"},
	{"PR107", Info, nobody(10), nobody(9), "10 ports were bound before connecting, which"},
	{"PR107", Warning, blocked(pool.BoundFirst, 100), blocked(pool.BoundIdle, 100), "proxy[7]"},
	{"PR108", Warning, bindFull(0), bindFull(1), "bind(10.0.0.1, 0) finds no port"},
	{"PR109", Info, blocked(pool.Listening, 99), linux(), "cost every destination 99 of 1000 ports"},
	{"PR109", Warning, blocked(pool.Reserved, 100), blocked(pool.Leftover, 100), "100 ports reserved"},
	{"PR110", Critical, blocked(pool.Reserved, 1000), blocked(pool.Reserved, 999), "every port of the range"},
	{"PR111", Info, linux().with(func(f *Facts) { f.Settings.Range.Last = 40998 }), linux(), "odd number of ports"},
	{
		"PR112", Info, linux().with(func(f *Facts) { f.Claims = listening(40500) }),
		linux().with(func(f *Facts) { f.Claims, f.Settings.Reserved = listening(40500, 8080), set(40500) }), "not reserved: 40500",
	},
	{
		"PR112", Warning, linux().with(func(f *Facts) { f.Claims = nodePorts(39000, 40009) }),
		linux().with(func(f *Facts) { f.Claims = nodePorts(30000, 32767) }), "10 ports of both",
	},
	{
		"PR112", Info, linux().with(func(f *Facts) { f.Claims = asleep(40500) }),
		linux().with(func(f *Facts) { f.Claims = asleep(80) }), "configured, not running: 40500 (db.socket)",
	},
	{
		"PR113", Warning, linux().with(func(f *Facts) { f.Settings.TWReuse, f.Settings.Timestamps = 1, 0 }),
		linux().with(func(f *Facts) { f.Settings.TWReuse, f.Settings.Timestamps = 2, 0 }), "timestamps are off",
	},
	{"PR114", Warning, linux().with(func(f *Facts) { f.Overflows = 1 }), linux(), "TCPTimeWaitOverflow 1"},
	{"PR115", Info, linux().with(func(f *Facts) { f.FinTimeout = 59 }), linux(), "tcp_fin_timeout=59"},
	{
		"PR116", Critical, linux().with(func(f *Facts) { f.Recycle = socket.Yes }),
		linux().with(func(f *Facts) { f.Recycle = socket.Unknown }), "tcp_tw_recycle",
	},
	{"PR117", Info, linux().with(func(f *Facts) { f.Settings.MaxTWBuckets = 131071 }), linux(), "the kernel's own is 131072"},
	{
		"PR117", Warning, linux().with(func(f *Facts) { f.Settings.MaxTWBuckets, f.Overflows = 100, 5 }),
		linux().with(func(f *Facts) { f.Settings.MaxTWBuckets, f.EhashEntries = 100, 0 }), "5 connections skipped",
	},
	{
		"PR118", Info, linux().with(func(f *Facts) { f.First = tuned(10240) }),
		linux().with(func(f *Facts) { f.First = tuned(40000); f.First.Range.Last = 40999 }), "on the host",
	},
	{
		"PR118", Warning, linux(at(700, socket.Established)).with(func(f *Facts) { f.First = tuned(10240) }),
		linux().with(func(f *Facts) {
			// What somebody set here by hand is a choice.
			f.First, f.Settings.Values[0].Text = tuned(10240), "40000\t40998"
		}), "10240-65535 on the host",
	},
	{
		"PR119", Warning, linux().with(func(f *Facts) { f.Conntrack = &Conntrack{Count: 70, Max: 100} }),
		linux().with(func(f *Facts) { f.Conntrack = &Conntrack{Count: 69, Max: 100} }), "70 of 100 entries",
	},
	{
		"PR120", Info, linux().with(func(f *Facts) { f.Conntrack = &Conntrack{Max: 100, InsertFailed: 3, TimeWait: 120 * time.Second} }),
		linux().with(func(f *Facts) { f.Conntrack = &Conntrack{Max: 100} }), "538/s to one destination",
	},
	{"PR121", Warning, linux(udp(700)), linux(udp(699)), "300 ports of 1000 left"},
	{"PR121", Critical, linux(udp(1000)), linux(udp(1)), "EAGAIN"},

	{
		"PR301", Warning, &Facts{System: Darwin, Uptime: wrap49},
		&Facts{System: Darwin, Uptime: wrap49 - 3*24*time.Hour}, "up for 49 days",
	},
}

func tuned(first uint16) *host.Settings {
	return &host.Settings{Range: port.Range{First: first, Last: 65535}, TWReuse: 2}
}

// bindFull is a host where bind() would get so many ports and connect() more.
func bindFull(left int) *Facts {
	f := blocked(pool.BoundFirst, 10)
	p := at(10, socket.Established)
	p.BindHeadroom, p.BindHeadroomMax = left, left
	f.Pools = []pool.Pool{p}
	return f
}

func find(list []Finding, code string) *Finding {
	for i := range list {
		if list[i].Code == code {
			return &list[i]
		}
	}
	return nil
}

func TestEachRuleFindsWhatItIsAboutAndNotWhatFallsShort(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range slices.Concat(cases, windowsCases) {
		seen[c.code] = true
		t.Run(c.code+" "+c.says, func(t *testing.T) {
			got := find(Judge(c.found), c.code)
			if got == nil {
				t.Fatalf("not found; there are %+v", Judge(c.found))
			}
			if text := got.Title + "\n" + strings.Join(got.Evidence, "\n"); !strings.Contains(text, c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, text)
			}
			if got.Severity != c.severity {
				t.Errorf("%s, want %s", got.Severity, c.severity)
			}
			// What the page says of the rule holds.
			r := Rules()[slices.IndexFunc(Rules(), func(r Rule) bool { return r.Code == c.code })]
			if !strings.Contains(r.Severity, got.Severity.String()) {
				t.Errorf("%s, and the rule says %q", got.Severity, r.Severity)
			}
			if len(got.Remedies) > 0 && !slices.Contains(r.Remedies, got.Remedies[0].ID) {
				t.Errorf("the first remedy is %s, and the rule says %q", got.Remedies[0].ID, r.Remedies)
			}
			if len(got.Evidence) == 0 || len(got.Remedies) == 0 {
				t.Errorf("without evidence or remedies: %+v", got)
			}
			if short := find(Judge(c.short), c.code); short != nil && short.Severity >= c.severity {
				t.Errorf("found where it falls short: %+v", short)
			}
		})
	}
	for _, r := range Rules() {
		if !seen[r.Code] {
			t.Errorf("rule %s %s has no case", r.Code, r.Name)
		}
	}
}

func TestRulesHaveCodesOfTheirOwn(t *testing.T) {
	all := Rules()
	for i, r := range all {
		if i > 0 && all[i-1].Code >= r.Code {
			t.Errorf("%s is not after %s", r.Code, all[i-1].Code)
		}
		for _, m := range r.Moots {
			if !slices.ContainsFunc(all, func(r Rule) bool { return r.Code == m }) || m == r.Code {
				t.Errorf("%s makes %s moot, which is no other rule", r.Code, m)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the table of docs/findings.md")

// The table of the page is written from the rules: go test ./finding -update
func TestThePageIsWrittenFromTheRules(t *testing.T) {
	const page, begin, end = "../docs/findings.md", "<!-- rules -->\n", "<!-- end of rules -->\n"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q and %q", page, begin, end)
	}
	table := "| code | name | severity | found when | first remedy | source |\n|---|---|---|---|---|---|\n"
	for _, r := range Rules() {
		table += fmt.Sprintf("| %s | `%s` | %s | %s | %s | %s |\n", r.Code, r.Name, r.Severity, r.When, strings.Join(r.Remedies, ", "), r.Source)
	}
	want := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Errorf("%s is not what the rules say: go test ./finding -update", page)
	}
}

func TestAHealthyHostHasNoFinding(t *testing.T) {
	for name, f := range map[string]*Facts{
		"nothing known":  {},
		"Linux, idle":    linux(),
		"Linux, in use":  linux(at(400, socket.Established), udp(300)),
		"Windows, 2022":  later(20348, nt.DefaultDynamic, 0),
		"Windows, set":   legacy(registry.NewDWORD(nt.MaxUserPort, 65534), registry.NewDWORD(nt.TcpTimedWaitDelay, 30)),
		"FreeBSD":        {System: FreeBSD, Uptime: 1000 * 24 * time.Hour},
		"Linux, unknown": {System: Linux},
	} {
		if got := Judge(f); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatIsMootComesLastAndNamesWhy(t *testing.T) {
	other := at(800, socket.Established)
	other.Key.Dst = netip.MustParseAddrPort("10.0.0.6:80")
	got := Judge(linux(at(1000, socket.CloseWait), other))
	knee, tight := find(got, "PR103"), find(got, "PR102")
	if tight == nil || tight.MootBy != "" {
		t.Errorf("another pool that is tight is moot: %+v", tight)
	}
	if knee == nil || knee.MootBy != "" {
		t.Errorf("past the knee in a pool that is not exhausted is moot: %+v", knee)
	}
	got = Judge(linux(at(1000, socket.Established)))
	if last := got[len(got)-1]; last.Code != "PR103" || last.MootBy != "PR101" {
		t.Errorf("the last finding is %+v, want PR103, moot by PR101", last)
	}
	got = Judge(linux().with(func(f *Facts) { f.Settings.MaxTWBuckets, f.Overflows = 100, 5 }))
	if last := got[len(got)-1]; last.Code != "PR114" || last.MootBy != "PR117" {
		t.Errorf("the last finding is %+v, want PR114, moot by PR117", last)
	}
}

// The gains are those of facts 6.2.
func TestGainsAreComputedForThisHost(t *testing.T) {
	f := linux(at(1000, socket.TimeWait))
	f.Settings.Range = port.Range{First: 32768, Last: 60999}
	p := &f.Pools[0]
	p.Range, p.Capacity, p.Held, p.Headroom, p.HeadroomMax, p.CeilingPerSecond = 28232, 28232, 28232, 0, 0, 28232.0/60
	p.States[socket.TimeWait] = 28232
	got := find(Judge(f), "PR101")
	var texts []string
	for _, m := range got.Remedies {
		texts = append(texts, m.ID+": "+m.Gain.String())
	}
	want := []string{"widen-range: ceiling 471/s → 922/s", "app-keepalive: ", "tw-reuse: ceiling 471/s → 28232/s", "more-tuples: "}
	if !slices.Equal(texts, want) {
		t.Errorf("gains %q, want %q", texts, want)
	}
	// A listener in the new part, a port that is bound and one that is reserved there
	// cost one each.
	f.Claims, f.Bound, f.Settings.Reserved = listening(15000, 40000), set(15000, 16000), set(20000)
	if g := f.widen(p)[0].Gain; g.To.Capacity != 55296-3 {
		t.Errorf("widening gives %d ports, want %d", g.To.Capacity, 55296-3)
	}
}

// What is reserved and not blocked already costs a port.
func TestTheCostOfAReservationIsStated(t *testing.T) {
	for cost, claims := range map[int]claim.Claims{1: append(asleep(40500), listening(40501)...), 10: nodePorts(39000, 40009)} {
		f := linux(at(0, socket.Established)).with(func(f *Facts) { f.Claims, f.Bound = claims, set(40501) })
		f.Pools[0].Capacity = 999
		if cost == 10 {
			f.Bound, f.Pools[0].Capacity = port.Set{}, 1000
		}
		g := find(Judge(f), "PR112").Remedies[0].Gain
		if g.From.Capacity-g.To.Capacity != cost {
			t.Errorf("the gain is %s, want %d ports less", g, cost)
		}
	}
}

// Whatever the facts are, Judge neither fails nor contradicts itself.
func TestJudgeHoldsForAnyFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		f := linux()
		f.System = rapid.SampledFrom([]System{"", Linux, Windows, Darwin, FreeBSD}).Draw(t, "system")
		for range n("pools", 4) {
			p := at(0, socket.Established)
			p.Capacity, p.Held, p.Headroom, p.HeadroomMax = n("capacity", 9), n("held", 9), n("headroom", 9), n("most", 9)
			p.CeilingPerSecond = float64(n("ceiling", 3))
			for i := range p.States {
				p.States[i] = n("state", 3)
			}
			p.Key.Proto = rapid.SampledFrom([]socket.Proto{socket.TCP, socket.UDP}).Draw(t, "proto")
			p.Owners = nil
			f.Pools = append(f.Pools, p)
		}
		for k := range f.Blocked.Kinds {
			f.Blocked.Kinds[k] = n("kind", 300)
			f.Blocked.Total += f.Blocked.Kinds[k]
		}
		if n("settings", 1) == 0 {
			f.Settings = nil
		}
		f.Windows = nil
		switch n("windows", 2) {
		case 1:
			f.Windows = legacy(registry.NewDWORD(nt.MaxUserPort, uint32(n("port", 70000)))).Windows
		case 2:
			first := 1025 + n("dynamic", 60000)
			f.Windows = later(n("build", 26100), port.Range{First: uint16(first), Last: 65535}, n("excluded", 200)).Windows
		}
		got := Judge(f)
		codes := make(map[string]bool)
		for i, g := range got {
			if codes[g.Code] {
				t.Fatalf("%s twice", g.Code)
			}
			codes[g.Code] = true
			if g.Title == "" || g.Severity < Info || g.Severity > Critical {
				t.Fatalf("%+v", g)
			}
			if i > 0 && got[i-1].MootBy == "" && g.MootBy == "" && got[i-1].Severity < g.Severity {
				t.Fatalf("%s before %s", got[i-1].Code, g.Code)
			}
		}
		for _, g := range got {
			if g.MootBy != "" && !codes[g.MootBy] {
				t.Fatalf("%s is moot by %s, which is not found", g.Code, g.MootBy)
			}
		}
	})
}
