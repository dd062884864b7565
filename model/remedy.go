package model

import (
	"fmt"
	"math"
)

// Remedy is one change, and the rate that it makes possible.
type Remedy struct {
	Change  string  // the change to its end
	Ceiling float64 // connects a second after it; requests a second for keep-alive
	Hazard  string
	// Least is the smallest form of the change that meets the rate, "" when even
	// the whole change does not, or none is needed.
	Least        string
	LeastCeiling float64
}

// A widening makes the range larger.
type widening struct {
	most   int                    // ports
	change func(ports int) string // how to have so many
	hazard string
}

// A shortening makes TIME_WAIT shorter.
type shortening struct {
	least  float64 // seconds
	most   float64 // 0: as long as it is now
	round  float64 // the unit, in seconds
	change func(seconds float64) string
	hazard string
}

// within keeps a time in the bounds of what can be set, and shorter than it is now.
func (s *shortening) within(seconds, now float64) float64 {
	if s.most > 0 {
		now = min(now, s.most)
	}
	return max(s.least, min(seconds, now))
}

// levers are what can be changed of a pool.
type levers struct {
	widen   *widening
	shorten []shortening
	// share makes the pool one of each source and destination.
	share string
	// addSources is how to get one more source address.
	addSources string
}

const (
	shadowed    = "a server that starts later inside the range may find its port taken: reserve the ports of listeners first"
	keepAlive   = "keep the client's idle time-out below that of the server and of every NAT between"
	serverFirst = "the server then keeps TIME_WAIT"
)

// tried is a changed question with its words.
type tried struct {
	words string
	n     float64
	hold  float64
}

// remedies tries every lever, in the order in which one would rather change
// something: a setting before the addresses, the addresses before the program.
func (q *Question) remedies(w end, sustainable bool) (all []Remedy, smallest *Remedy) {
	r := q.connects()
	l := q.Pool.levers()
	met := false // by one of the changes before
	add := func(hazard string, most tried, least func() (tried, bool)) {
		rem := Remedy{Change: most.words, Hazard: hazard, Ceiling: Ceiling(most.n, most.hold)}
		if !sustainable && r*most.hold <= most.n {
			if t, ok := least(); ok {
				rem.Least, rem.LeastCeiling = t.words, Ceiling(t.n, t.hold)
				met = true
			}
		}
		all = append(all, rem)
	}
	lost := float64(0)
	if q.Pool.Range.First > 0 {
		lost = float64(q.Pool.Range.Len()) - q.Pool.Capacity.Low
	}
	pools := float64(w.pools)
	ports := func(n int) float64 { return (float64(n) - lost) * pools }
	if l.widen != nil && ports(l.widen.most) > w.n {
		add(l.widen.hazard, tried{l.widen.change(l.widen.most), ports(l.widen.most), w.hold}, func() (tried, bool) {
			n := min(int(math.Ceil(r*w.hold/pools)+lost), l.widen.most)
			return tried{l.widen.change(n), ports(n), w.hold}, true
		})
	}
	if q.Pool.waits(q.ServerCloses) {
		_, wait := q.Pool.cautious()
		for _, s := range l.shorten {
			if s.least >= wait {
				continue
			}
			add(s.hazard, tried{s.change(s.least), w.n, q.hold(s.least)}, func() (tried, bool) {
				longest := math.Floor((w.n/r-q.Lifetime)/s.round) * s.round
				longest = s.within(longest, wait)
				return tried{s.change(longest), w.n, q.hold(longest)}, r*q.hold(longest) <= w.n
			})
		}
		for _, s := range l.shorten[:min(1, len(l.shorten))] {
			if l.widen == nil || s.least >= wait || met {
				continue
			}
			n := ports(l.widen.most)
			both := func(wait float64) tried {
				return tried{l.widen.change(l.widen.most) + " and " + s.change(wait), n, q.hold(wait)}
			}
			add(l.widen.hazard+"; "+s.hazard, both(s.least), func() (tried, bool) {
				longest := math.Floor((n/r-q.Lifetime)/s.round) * s.round
				longest = s.within(longest, wait)
				return both(longest), r*q.hold(longest) <= n
			})
		}
	}
	if shared := float64(q.pools(PerTuple)); l.share != "" && shared > pools {
		t := tried{l.share, q.Pool.Capacity.Low * shared, w.hold}
		add("", t, func() (tried, bool) { return t, true })
	}
	q.addAddresses(l, w, add)
	q.addProgram(w, add)
	if !sustainable {
		smallest = least(all)
	}
	return all, smallest
}

// addAddresses tries more sources and more destinations.
func (q *Question) addAddresses(l levers, w end, add func(string, tried, func() (tried, bool))) {
	r := q.connects()
	if q.Pool.Scope == PerHost {
		return
	}
	one := w.n / float64(q.Sources)
	need := max(int(math.Ceil(r*w.hold/one)), q.Sources+1)
	words := func(n int) string { return fmt.Sprintf("%d %s", n, l.addSources) }
	if r*w.hold <= w.n || need > 4096 {
		add("routes and rules must know the addresses", tried{words(2 * q.Sources), one * float64(2*q.Sources), w.hold}, nothing)
	} else {
		add("routes and rules must know the addresses", tried{words(need), one * float64(need), w.hold}, func() (tried, bool) {
			return tried{words(need), one * float64(need), w.hold}, true
		})
	}
	if q.Pool.Scope == PerTuple {
		one := w.n / float64(q.Destinations)
		need := max(int(math.Ceil(r*w.hold/one)), 2*q.Destinations)
		t := tried{fmt.Sprintf("%d destinations (addresses, or listening ports of the server)", need), one * float64(need), w.hold}
		add("", t, func() (tried, bool) { return t, need <= 4096 })
	}
}

func nothing() (tried, bool) { return tried{}, false }

// addProgram tries what the program itself can do.
func (q *Question) addProgram(w end, add func(string, tried, func() (tried, bool))) {
	need := max(int(math.Ceil(q.Rate*w.hold/w.n)), 2*q.KeepAlive)
	// As if each request were a connect that holds less.
	t := tried{fmt.Sprintf("%d requests on each connection (keep-alive)", need), w.n * float64(need) / float64(q.KeepAlive), w.hold}
	add(keepAlive, t, func() (tried, bool) { return t, true })
	if !q.ServerCloses && !q.Pool.waits(true) {
		t := tried{"let the server close first", w.n, q.Lifetime}
		add(serverFirst, t, func() (tried, bool) { return t, true })
	}
}

// least picks the first remedy that meets the rate: a setting, two of them, more
// addresses, the program.
func least(all []Remedy) *Remedy {
	for i := range all {
		if all[i].Least != "" {
			return &all[i]
		}
	}
	return nil
}
