package model

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Run is what [Simulate] plays. Rates count connects.
type Run struct {
	Pool         Pool // its cautious end is played
	Arrivals     Arrivals
	Lifetime     Lifetime
	ServerCloses bool
	Sources      int
	Destinations int // connects go to each of the pools in turn
	Duration     time.Duration
	Seed         uint64
	// Phase is how many ticks the kernel had counted when the run began, for a pool
	// with HZ. It moves the releases by less than one granularity.
	Phase int64
	// Clock is what the kernel's clock showed when the run began, for a pool with one.
	Clock    time.Duration
	Samples  int                // how many points the series has; 0 none
	Progress func(done float64) // called now and then, may be nil
}

// A Sample is what one stretch of the run saw, and how it stood at its end.
type Sample struct {
	At       float64 // seconds, the end of the stretch
	Held     int     // ports held, TIME_WAIT included
	TimeWait int
	Granted  int
	Refused  int
	Looked   int64 // ports that the searches of this stretch looked at
}

// Cost is the mean of what searches cost.
type Cost struct {
	Searches int
	Looked   int64 // ports
}

// Mean is in ports looked at; NaN without a search.
func (c Cost) Mean() float64 { return float64(c.Looked) / float64(c.Searches) }

// Result is how a run went.
type Result struct {
	Granted, Refused int
	FirstFailure     float64 // seconds; [Never]
	LastArrival      float64
	Duration         float64 // seconds
	PeakHeld         int
	Pools            int
	Capacity         int // of all pools
	Overflow         int // closed at once because tcp_max_tw_buckets was reached
	// BeforeKnee and AfterKnee are searches that found a port, in a pool with at most
	// half of its capacity held, and with more.
	BeforeKnee, AfterKnee Cost
	Failed                Cost // searches that found none
	// LongSearch is how many ports the pool held when a search first looked at a
	// quarter of the capacity and found one; 0 for never.
	LongSearch int
	Samples    []Sample
}

// GrantedPerSecond is the mean over the whole run.
func (r *Result) GrantedPerSecond() float64 { return float64(r.Granted) / r.Duration }

// maxPools bounds the memory of a run: a pool of 64,512 ports takes 8 KiB, 264 KiB
// where TIME_WAIT can be taken over.
const maxPools = 4096

// sim is a run under way.
type sim struct {
	run    *Run
	rng    *rand.Rand
	pools  []*Ports
	held   []int // of each pool: not free
	marks  [][]uint32
	wait   int64 // nanoseconds
	entry  int64
	timers *wheel // nil: on time
	clock  int64  // the unit in which connect() sees ages, in nanoseconds; 0 none
	fixed  int64  // the life of all, or -1
	closes ring
	varied heap
	frees  ring
	fades  ring // entries that nobody took over, at the end of their TIME_WAIT
	tw     int  // entries in TIME_WAIT
	reuse  int  // of them: ports that may be taken over
	taken  int  // ports that are not free, all pools
	res    Result
	last   Sample // what was counted up to the last sample
	looked int64
}

// Simulate plays a run. The same seed gives the same result, and the same arrivals
// to every system. When ctx is done it ends early, with ctx's error and the result so
// far.
func Simulate(ctx context.Context, run Run) (*Result, error) {
	s, err := newSim(&run)
	if err != nil {
		return nil, err
	}
	arrivals := rand.New(rand.NewPCG(run.Seed, 0x6172726976616c73))
	end := int64(run.Duration)
	step, next := far, far // no samples
	if run.Samples > 0 {
		step = max(1, end/int64(run.Samples))
		next = step
	}
	for i := 0; ; i++ {
		if i&0xffff == 0 {
			if err := ctx.Err(); err != nil {
				s.res.Duration = s.res.LastArrival
				return &s.res, err
			}
			if run.Progress != nil {
				run.Progress(s.res.LastArrival / run.Duration.Seconds())
			}
		}
		at, ok := run.Arrivals(arrivals)
		now := min(int64(at), end)
		if !ok || int64(at) >= end {
			now = end
			ok = false
		}
		for next <= now && next <= end {
			s.settle(next)
			s.sample(next)
			next += step
		}
		if !ok {
			break
		}
		s.settle(now)
		s.arrive(now, i%len(s.pools))
	}
	if s.res.Granted+s.res.Refused == 0 {
		return nil, ErrNoArrivals
	}
	return &s.res, nil
}

// Check says in one sentence what of a run cannot be.
func (run *Run) Check() error {
	pools := run.Pool.Scope.Pools(run.Sources, run.Destinations)
	if run.Sources < 1 || run.Destinations < 1 || pools > maxPools {
		return fmt.Errorf("%d sources and %d destinations make %d pools: want 1 to %d", run.Sources, run.Destinations, pools, maxPools)
	}
	if run.Duration <= 0 {
		return fmt.Errorf("a run of %s: want a duration above 0", run.Duration)
	}
	return nil
}

func newSim(run *Run) (*sim, error) {
	if err := run.Check(); err != nil {
		return nil, err
	}
	pools := run.Pool.Scope.Pools(run.Sources, run.Destinations)
	s := &sim{run: run, rng: rand.New(rand.NewPCG(run.Seed, 0x706f7274726f6f6d)), fixed: -1}
	h := &hints{make([]uint32, max(1, run.Pool.Hints))}
	for range pools {
		s.pools = append(s.pools, newPorts(&run.Pool, s.rng, h))
	}
	s.held = make([]int, pools)
	_, wait := run.Pool.cautious()
	if run.Pool.HZ > 0 {
		s.timers = &wheel{int64(run.Pool.HZ), run.Phase}
		if run.Pool.Entry == 0 {
			wait = run.Pool.Wait.Low // and the wheel makes it late
		}
	}
	if run.Pool.Clock > 0 {
		s.clock = int64(math.Round(run.Pool.Clock * 1e9))
		wait = run.Pool.Wait.Low // and more than that by the clock
	}
	s.wait = int64(math.Round(wait * 1e9))
	if e := int64(math.Round(run.Pool.Entry * 1e9)); e > s.wait {
		s.entry = e
		s.marks = make([][]uint32, pools)
		for i, p := range s.pools {
			s.marks[i] = make([]uint32, p.n)
		}
	}
	if run.Lifetime.fixed() {
		s.fixed = run.Lifetime.draw(s.rng)
	}
	s.res = Result{FirstFailure: Never, Duration: run.Duration.Seconds(), Pools: pools, Capacity: pools * int(run.Pool.Capacity.Low)}
	return s, nil
}

// arrive is one connect.
func (s *sim) arrive(now int64, pool int) {
	s.res.LastArrival = float64(now) / 1e9
	i, looked, ok := s.pools[pool].Take()
	s.looked += int64(looked)
	if !ok {
		s.res.Refused++
		s.res.Failed.Searches++
		s.res.Failed.Looked += int64(looked)
		if s.res.FirstFailure == Never {
			s.res.FirstFailure = float64(now) / 1e9
		}
		return
	}
	s.res.Granted++
	capacity := int(s.run.Pool.Capacity.Low)
	cost := &s.res.BeforeKnee
	if 2*s.held[pool] >= capacity {
		cost = &s.res.AfterKnee
	}
	cost.Searches++
	cost.Looked += int64(looked)
	if 4*looked >= capacity && s.res.LongSearch == 0 && capacity > 4 {
		s.res.LongSearch = s.held[pool]
	}
	s.held[pool]++
	s.taken++
	e := event{at: now, pool: int32(pool), slot: int32(i)}
	if s.marks != nil {
		if m := &s.marks[pool][i]; *m&1 != 0 { // an entry is there, and is taken over
			*m++
			s.tw--
			s.reuse--
		}
		e.mark = s.marks[pool][i]
	}
	s.res.PeakHeld = max(s.res.PeakHeld, s.taken+s.reuse)
	switch {
	case s.fixed == 0:
		s.closed(e)
	case s.fixed > 0:
		e.at += s.fixed
		s.closes.push(e)
	default:
		e.at += s.run.Lifetime.draw(s.rng)
		s.varied.push(e)
	}
}

// closed is one connection that ends.
func (s *sim) closed(e event) {
	most := s.run.Pool.MaxWait
	waits := (s.wait > 0 || s.clock > 0) && s.run.Pool.waits(s.run.ServerCloses)
	if !waits || most > 0 && s.tw >= most {
		if waits {
			s.res.Overflow++
		}
		s.free(e)
		return
	}
	s.tw++
	if s.marks != nil { // then connect() may take it over: no timer is in that
		e.at = s.old(e.at)
	} else {
		e.at = s.late(e.at, s.wait)
	}
	s.frees.push(e)
}

// old is when an entry made now is old enough to be taken over.
func (s *sim) old(now int64) int64 {
	if s.clock == 0 {
		return now + s.wait
	}
	begun := int64(s.run.Clock)
	return ((begun+now)/s.clock+1)*s.clock + s.wait - begun
}

// late is when a timer fires that is to fire after wait.
func (s *sim) late(now, wait int64) int64 {
	if s.timers == nil {
		return now + wait
	}
	return s.timers.fires(now, wait)
}

// free gives a port back.
func (s *sim) free(e event) {
	s.pools[e.pool].Release(int(e.slot))
	s.held[e.pool]--
	s.taken--
}

// settle lets everything happen that is due by now.
func (s *sim) settle(now int64) {
	for {
		c, v, f, d := s.closes.first(), s.varied.first(), s.frees.first(), s.fades.first()
		t := min(c, v, f, d)
		switch {
		case t > now:
			return
		case t == f:
			e := s.frees.pop()
			s.free(e)
			if s.marks == nil {
				s.tw--
				continue
			}
			// The port may be taken; its entry stays until then, or fades.
			m := &s.marks[e.pool][e.slot]
			*m++
			s.reuse++
			e.mark = *m
			e.at = s.late(e.at-s.wait, s.entry)
			s.fades.push(e)
		case t == d:
			e := s.fades.pop()
			if m := &s.marks[e.pool][e.slot]; *m == e.mark {
				*m++
				s.tw--
				s.reuse--
			}
		case t == c:
			s.closed(s.closes.pop())
		default:
			s.closed(s.varied.pop())
		}
	}
}

// sample writes down how it stands.
func (s *sim) sample(at int64) {
	n := Sample{At: float64(at) / 1e9, Held: s.taken + s.reuse, TimeWait: s.tw,
		Granted: s.res.Granted - s.last.Granted, Refused: s.res.Refused - s.last.Refused, Looked: s.looked - s.last.Looked}
	s.last.Granted, s.last.Refused, s.last.Looked = s.res.Granted, s.res.Refused, s.looked
	s.res.Samples = append(s.res.Samples, n)
}

// Searches is how many searches the stretch had.
func (s Sample) Searches() int { return s.Granted + s.Refused }

// Cost is the mean cost of a search in the stretch, in ports; NaN without one.
func (s Sample) Cost() float64 {
	if s.Searches() == 0 {
		return math.NaN()
	}
	return float64(s.Looked) / float64(s.Searches())
}
