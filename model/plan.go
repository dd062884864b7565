package model

import (
	"errors"
	"fmt"
	"math"
)

// Question is what [Plan] is asked. Rates are per second, times in seconds.
type Question struct {
	Pool         Pool
	Rate         float64 // requests; with KeepAlive 1, connects
	KeepAlive    int     // requests that share one connection
	Lifetime     float64 // mean, from connect to close
	Sources      int     // local addresses, or addresses of a NAT
	Destinations int     // address and port pairs
	ServerCloses bool    // the peer closes first and keeps TIME_WAIT; no matter to a NAT
	Held         float64 // ports that are held now, for the leak

	Before float64 // the rate until now, for the step and for growth
	Growth float64 // by how much the rate grows each second
	Double float64 // seconds in which the rate doubles
	Leak   float64 // sockets a second that are never closed
}

// Check says in one sentence what of the question cannot be. Without a pool it leaves
// out what depends on one.
func (q *Question) Check() error {
	for _, v := range []struct {
		name string
		v    float64
	}{{"rate", q.Rate}, {"lifetime", q.Lifetime}, {"rate before", q.Before}, {"growth", q.Growth}, {"doubling time", q.Double}, {"leak", q.Leak}, {"held", q.Held}} {
		if v.v < 0 || math.IsNaN(v.v) || v.v > 1e12 {
			return fmt.Errorf("%s %g: want a number from 0 to 1e12", v.name, v.v)
		}
	}
	switch {
	case q.KeepAlive < 1:
		return fmt.Errorf("keep-alive of %d requests: want 1 or more", q.KeepAlive)
	case q.KeepAlive > 1 && q.Lifetime == 0:
		return fmt.Errorf("a connection that carries %d requests does not live for 0 s: want a lifetime above 0 with keep-alive", q.KeepAlive)
	case q.Sources < 1 || q.Destinations < 1 || q.Sources > 1e6 || q.Destinations > 1e6:
		return fmt.Errorf("%d sources and %d destinations: want 1 to 1000000 of each", q.Sources, q.Destinations)
	case q.Pool.Capacity.High > 0 && q.Held >= 1 && q.Held > q.Pool.Capacity.High*float64(q.pools(q.Pool.Scope)):
		return errors.New("more ports are held than there are: want no more than the capacity")
	}
	return nil
}

// connects is the rate of connections.
func (q *Question) connects() float64 { return q.Rate / float64(q.KeepAlive) }

func (q *Question) pools(s Scope) int { return s.Pools(q.Sources, q.Destinations) }

// hold is for how long a connect holds its port, given the wait.
func (q *Question) hold(wait float64) float64 {
	if !q.Pool.waits(q.ServerCloses) {
		return q.Lifetime
	}
	return q.Lifetime + wait
}

// Case is one way for the load to grow, and when it fails first.
type Case struct {
	Case    string
	Assumes string
	First   Bounds // seconds from now; Never
}

// Answer is what [Plan] says. Bounds hold the uncertain ends; their cautious end is
// Low for capacities, rates and times, High for the hold, the occupancy and Refused.
type Answer struct {
	Question     Question
	Pools        int
	Capacity     Bounds // ports, all pools together
	Hold         Bounds // seconds
	Ceiling      Bounds // connects a second
	Safe         Bounds // connects a second, three standard deviations kept free
	Connects     float64
	Occupancy    Bounds // ports, by Little's law, if nothing were refused
	Sustainable  bool   // at the cautious end
	FirstFailure Bounds
	Cases        []Case
	Refused      Bounds  // share of connects, arrivals at random
	Knee         float64 // held ports from which each search costs more; 0 for none
	PastKnee     bool
	Remedies     []Remedy
	Smallest     *Remedy // the smallest change that meets the rate; nil when none is needed or known
}

// Plan does the arithmetic.
func Plan(q Question) (*Answer, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	a := &Answer{Question: q, Connects: q.connects()}
	worst, best := q.ends()
	a.Pools = worst.pools
	a.Capacity = Bounds{worst.n, best.n}
	a.Hold = Bounds{best.hold, worst.hold}
	a.Ceiling = Bounds{Ceiling(worst.n, worst.hold), Ceiling(best.n, best.hold)}
	a.Safe = Bounds{worst.safe(), best.safe()}
	a.Occupancy = Bounds{a.Connects * best.hold, a.Connects * worst.hold}
	a.Sustainable = a.Occupancy.High <= worst.n
	a.FirstFailure = Bounds{ConstantCold(worst.n, a.Connects, worst.hold), ConstantCold(best.n, a.Connects, best.hold)}
	a.Refused = Bounds{best.refused(a.Connects), worst.refused(a.Connects)}
	if q.Pool.HasKnee() {
		a.Knee = worst.n / 2
		a.PastKnee = a.Occupancy.High > a.Knee
	}
	a.Cases = q.cases(worst, best)
	a.Remedies, a.Smallest = q.remedies(worst, a.Sustainable)
	return a, nil
}

// end is one end of what is uncertain.
type end struct {
	n     float64 // ports of all pools
	hold  float64
	pools int
}

func (q *Question) ends() (worst, best end) {
	n, wait := q.Pool.cautious()
	worst = end{hold: q.hold(wait), pools: q.pools(q.Pool.Scope)}
	worst.n = n * float64(worst.pools)
	n, wait = q.Pool.hopeful()
	best = end{hold: q.hold(wait), pools: worst.pools}
	if q.Pool.ScopeUncertain {
		best.pools = q.pools(PerTuple)
	}
	best.n = n * float64(best.pools)
	return worst, best
}

func (e end) safe() float64 {
	return SafeRate(e.n/float64(e.pools), e.hold) * float64(e.pools)
}

func (e end) refused(r float64) float64 {
	p := float64(e.pools)
	return ErlangB(int(e.n/p), r*e.hold/p)
}

// cases are the ways to grow of which the question says something, or for which a
// plain assumption can be made.
func (q *Question) cases(worst, best end) []Case {
	r := q.connects()
	each := func(f func(n, hold float64) float64) Bounds {
		return Bounds{f(worst.n, worst.hold), f(best.n, best.hold)}
	}
	before := q.Before / float64(q.KeepAlive)
	cases := []Case{{"constant, cold start", fmt.Sprintf("%s/s from now on, nothing held", number(r)),
		each(func(n, h float64) float64 { return ConstantCold(n, r, h) })}}
	if before == 0 {
		before = min(r, Ceiling(worst.n, worst.hold)) / 2
	}
	growth := q.Growth / float64(q.KeepAlive)
	if growth == 0 {
		growth = r / 3600
	}
	double := q.Double
	if double == 0 {
		double = 3600
	}
	leak := q.Leak
	if leak == 0 {
		leak = 1
	}
	k := math.Ln2 / double
	cases = append(cases,
		Case{"constant, warm", fmt.Sprintf("%s/s until now, then %s/s", number(before), number(r)),
			each(func(n, h float64) float64 { return ConstantWarm(n, before, r, h) })},
		Case{"linear growth, cold start", fmt.Sprintf("%s/s at first, growing by %s/s each second", number(before), number(growth)),
			each(func(n, h float64) float64 { return LinearCold(n, before, growth, h) })},
		Case{"linear growth, warm", fmt.Sprintf("%s/s until now, growing by %s/s each second", number(before), number(growth)),
			each(func(n, h float64) float64 { return LinearWarm(n, before, growth, h) })},
		Case{"exponential growth", fmt.Sprintf("%s/s now, doubling every %s s", number(before), number(double)),
			each(func(n, h float64) float64 { return ExponentialWarm(n, before, k, h) })},
		Case{"leak", fmt.Sprintf("%s held, %s sockets a second never closed", number(q.Held), number(leak)),
			each(func(n, _ float64) float64 { return Leak(n, q.Held, leak) })})
	return cases
}
