// Package forecast says when a pool of source ports will be full at the present rate
// of new connections, or that it never will.
//
// It is pure arithmetic on what was seen during a short time: how many ports were
// taken, how many connections are open, when the TIME_WAIT entries that are there
// will go. The rate is taken to stay what it is. A connection holds its port while it
// lives and then through TIME_WAIT, so ports that are taken now come back that much
// later; whether they come back in time decides between a moment and never.
package forecast

import (
	"math"
	"time"
)

// Seen is what was seen of a pool.
type Seen struct {
	Capacity int // ports of the pool when it is empty
	Held     int // of them taken now and not reusable, TIME_WAIT included
	Open     int // of Held: not in TIME_WAIT

	Window time.Duration // how long was looked
	Taken  int           // ports that were taken in that time and are still held
	Closed int           // connections that went over to TIME_WAIT in that time

	// TimeWait is how long a closed connection holds its port: 60 s on Linux, less
	// where tcp_tw_reuse lets connect() take it over.
	TimeWait time.Duration
	// Leaving says when the TIME_WAIT entries that are there will go: Leaving[i] of
	// them between i and i+1 seconds from now. Nil when that is not known; they are
	// then taken to go evenly over TimeWait.
	Leaving []int
}

// A Forecast is the answer. The bounds are those of the rate, with 90 % confidence,
// for arrivals that are independent of each other.
type Forecast struct {
	Rate    float64 // ports taken a second
	Ceiling float64 // the highest rate that the pool sustains, with connections as long as these
	Rough   bool    // too little was seen for the bounds to mean much

	Full     Moment // at Rate
	Earliest Moment // at the upper bound of the rate
	Latest   Moment // at the lower bound
}

// A Moment is when a pool is full, from now, or never.
type Moment struct {
	In    time.Duration
	Never bool
}

// confidence is the quantile of the normal distribution that leaves 5 % on each
// side.
const confidence = 1.645

// enough is how many arrivals make an estimate: fewer give bounds wider than half of
// it on either side.
const enough = 12

// Of makes a forecast. ok is false when too little is known to make any: nothing was
// looked at, or the pool has no capacity.
func Of(s Seen) (f Forecast, ok bool) {
	if s.Window <= 0 || s.Capacity <= 0 || s.TimeWait <= 0 {
		return f, false
	}
	window := s.Window.Seconds()
	taken := float64(max(s.Taken, 0))
	f.Rate = taken / window
	f.Rough = s.Taken < enough
	p := flow{
		capacity: float64(s.Capacity), held: float64(s.Held), open: float64(min(s.Open, s.Held)),
		closing: float64(max(s.Closed, 0)) / window, wait: s.TimeWait.Seconds(), leaving: s.Leaving,
	}
	f.Ceiling = p.ceiling()
	// The number of arrivals of a Poisson process is known to its square root; that
	// of a clocked one to the one that falls on the edge.
	slack := (confidence*math.Sqrt(taken) + 1) / window
	f.Full = p.full(f.Rate)
	f.Earliest = p.full(f.Rate + slack)
	f.Latest = p.full(max(f.Rate-slack, 0))
	if s.Taken <= 0 && s.Held < s.Capacity {
		// Nobody connects. One that might have come is no forecast.
		f.Full, f.Earliest, f.Latest = Moment{Never: true}, Moment{Never: true}, Moment{Never: true}
	}
	return f, true
}

// flow is a pool whose ports come and go.
type flow struct {
	capacity, held, open float64
	closing              float64 // connections closed a second
	wait                 float64 // s of TIME_WAIT
	leaving              []int
}

// life is how long a connection lives, in s: by Little's law from how many there are
// and how many end. Infinite when none ends.
func (p *flow) life() float64 {
	switch {
	case p.open <= 0:
		return 0
	case p.closing <= 0:
		return math.Inf(1)
	}
	return p.open / p.closing
}

// ceiling is the rate at which as many ports come back as are taken.
func (p *flow) ceiling() float64 {
	life := p.life()
	if math.IsInf(life, 1) {
		return 0
	}
	return p.capacity / (life + p.wait)
}

// full finds when the pool is full if ports are taken at this rate. What is held
// changes evenly between the moments at which something begins or ends, so the
// first crossing is found exactly.
func (p *flow) full(rate float64) Moment {
	if p.held >= p.capacity {
		return Moment{}
	}
	at, held := 0.0, p.held
	for _, next := range p.moments() {
		then := p.at(next, rate)
		if then >= p.capacity {
			share := (p.capacity - held) / (then - held)
			return moment(at + share*(next-at))
		}
		at, held = next, then
	}
	// From the last moment on everything goes evenly.
	slope := p.at(at+1, rate) - held
	if slope <= 1e-9 {
		return Moment{Never: true}
	}
	return moment(at + (p.capacity-held)/slope)
}

// horizon is beyond which a forecast is none.
const horizon = 365 * 24 * time.Hour

func moment(s float64) Moment {
	if s > horizon.Seconds() {
		return Moment{Never: true}
	}
	return Moment{In: time.Duration(s * float64(time.Second))}
}

// moments are when the course changes, in order: each second of the TIME_WAIT that
// are there, the first return of an open connection's port, the last one, and the
// first return of a port yet to be taken, which comes with it.
func (p *flow) moments() []float64 {
	var list []float64
	seconds := len(p.leaving)
	if p.leaving == nil {
		seconds = int(math.Ceil(p.wait))
	}
	for i := range seconds {
		list = append(list, float64(i+1))
	}
	for _, m := range []float64{p.wait, p.wait + p.life()} {
		if math.IsInf(m, 1) {
			continue
		}
		at := len(list)
		for at > 0 && list[at-1] > m {
			at--
		}
		list = append(list[:at], append([]float64{m}, list[at:]...)...)
	}
	return list
}

// at is how many ports are held after t seconds.
func (p *flow) at(t, rate float64) float64 {
	held := p.held + rate*t - p.left(t)
	life := p.life()
	if p.closing > 0 && t > p.wait {
		held -= p.closing * min(t-p.wait, life) // the connections that are open now
	}
	if back := t - p.wait - life; back > 0 {
		held -= rate * back // those that are not yet
	}
	return held
}

// left is how many of the present TIME_WAIT have gone after t seconds.
func (p *flow) left(t float64) float64 {
	if p.leaving == nil {
		return (p.held - p.open) * min(t/p.wait, 1)
	}
	n := 0.0
	for i, k := range p.leaving {
		n += float64(k) * max(0, min(t-float64(i), 1))
	}
	return n
}
