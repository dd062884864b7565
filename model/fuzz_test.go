package model

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What is accepted has a mean that one can compute with, and draws times.
func FuzzParseLifetime(f *testing.F) {
	for _, s := range []string{"200ms", "exp:2s", "uniform:1s-3s", "lognormal:1s,0.5", "pareto:1s,2", "pareto:1s,1", "exp:-1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLifetime(s)
		if err != nil {
			return
		}
		if m := l.Mean(); !(m >= 0) || math.IsInf(m, 0) {
			t.Errorf("%q has the mean %g", s, m)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		for range 10 {
			if d := l.draw(rng); d < 0 {
				t.Errorf("%q gave %d ns", s, d)
			}
		}
	})
}

// What is accepted brings connects that never go back in time.
func FuzzParseSteps(f *testing.F) {
	f.Add("0s=100,60s=500,2m=0")
	f.Add("10s=1e9")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseSteps(s)
		if err != nil {
			return
		}
		rng := rand.New(rand.NewPCG(1, 1))
		for _, a := range []Arrivals{Even(l), Poisson(l)} {
			last := int64(0)
			for range 100 {
				at, ok := a(rng)
				if !ok {
					break
				}
				if int64(at) < last {
					t.Fatalf("%q: %d after %d", s, at, last)
				}
				last = int64(at)
			}
		}
	})
}
