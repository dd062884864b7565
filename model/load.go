package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// A Load is a rate over time, made of straight pieces. The last one goes on for
// ever.
type Load []Piece

// A Piece of a load begins at a time, in seconds, with a rate per second, and
// changes by Slope each second.
type Piece struct{ At, Rate, Slope float64 }

// Steady is one rate for ever.
func Steady(rate float64) Load { return Load{{Rate: rate}} }

// Ramp is a rate that goes from one to another within so many seconds, and stays.
func Ramp(from, to, seconds float64) Load {
	return Load{{Rate: from, Slope: (to - from) / seconds}, {At: seconds, Rate: to}}
}

// ParseSteps reads steps such as "0s=100,60s=500,2m=100".
func ParseSteps(s string) (Load, error) {
	var l Load
	for step := range strings.SplitSeq(s, ",") {
		when, rate, ok := strings.Cut(step, "=")
		at, err := time.ParseDuration(when)
		r, err2 := strconv.ParseFloat(rate, 64)
		if !ok || err != nil || err2 != nil || at < 0 || !(r >= 0 && r <= 1e9) {
			return nil, fmt.Errorf("%q is no step: want TIME=RATE such as 60s=500", cut(step))
		}
		if len(l) > 0 && at.Seconds() <= l[len(l)-1].At {
			return nil, fmt.Errorf("the step %q does not come after the one before: want ascending times", cut(step))
		}
		if len(l) == 0 && at > 0 {
			l = append(l, Piece{})
		}
		l = append(l, Piece{At: at.Seconds(), Rate: r})
	}
	return l, nil
}

// Arrivals gives the times of the connects one after another, never back in time;
// ok is false after the last.
type Arrivals func(r *rand.Rand) (at time.Duration, ok bool)

// Even spaces connects as evenly as the load lets them.
func Even(l Load) Arrivals {
	i := 0.0
	when := l.clock()
	return func(*rand.Rand) (time.Duration, bool) {
		at := when(i)
		i++
		return seconds(at)
	}
}

// Poisson lets connects come at random, independent of each other.
func Poisson(l Load) Arrivals {
	x := 0.0
	when := l.clock()
	return func(r *rand.Rand) (time.Duration, bool) {
		x += r.ExpFloat64()
		return seconds(when(x))
	}
}

// Trace repeats recorded times, which must not go back.
func Trace(times []time.Duration) Arrivals {
	return func(*rand.Rand) (time.Duration, bool) {
		if len(times) == 0 {
			return 0, false
		}
		at := times[0]
		times = times[1:]
		return at, true
	}
}

func seconds(s float64) (time.Duration, bool) {
	if !(s < 9e9) { // the nanoseconds of a Duration end there
		return 0, false
	}
	return time.Duration(s*1e9 + 0.5), true
}

// clock tells when so many connects have come. It must be asked in ascending order.
func (l Load) clock() func(x float64) float64 {
	piece, done := 0, 0.0 // connects before this piece
	return func(x float64) float64 {
		for piece+1 < len(l) {
			d := l[piece+1].At - l[piece].At
			all := l[piece].Rate*d + l[piece].Slope*d*d/2
			if x < done+all {
				break
			}
			done += all
			piece++
		}
		p := l[piece]
		x -= done
		switch {
		case p.Rate == 0 && p.Slope <= 0:
			return math.Inf(1)
		case x == 0:
			return p.At
		case p.Slope != 0:
			root := p.Rate*p.Rate + 2*p.Slope*x
			if root < 0 {
				return math.Inf(1)
			}
			return p.At + 2*x/(p.Rate+math.Sqrt(root))
		}
		return p.At + x/p.Rate
	}
}

// A Lifetime is how long connections live: a mean, and how they spread around it.
type Lifetime struct {
	kind string
	a, b float64 // seconds; of Pareto, b is the shape, of a lognormal sigma
}

// Fixed is one life for all.
func Fixed(d time.Duration) Lifetime { return Lifetime{kind: "fixed", a: d.Seconds()} }

const lifetimes = "a duration such as 200ms, exp:MEAN, uniform:FROM-TO, lognormal:MEDIAN,SIGMA or pareto:LEAST,SHAPE with SHAPE above 1"

// ParseLifetime reads a lifetime.
func ParseLifetime(s string) (Lifetime, error) {
	bad := fmt.Errorf("%q is no lifetime: want %s", cut(s), lifetimes)
	kind, rest, ok := strings.Cut(s, ":")
	if !ok {
		kind, rest = "fixed", s
	}
	first, second := rest, ""
	var two bool
	switch kind {
	case "uniform":
		first, second, two = strings.Cut(rest, "-")
	case "lognormal", "pareto":
		first, second, two = strings.Cut(rest, ",")
	case "fixed", "exp":
		two = true
	default:
		return Lifetime{}, bad
	}
	a, err := time.ParseDuration(first)
	if err != nil || a < 0 || !two {
		return Lifetime{}, bad
	}
	l := Lifetime{kind: kind, a: a.Seconds()}
	switch kind {
	case "uniform":
		b, err := time.ParseDuration(second)
		if err != nil || b < a {
			return Lifetime{}, bad
		}
		l.b = b.Seconds()
	case "lognormal", "pareto":
		l.b, err = strconv.ParseFloat(second, 64)
		if err != nil || !(l.b > 0 && l.b <= 100) || kind == "pareto" && l.b <= 1 || kind == "lognormal" && l.b > 5 {
			return Lifetime{}, bad
		}
	}
	return l, nil
}

// Mean is the mean life in seconds.
func (l Lifetime) Mean() float64 {
	switch l.kind {
	case "uniform":
		return (l.a + l.b) / 2
	case "lognormal":
		return l.a * math.Exp(l.b*l.b/2)
	case "pareto":
		return l.a * l.b / (l.b - 1)
	}
	return l.a
}

// fixed reports whether all lives are alike.
func (l Lifetime) fixed() bool {
	return l.kind == "fixed" || l.kind == "" || l.a == 0 && l.kind == "exp"
}

// draw gives one life in nanoseconds.
func (l Lifetime) draw(r *rand.Rand) int64 {
	s := l.a
	switch l.kind {
	case "exp":
		s *= r.ExpFloat64()
	case "uniform":
		s += (l.b - l.a) * r.Float64()
	case "lognormal":
		s *= math.Exp(l.b * r.NormFloat64())
	case "pareto":
		s /= math.Pow(1-r.Float64(), 1/l.b)
	}
	return int64(min(s, 4e9) * 1e9)
}

// ErrNoArrivals says that a load never brings a connect.
var ErrNoArrivals = errors.New("the load brings no connect at all: want a rate above 0")
