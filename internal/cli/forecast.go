package cli

import (
	"context"
	"math"
	"net/netip"
	"time"

	"github.com/portroom/portroom/forecast"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// forecastJSON is when a pool will be full.
type forecastJSON struct {
	Text     string   `json:"text"`
	Rate     float64  `json:"taken_per_second"`
	Ceiling  float64  `json:"ceiling_per_second"`
	Full     *float64 `json:"full_seconds"` // null for never
	Earliest *float64 `json:"full_seconds_earliest"`
	Latest   *float64 `json:"full_seconds_latest"`
	Rough    bool     `json:"rough"`
}

func jsonForecast(f forecast.Forecast) *forecastJSON {
	at := func(m forecast.Moment) *float64 {
		if m.Never {
			return nil
		}
		s := round1(m.In.Seconds())
		return &s
	}
	return &forecastJSON{f.String(), round1(f.Rate), round1(f.Ceiling), at(f.Full), at(f.Earliest), at(f.Latest), f.Rough}
}

// The shortest and longest time between two samples. In less, a connection or two
// decide; check is no program to run for an hour.
const (
	shortestSample = 100 * time.Millisecond
	longestSample  = time.Minute
)

// sampled says whether --sample goes with the rest.
func (f *checkFlags) sampled(t target.Target) error {
	switch {
	case f.sample == 0:
		return nil
	case f.events != "" || t.Kind != target.Local:
		return usagef("--sample measures this host twice; it does not go with --target or --events")
	case f.sample < shortestSample || f.sample > longestSample:
		return usagef("--sample %s: want %s to %s", f.sample, shortestSample, longestSample)
	}
	return nil
}

// A sampling is what the first of two measurements found.
type sampling struct {
	pools map[place]sampledPool
	begun map[uint64]time.Time // when a namespace was measured

	now map[pool.Key]*waiting // of the namespace that is being measured again
}

type sampledPool struct{ open, held int }

// waiting is what the TIME_WAIT entries of a pool tell.
type waiting struct {
	total, entered int
	leaving        []int
	unknown        bool
}

// sample measures for the first time and waits. It returns nil when there is to be no
// forecast.
func (a *app) sample(ctx context.Context, apart time.Duration) (*sampling, error) {
	if apart == 0 {
		return nil, nil
	}
	s := newSampling()
	start := time.Now()
	err := a.survey(ctx, survey.Options{Visit: func(v *survey.View) func(*socket.Socket) {
		s.begins(v)
		return func(*socket.Socket) {}
	}}, func(v *survey.View) error {
		for _, p := range v.Pools() {
			s.keep(v, &p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Until(start.Add(apart))):
	}
	return s, nil
}

func newSampling() *sampling {
	return &sampling{pools: make(map[place]sampledPool), begun: make(map[uint64]time.Time)}
}

// begins notes that a namespace is being measured.
func (s *sampling) begins(v *survey.View) { s.begun[v.Namespace.ID] = time.Now() }

// keep notes what a pool was found to be.
func (s *sampling) keep(v *survey.View, p *pool.Pool) {
	s.pools[place{v.Namespace.ID, p.Key}] = sampledPool{openPorts(p), p.Held - p.Reusable}
}

// openPorts is how many ports of a pool are held by something else than TIME_WAIT.
func openPorts(p *pool.Pool) int { return max(0, p.Held-p.States[socket.TimeWait]) }

// visit returns what looks at the TIME_WAIT entries of the second measurement.
func (s *sampling) visit() func(*survey.View) func(*socket.Socket) {
	if s == nil {
		return nil
	}
	return func(v *survey.View) func(*socket.Socket) {
		s.now = make(map[pool.Key]*waiting)
		begun, known := s.begun[v.Namespace.ID]
		window := time.Since(begun)
		var last pool.Key
		var at *waiting
		return func(sk *socket.Socket) {
			if !known || sk.Proto != socket.TCP || sk.State != socket.TimeWait || !v.InRange(sk.SrcPort) {
				return
			}
			if k := keyOf(sk); at == nil || k != last {
				last = k
				if at = s.now[k]; at == nil {
					at = &waiting{leaving: make([]int, int(linuxTimeWait/time.Second))}
					s.now[k] = at
				}
			}
			at.add(sk.Remaining, window)
		}
	}
}

// linuxTimeWait is TCP_TIMEWAIT_LEN (include/net/tcp.h).
const linuxTimeWait = 60 * time.Second

func (w *waiting) add(remaining, window time.Duration) {
	w.total++
	if remaining <= 0 {
		w.unknown = true // the BPF iterators do not say it
		return
	}
	if linuxTimeWait-remaining < window {
		w.entered++
	}
	w.leaving[min(int(remaining/time.Second), len(w.leaving)-1)]++
}

func keyOf(s *socket.Socket) pool.Key {
	return poolKey(s.Src.Netip(), netip.AddrPortFrom(s.Dst.Netip(), s.DstPort), s.Ifindex)
}

// forecast says of the tightest pools when they will be full, for as many as the
// screen has.
func (s *sampling) forecast(r *report, v *survey.View) {
	if s == nil {
		return
	}
	begun, ok := s.begun[v.Namespace.ID]
	if !ok {
		return // it was not there the first time
	}
	told := false
	for i := range r.top {
		p := &r.top[i].pool
		if p.Key.Proto != socket.TCP || p.CeilingPerSecond <= 0 {
			continue
		}
		f, ok := forecast.Of(s.seen(p, v, begun))
		if !ok {
			continue
		}
		if i < len(r.json.Pools) {
			r.json.Pools[i].Forecast = jsonForecast(f)
		}
		// The tightest in any case; of the others those that will be full soon.
		if !told || !f.Full.Never && f.Full.In < time.Hour {
			r.add(note{"forecast", poolName(p.Key) + ": " + f.String()})
		}
		told = true
	}
}

// seen puts together what was seen of a pool between the two measurements.
func (s *sampling) seen(p *pool.Pool, v *survey.View, begun time.Time) forecast.Seen {
	before := s.pools[place{v.Namespace.ID, p.Key}]
	held, open := p.Held-p.Reusable, openPorts(p)
	seen := forecast.Seen{
		Capacity: p.Capacity, Held: held, Open: open, Window: time.Since(begun),
		TimeWait: time.Duration(math.Round(float64(p.Capacity) / p.CeilingPerSecond * float64(time.Second))),
	}
	w := s.now[p.Key]
	if w == nil {
		w = &waiting{}
	}
	if seen.TimeWait != linuxTimeWait || w.unknown || v.Settings == nil {
		// Of ports that come back within the window, or at times unknown, only how
		// many more there are tells anything: as if those never came back.
		seen.Taken, seen.Open, seen.Leaving = max(0, held-before.held), held, []int{}
		return seen
	}
	seen.Closed = w.entered
	seen.Taken = max(0, w.entered+open-before.open)
	seen.Leaving = w.leaving
	if seen.Leaving == nil {
		seen.Leaving = []int{}
	}
	return seen
}
