package model

import (
	"context"
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/port"
)

func drawQuestion(t *rapid.T) Question {
	name := rapid.SampledFrom(Names()).Draw(t, "system")
	p, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := p.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Question{Pool: pool, KeepAlive: 1, Sources: rapid.IntRange(1, 5).Draw(t, "sources"), Destinations: rapid.IntRange(1, 5).Draw(t, "destinations"),
		Rate: rapid.Float64Range(0.01, 5000).Draw(t, "rate"), Lifetime: rapid.Float64Range(0, 100).Draw(t, "lifetime"),
		ServerCloses: rapid.Bool().Draw(t, "server closes")}
}

func mustPlan(t *rapid.T, q Question) *Answer {
	a, err := Plan(q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// notWorse fails unless b is at least as good as a.
func notWorse(t *rapid.T, a, b *Answer) {
	if b.Ceiling.Low < a.Ceiling.Low || b.FirstFailure.Low < a.FirstFailure.Low || b.Refused.High > a.Refused.High || a.Sustainable && !b.Sustainable {
		t.Fatalf("ceiling %s then %s, first failure %s then %s, refused %s then %s", a.Ceiling, b.Ceiling, a.FirstFailure, b.FirstFailure, a.Refused, b.Refused)
	}
	for i := range a.Cases[:1] {
		if b.Cases[i].First.Low < a.Cases[i].First.Low {
			t.Fatalf("%s: %s then %s", a.Cases[i].Case, a.Cases[i].First, b.Cases[i].First)
		}
	}
}

func TestMorePortsAreNeverWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		a := mustPlan(t, q)
		q.Pool.Capacity.Low += float64(rapid.IntRange(0, 5000).Draw(t, "more"))
		q.Pool.Capacity.High = max(q.Pool.Capacity.High, q.Pool.Capacity.Low)
		notWorse(t, a, mustPlan(t, q))
	})
}

func TestAShorterTimeWaitIsNeverWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		a := mustPlan(t, q)
		q.Pool.Wait.High *= rapid.Float64Range(0, 1).Draw(t, "share")
		q.Pool.Wait.Low = min(q.Pool.Wait.Low, q.Pool.Wait.High)
		notWorse(t, a, mustPlan(t, q))
	})
}

func TestALowerRateIsNeverWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		a := mustPlan(t, q)
		q.Rate *= rapid.Float64Range(0, 1).Draw(t, "share")
		notWorse(t, a, mustPlan(t, q))
	})
}

// The smallest form of a remedy meets the rate, and no remedy claims to that does not.
func TestARemedyThatMeetsTheRateHasACeilingAboveIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		a := mustPlan(t, q)
		if a.Sustainable != (a.Smallest == nil) && !q.ServerCloses {
			t.Fatalf("sustainable %v, smallest %v", a.Sustainable, a.Smallest)
		}
		for _, r := range a.Remedies {
			if r.Least != "" && r.LeastCeiling < q.Rate*(1-1e-9) {
				t.Fatalf("%s gives %g/s, want %g/s", r.Least, r.LeastCeiling, q.Rate)
			}
		}
	})
}

// drawRun is a small system with a random load.
func drawRun(t *rapid.T) Run {
	lo := uint16(rapid.IntRange(2000, 2100).Draw(t, "low"))
	n := rapid.IntRange(2, 400).Draw(t, "ports")
	p := FromCounts("drawn", port.Range{First: lo, Last: lo + uint16(n) - 1}, n, exactly(rapid.Float64Range(0, 20).Draw(t, "wait")), PerTuple)
	p.Search = rapid.SampledFrom([]Search{Lowest, Sequential, RandomStart, HashedStart, ParityConnect, ParityBind}).Draw(t, "search")
	if p.Search == ParityConnect && n%2 == 1 {
		p.Capacity.Low--
	}
	if p.Wait.High > 0 && rapid.Bool().Draw(t, "taken over") {
		p.Entry = 2 * p.Wait.High
	}
	l := Fixed(time.Duration(rapid.IntRange(0, 3000).Draw(t, "life")) * time.Millisecond)
	if rapid.Bool().Draw(t, "lives differ") {
		l.kind = "exp"
	}
	load := Steady(rapid.Float64Range(0.5, 100).Draw(t, "rate"))
	r := Run{Pool: p, Arrivals: Even(load), Lifetime: l, Sources: 1, Destinations: rapid.IntRange(1, 3).Draw(t, "destinations"),
		Duration: time.Duration(rapid.IntRange(5, 100).Draw(t, "seconds")) * time.Second, Seed: rapid.Uint64().Draw(t, "seed"), Samples: 50}
	if rapid.Bool().Draw(t, "at random") {
		r.Arrivals = Poisson(load)
	}
	return r
}

func mustRun(t testing.TB, r Run) *Result {
	t.Helper()
	res, err := Simulate(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestNeverMoreIsHeldThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		res, err := Simulate(context.Background(), r)
		if err == ErrNoArrivals {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		// One end of an odd range may be within reach or not.
		most := res.Pools * int(r.Pool.Capacity.High)
		if res.PeakHeld > most {
			t.Fatalf("%d held of %d", res.PeakHeld, most)
		}
		granted, refused := 0, 0
		for _, s := range res.Samples {
			granted += s.Granted
			refused += s.Refused
			if s.Held > most || s.TimeWait > s.Held || s.Held < 0 || s.TimeWait < 0 {
				t.Fatalf("%+v of %d", s, most)
			}
		}
		if len(res.Samples) != 50 || granted != res.Granted || refused != res.Refused {
			t.Fatalf("%d samples sum up to %d and %d, want %d and %d", len(res.Samples), granted, refused, res.Granted, res.Refused)
		}
	})
}

func TestAnIdleSystemRefusesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		hold := r.Pool.Wait.High + r.Lifetime.Mean()
		rate := 0.5 / (hold + 0.001) // one connect at a time
		r.Lifetime = Fixed(time.Duration(r.Lifetime.Mean() * 1e9))
		r.Arrivals = Even(Steady(rate))
		if res, err := Simulate(context.Background(), r); err != nil || res.Refused > 0 || res.PeakHeld > r.Destinations*2 {
			t.Fatalf("%+v, %v", res, err)
		}
	})
}

// First failure and long-run rate, by the formula and by playing it.
func TestFormulaAndSimulationAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		r.Destinations = 1
		r.Lifetime = Fixed(time.Duration(r.Lifetime.Mean()*1e3) * time.Millisecond)
		r.Pool.Wait = exactly(math.Round(r.Pool.Wait.High*1e3) / 1e3)
		r.Pool.Entry = 0
		hold := r.Pool.Wait.High + r.Lifetime.Mean()
		rate := rapid.Float64Range(0.5, 100).Draw(t, "even rate")
		n := r.Pool.Capacity.Low
		if math.Abs(rate*hold-n) < 1.5 || !r.Pool.Capacity.Certain() {
			return // at the very edge one connect decides
		}
		r.Arrivals = Even(Steady(rate))
		r.Duration = time.Duration((3*hold + n/rate + 1) * 1e9)
		res, err := Simulate(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		want := ConstantCold(n, rate, hold)
		if want == Never && res.Refused > 0 || want != Never && math.Abs(res.FirstFailure-want) > 1/rate+1e-6 {
			t.Fatalf("%g ports of %g s at %g/s: first failure at %g, want %g", n, hold, rate, res.FirstFailure, want)
		}
		if want == Never {
			// Little: what is held at the end is the rate times the hold.
			last := res.Samples[len(res.Samples)-1]
			if math.Abs(float64(last.Held)-rate*hold) > 1.5 {
				t.Fatalf("%d held, want %g", last.Held, rate*hold)
			}
		}
	})
}

// The bounds that the plan gives for a late timer hold for every phase of it.
func TestASimulationWithLateTimersKeepsToTheBoundsOfThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hz := rapid.SampledFrom([]int{100, 250, 300, 1000}).Draw(t, "hz")
		p, err := Find("linux")
		if err != nil {
			t.Fatal(err)
		}
		pool, err := p.Resolve([]Assignment{{"ip_local_port_range", "40000-40599"}, {"CONFIG_HZ", strconv.Itoa(hz)}})
		if err != nil {
			t.Fatal(err)
		}
		rate := rapid.Float64Range(8, 14).Draw(t, "rate")
		a := mustPlan(t, Question{Pool: pool, Rate: rate, KeepAlive: 1, Sources: 1, Destinations: 1})
		res, err := Simulate(context.Background(), Run{Pool: pool, Arrivals: Even(Steady(rate)), Sources: 1, Destinations: 1,
			Duration: 20 * time.Minute, Phase: rapid.Int64Range(0, 1<<13).Draw(t, "phase")})
		if err != nil {
			t.Fatal(err)
		}
		if res.FirstFailure < a.FirstFailure.Low-1e-6 || a.FirstFailure.High != Never && res.FirstFailure > a.FirstFailure.High+1/rate {
			t.Fatalf("first failure at %g s, the plan says %s", res.FirstFailure, a.FirstFailure)
		}
		if got := res.GrantedPerSecond(); got < min(rate, a.Ceiling.Low)*0.98 || got > min(rate, a.Ceiling.High)*1.06 {
			t.Fatalf("%g/s, the plan says %s", got, a.Ceiling)
		}
	})
}

func TestLittlesLawHoldsForRandomArrivals(t *testing.T) {
	life, err := ParseLifetime("exp:3s")
	if err != nil {
		t.Fatal(err)
	}
	res := mustRun(t, Run{Pool: resolve(t, "linux"), Arrivals: Poisson(Steady(200)), Lifetime: life, Sources: 1, Destinations: 1,
		Duration: 2 * time.Hour, Seed: 1, Samples: 7200})
	sum := 0
	for _, s := range res.Samples[300:] {
		sum += s.Held
	}
	mean := float64(sum) / float64(len(res.Samples)-300)
	if want := 200 * 63.0; math.Abs(mean-want) > want/100 {
		t.Errorf("%g held on average, want %g", mean, want)
	}
}

func TestErlangsFormulaAndSimulationAgree(t *testing.T) {
	p := FromCounts("a small pool", port.Range{First: 2000, Last: 2099}, 100, exactly(10), PerTuple)
	res := mustRun(t, Run{Pool: p, Arrivals: Poisson(Steady(10)), Sources: 1, Destinations: 1, Duration: 30 * time.Hour, Seed: 1})
	got := float64(res.Refused) / float64(res.Refused+res.Granted)
	if want := ErlangB(100, 100); math.Abs(got-want) > 0.02*want {
		t.Errorf("%g refused, Erlang's formula says %g", got, want)
	}
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		load := Steady(rapid.Float64Range(1, 50).Draw(t, "r"))
		var first *Result
		for range 2 {
			r.Arrivals = Poisson(load)
			res, err := Simulate(context.Background(), r)
			if err != nil {
				return
			}
			if first != nil && (res.Granted != first.Granted || res.BeforeKnee != first.BeforeKnee || res.FirstFailure != first.FirstFailure) {
				t.Fatalf("%+v then %+v", first, res)
			}
			first = res
		}
	})
}
