// Package flight runs a flight recorder: it has the host measured again and again,
// appends what was measured to a record, keeps within a share of a processor, and goes
// on when measuring or writing fails for a while.
package flight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/portroom/portroom/internal/pace"
	"github.com/portroom/portroom/record"
)

// A Loop measures and appends until its context ends.
type Loop struct {
	Interval time.Duration // between samples
	// MaxCPU is the share of one processor that all of it may take, 0 for no limit.
	// Where a sample is dearer than that allows, samples become rarer.
	MaxCPU float64

	// Measure returns a sample. Its Time, Took and Interval are filled in by the loop.
	// thorough asks for what is dear and changes less: who holds the ports, and what is
	// wrong.
	Measure func(ctx context.Context, thorough bool) (*record.Sample, error)
	Append  func(*record.Sample) error
	CPU     func() time.Duration // processor time of this process so far
	Log     func(text string)    // for whoever reads the journal

	// Alive, if set, is called at least every AliveEvery while the loop runs.
	Alive      func()
	AliveEvery time.Duration

	Now   func() time.Time                           // by default time.Now
	Sleep func(ctx context.Context, d time.Duration) // until then or until ctx ends

	pace    pace.Pace
	news    news
	planned time.Duration  // until the next sample
	used    time.Duration  // processor time at the end of the last one
	events  []record.Event // for the next sample
	fault   fault
	kept    []record.Refusal // of samples that could not be written
	mood    mood
	urgent  bool // the next sample is thorough: something has just become worse
}

// ThoroughEvery is how often a sample is thorough at most.
const ThoroughEvery = 10 * time.Second

// mostKept is how many refusals are kept for later while nothing can be written.
const mostKept = 10_000

// Run measures until ctx ends, which is no error. It fails only when the very first
// sample can be neither measured nor written: then something is wrong with how it was
// started.
func (l *Loop) Run(ctx context.Context) error {
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Sleep == nil {
		l.Sleep = sleep
	}
	l.pace = pace.Pace{Interval: l.Interval, Share: l.MaxCPU, Every: ThoroughEvery}
	l.planned = l.Interval
	started := false
	for ctx.Err() == nil {
		begun := l.Now()
		err := l.sample(ctx, begun)
		switch {
		case ctx.Err() != nil && err != nil:
			continue
		case err != nil && !started:
			return err
		case err != nil:
			if l.fault.begins(err, begun) {
				l.Log(err.Error() + "; trying again with each sample")
			}
		default:
			if text := l.fault.ends(begun); text != "" {
				l.Log(text)
			}
			started = true
		}
		l.alive()
		l.planned = l.pace.Next()
		l.wait(ctx, begun.Add(l.planned))
	}
	if !started {
		return nil
	}
	// What happened since the last sample belongs to the record as well.
	l.events = append(l.events, record.Event{Kind: record.EventStop, Text: "the recorder was stopped"})
	return l.sample(context.WithoutCancel(ctx), l.Now())
}

// sample measures once and appends.
func (l *Loop) sample(ctx context.Context, begun time.Time) error {
	before := l.used // what the process took beside the samples counts as well
	if before == 0 {
		before = l.CPU()
	}
	defer func() { l.used = l.CPU() }()
	thorough := l.pace.Thorough(begun) || l.urgent
	s, err := l.Measure(ctx, thorough)
	if err != nil {
		l.pace.Took(l.CPU()-before, thorough, begun)
		l.fault.kind = record.EventFailed
		return err
	}
	s.Time, s.Interval = begun, l.planned
	s.Took = l.CPU() - before
	l.urgent = !thorough && l.mood.worsens(s)
	if thorough {
		l.mood.worsens(s)
	}
	s.Refusals = append(l.kept, s.Refusals...)
	s.Events = append(append(l.events, l.fault.events(begun)...), s.Events...)
	err = l.Append(s)
	took := l.CPU() - before
	l.pace.Took(took, thorough, begun)
	if err != nil {
		l.fault.kind = record.EventFull
		// What was refused is known once only.
		l.kept = s.Refusals[:min(len(s.Refusals), mostKept)]
		return err
	}
	l.kept, l.events = nil, nil
	if text := l.news.of(l.pace.Next(), l.Interval, took, l.MaxCPU); text != "" {
		l.Log(text)
		l.events = append(l.events, record.Event{Kind: record.EventInterval, Text: text})
	}
	return nil
}

// mood is how bad the last sample was. When a sample is worse, it is worth a look who
// it is that holds the ports, at once.
type mood struct {
	status  map[uint64]string
	refused bool
}

// worsens notes a sample and reports whether it is worse than the one before.
func (m *mood) worsens(s *record.Sample) (worse bool) {
	status := make(map[uint64]string)
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		status[n.ID] = n.Status
		worse = worse || gravity(n.Status) > gravity(m.status[n.ID])
	}
	refused := len(s.Refusals) > 0
	worse = worse || refused && !m.refused
	m.status, m.refused = status, refused
	return worse
}

func gravity(status string) int { return slices.Index([]string{"warning", "critical"}, status) }

// wait sleeps until a time, and says meanwhile that all is well.
func (l *Loop) wait(ctx context.Context, until time.Time) {
	for ctx.Err() == nil {
		left := until.Sub(l.Now())
		if left <= 0 {
			return
		}
		if left > 2*l.planned { // the clock was set back
			left = l.planned
			until = l.Now().Add(left)
		}
		if l.AliveEvery > 0 {
			left = min(left, l.AliveEvery)
		}
		l.Sleep(ctx, left)
		l.alive()
	}
}

func (l *Loop) alive() {
	if l.Alive != nil {
		l.Alive()
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// fault is a time in which samples fail.
type fault struct {
	since  time.Time // zero: all is well
	failed int
	text   string
	kind   string
}

// begins notes a failure and reports whether it is news.
func (f *fault) begins(err error, at time.Time) bool {
	text := err.Error()
	news := f.since.IsZero() || text != f.text
	if f.since.IsZero() {
		f.since = at
	}
	f.failed++
	f.text = text
	return news
}

// events are for the sample that is about to end the fault.
func (f *fault) events(at time.Time) []record.Event {
	if f.since.IsZero() {
		return nil
	}
	return []record.Event{{Kind: f.kind, Text: f.lost(at) + ": " + f.text}}
}

func (f *fault) lost(at time.Time) string {
	n := "1 sample was lost"
	if f.failed != 1 {
		n = fmt.Sprintf("%d samples were lost", f.failed)
	}
	return fmt.Sprintf("%s since %s", n, f.since.Format(time.RFC3339))
}

// ends notes that a sample succeeded, and says of a fault that it is over.
func (f *fault) ends(at time.Time) (text string) {
	if !f.since.IsZero() {
		text = "recording again: " + f.lost(at)
	}
	*f = fault{}
	return text
}

// ErrNothing is what Measure returns when there was nothing to measure.
var ErrNothing = errors.New("there was no namespace to measure")
