package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// resolve makes a pool of "system NAME=VALUE …".
func resolve(t testing.TB, line string) Pool {
	t.Helper()
	words := strings.Fields(line)
	p, err := Find(words[0])
	if err != nil {
		t.Fatal(err)
	}
	var set []Assignment
	for _, w := range words[1:] {
		a, err := ParseAssignment(w)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, a)
	}
	pool, err := p.Resolve(set)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func question(t testing.TB, line string, rate float64) Question {
	return Question{Pool: resolve(t, line), Rate: rate, KeepAlive: 1, Sources: 1, Destinations: 1}
}

func plan(t testing.TB, q Question) *Answer {
	t.Helper()
	a, err := Plan(q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The highest rates that are published or follow from what is, to the last digit
// that is given. wait picks the end of what is uncertain.
func TestTheHighestRateOfEverySystem(t *testing.T) {
	for _, row := range []struct {
		system string
		ports  int
		wait   float64
		rate   string
		scope  Scope
	}{
		{"windows-2000", 3976, 240, "16.6", PerHost},
		{"windows-server-2003", 3976, 120, "33.1", PerHost},
		{"windows-2000 MaxUserPort=65534", 64510, 240, "268.8", PerHost},
		{"windows-2000 MaxUserPort=65534 TcpTimedWaitDelay=30", 64510, 30, "2150", PerHost},
		{"windows-2000 TcpTimedWaitDelay=30", 3976, 30, "132.5", PerHost},
		{"windows", 16384, 240, "68.3", PerHost},
		{"windows", 16384, 120, "136.5", PerHost},
		{"windows start=1025 num=64511", 64511, 120, "537.6", PerHost},
		{"windows start=1025 num=64511 TcpTimedWaitDelay=30", 64511, 30, "2150", PerHost},
		{"linux", 28232, 60, "470.5", PerTuple},
		{"linux-5.10", 28232, 60, "470.5", PerTuple},
		{"linux-3", 28233, 60, "470.6", PerTuple},
		{"linux ip_local_port_range=1024-65535", 64512, 60, "1075", PerTuple},
		{"linux bind-first=1", 28232, 60, "470.5", PerSource},
		{"linux tcp_tw_reuse=1", 28232, 1, "28232", PerTuple},
		{"linux tcp_tw_reuse=1 tcp_tw_reuse_delay=100", 28232, 0.1, "282320", PerTuple},
		{"macos", 16384, 30, "546", PerHost},
		{"freebsd", 55536, 60, "925.6", PerTuple},
		{"freebsd-12", 55536, 60, "925.6", PerHost},
		{"nf_nat", 64512, 120, "537.6", PerTuple},
		{"gcp-cloud-nat", 64, 120, "0.53", PerTuple},
		{"gcp-cloud-nat", 64, 30, "2.1", PerTuple},
		// Two times the maximum segment lifetime of RFC 9293, the range of RFC 6335.
		{"windows TcpTimedWaitDelay=240", 16384, 240, "68.3", PerHost},
		{"openbsd", 48128, 60, "802.1", PerHost},
		{"netbsd", 16384, 60, "273.1", PerHost},
		{"solaris", 32768, 60, "546.1", PerHost},
		{"aix", 32768, 15, "2184.5", PerHost},
		{"aix", 32768, 30, "1092.3", PerHost},
		{"gvisor", 49536, 60, "825.6", PerTuple},
		{"azure-nat-gateway", 50000, 65, "769", PerTuple},
		{"azure-app-service", 128, 240, "0.53", PerTuple},
		{"aws-nat-gateway", 55000, 350, "157.1", PerTuple},
	} {
		t.Run(fmt.Sprintf("%s %g s", row.system, row.wait), func(t *testing.T) {
			p := resolve(t, row.system)
			if p.Scope != row.scope {
				t.Errorf("a pool for each %s, want %s", p.Scope, row.scope)
			}
			if row.wait != p.Wait.Low && row.wait != p.Wait.High {
				t.Fatalf("a hold of %s, want %g", p.Wait, row.wait)
			}
			if int(p.Capacity.Low) != row.ports {
				t.Errorf("%s ports, want %d", p.Capacity, row.ports)
			}
			_, digits, _ := strings.Cut(row.rate, ".")
			if got := fmt.Sprintf("%.*f", len(digits), Ceiling(p.Capacity.Low, row.wait)); got != row.rate {
				t.Errorf("%s connects a second, want %s", got, row.rate)
			}
		})
	}
}

func TestTheWorkedExamplesOfTheFirstFailure(t *testing.T) {
	for _, row := range []struct {
		system string
		wait   float64
		rate   float64
		first  string
	}{
		{"windows-2000", 240, 100, "39.8"},
		{"windows-2000", 240, 100, "39.76"},
		{"linux", 60, 1000, "28.2"},
		{"linux", 60, 1000, "28.23"},
		{"linux", 60, 500, "56.5"},
		{"linux", 60, 470, "+Inf"},
		{"windows", 120, 200, "81.9"},
	} {
		n := resolve(t, row.system).Capacity.Low
		_, digits, _ := strings.Cut(row.first, ".")
		if got := fmt.Sprintf("%.*f", len(digits), ConstantCold(n, row.rate, row.wait)); got != row.first {
			t.Errorf("%s at %g/s: first failure at %s s, want %s", row.system, row.rate, got, row.first)
		}
	}
}

// Scaled-down pools that a kernel was run against (1,000 ports of one second, 600 of
// sixty).
func TestTheMeasuredFirstFailures(t *testing.T) {
	for _, row := range []struct {
		n, hold, rate, first float64
	}{
		{1000, 1, 800, Never}, {1000, 1, 1500, 0.667},
		{600, 60, 9, Never}, {600, 60, 11, 54.545}, {600, 60, 20, 30},
	} {
		if got := ConstantCold(row.n, row.rate, row.hold); math.Round(got*1000)/1000 != row.first {
			t.Errorf("%g ports of %g s at %g/s: %g s, want %g", row.n, row.hold, row.rate, got, row.first)
		}
	}
}

// The smallest check of each formula is the integral it comes from: occupancy
// counted step by step.
func TestEveryCaseOfGrowthFillsThePoolAtItsTime(t *testing.T) {
	const n, hold = 1000.0, 60.0
	for name, c := range map[string]struct {
		t    float64
		rate func(float64) float64
	}{
		"constant, cold":         {ConstantCold(n, 20, hold), func(t float64) float64 { return on(t, 20) }},
		"constant, warm":         {ConstantWarm(n, 10, 30, hold), func(t float64) float64 { return 10 + on(t, 20) }},
		"linear, cold, early":    {LinearCold(n, 10, 1, hold), func(t float64) float64 { return on(t, 10+t) }},
		"linear, cold, late":     {LinearCold(n, 1, 0.1, hold), func(t float64) float64 { return on(t, 1+0.1*t) }},
		"linear, warm, early":    {LinearWarm(n, 15, 1, hold), func(t float64) float64 { return 15 + on(t, t) }},
		"linear, warm, late":     {LinearWarm(n, 1, 0.01, hold), func(t float64) float64 { return 1 + on(t, 0.01*t) }},
		"exponential, always":    {ExponentialWarm(n, 2, 0.01, hold), func(t float64) float64 { return 2 * math.Exp(0.01*t) }},
		"exponential, explosive": {ExponentialWarm(n, 2, 1, hold), func(t float64) float64 { return 2 * math.Exp(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			const steps = 200000
			held := 0.0
			for i := range steps {
				held += c.rate(c.t - hold + (float64(i)+0.5)*hold/steps)
			}
			if held *= hold / steps; math.Abs(held-n) > n/1e3 {
				t.Errorf("at %g s %g ports are held, want %g", c.t, held, n)
			}
		})
	}
	if got := Leak(n, 400, 0.5); got != 1200 {
		t.Errorf("a leak of 0.5/s on 400 of 1000: %g s, want 1200", got)
	}
}

func on(t, v float64) float64 {
	if t < 0 {
		return 0
	}
	return v
}

func TestBlockingByErlang(t *testing.T) {
	// Erlang's own tables: 10 lines, 5 erlangs: 1.838 %; 100 lines, 100: 7.570 %.
	for _, row := range []struct {
		n    int
		a    float64
		want string
	}{{10, 5, "0.01838"}, {100, 100, "0.07570"}, {1, 1, "0.50000"}} {
		if got := fmt.Sprintf("%.5f", ErlangB(row.n, row.a)); got != row.want {
			t.Errorf("B(%d, %g) = %s, want %s", row.n, row.a, got, row.want)
		}
	}
	if b := ErlangB(28232, 0.98*28232); b > 1e-4 {
		t.Errorf("at 98 %% of 28,232 ports %g are refused, want next to none", b)
	}
	if got := fmt.Sprintf("%.1f", SafeRate(28232, 60)); got != "462.1" {
		t.Errorf("safe rate %s, want 462.1", got)
	}
	for u, want := range map[float64]string{0.95: "3.0e-06", 0.97: "5.2e-04", 0.98: "6.7e-03", 0.99: "8.3e-02", 0.995: "2.9e-01"} {
		if got := fmt.Sprintf("%.1e", NATRefused(u)); got != want {
			t.Errorf("nf_nat at %g: %s, want %s", u, got, want)
		}
	}
}

// What a simulator must reproduce has its arithmetic here.
func TestTheCheckListOfASimulator(t *testing.T) {
	a := plan(t, question(t, "linux", 1000))
	if a.Knee != 14116 {
		t.Errorf("the knee is at %g, want half of 28,232", a.Knee)
	}
	q := question(t, "linux", 1000)
	q.Destinations = 4
	if a := plan(t, q); a.Knee != 56464 || !a.Sustainable {
		t.Errorf("four destinations: knee %g, sustainable %v, want 56464 and true", a.Knee, a.Sustainable)
	}
	q = question(t, "linux bind-first=1", 1000)
	q.Destinations = 4
	if a := plan(t, q); a.Capacity.Low != 28232 {
		t.Errorf("bind first with four destinations: %g ports, want 28232", a.Capacity.Low)
	}
	q.Sources = 4
	if a := plan(t, q); a.Capacity.Low != 4*28232 {
		t.Errorf("bind first with four sources: %g ports, want 112928", a.Capacity.Low)
	}
	for delay, want := range map[string]float64{"1000": 100, "500": 200, "100": 1000} {
		p := resolve(t, "linux ip_local_port_range=40000-40099 tcp_tw_reuse=1 tcp_tw_reuse_delay="+delay)
		if got := Ceiling(p.Capacity.Low, p.Wait.High); got != want {
			t.Errorf("100 ports taken over after %s ms: %g/s, want %g", delay, got, want)
		}
	}
	p := resolve(t, "linux ip_local_reserved_ports=40000-40009,50000")
	if err := p.Block(20); err != nil || p.Capacity != exactly(28232-11-20) {
		t.Errorf("11 reserved and 20 listening: %s ports, %v", p.Capacity, err)
	}
	if a := plan(t, question(t, "windows-server-2003", 100)); Round(a.Ceiling.Low) != 16.57 || Round(a.FirstFailure.Low) != 39.76 || a.Hold.High != 240 {
		t.Errorf("ceiling %s, first failure %s, hold %s", a.Ceiling, a.FirstFailure, a.Hold)
	}
}

func TestEveryNumberHasASource(t *testing.T) {
	for _, p := range Profiles() {
		pool, err := p.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		what := map[string]bool{}
		for _, f := range pool.Facts {
			what[f.What] = true
			if f.Value == "" || f.Source == "" {
				t.Errorf("%s: %q is %q by %q", p.Name, f.What, f.Value, f.Source)
			}
		}
		if !what["scope"] || !what["order"] || len(what) < 4 {
			t.Errorf("%s tells %v only: want its ports, how long they are held, the scope and the order", p.Name, what)
		}
		if doubt := !pool.Capacity.Certain() || !pool.Wait.Certain() || pool.ScopeUncertain; doubt && !slices.ContainsFunc(pool.Facts, func(f Fact) bool { return f.Uncertain != "" }) {
			t.Errorf("%s has two ends and says nowhere why", p.Name)
		}
		for _, s := range p.Settings {
			if s.Valid == "" || s.Source == "" {
				t.Errorf("%s: the setting %s accepts %q by %q", p.Name, s.Name, s.Valid, s.Source)
			}
		}
	}
}
