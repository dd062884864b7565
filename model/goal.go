package model

import "math"

// Needs are what would make a rate hold, each alone and all else as it is; 0 is what
// cannot.
type Needs struct {
	Ports        int     // of each pool
	Hold         float64 // seconds from connect to the port's release, at most
	Sources      int
	Destinations int
	KeepAlive    int // requests on each connection that lives as long as now
}

// Needs turns the question round, for the cautious end of what is uncertain.
func (a *Answer) Needs() Needs {
	q := &a.Question
	if a.Connects == 0 {
		return Needs{}
	}
	worst, _ := q.ends()
	held := a.Connects * worst.hold
	up := func(v float64) int { return int(math.Ceil(v - 1e-9)) }
	n := Needs{
		Ports:     up(held / float64(worst.pools)),
		Hold:      worst.n / a.Connects,
		KeepAlive: max(1, up(q.Rate*worst.hold/worst.n)),
	}
	if n.Ports > mostPorts {
		n.Ports = 0
	}
	if n.Hold <= q.Lifetime {
		n.Hold = 0 // the connections alone fill the pool
	}
	if q.Pool.Scope != PerHost {
		n.Sources = max(1, up(held/worst.n*float64(q.Sources)))
	}
	if q.Pool.Scope == PerTuple {
		n.Destinations = max(1, up(held/worst.n*float64(q.Destinations)))
	}
	return n
}

// mostPorts is what is left of 65,536 ports without those below 1024.
const mostPorts = 64512
