package flight

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/record"
)

// A world has a clock that only sleeping and measuring move.
type world struct {
	now, cpu time.Time
	plain    time.Duration // what a sample takes
	thorough time.Duration // what a thorough one takes more

	measured []bool // whether each was thorough
	times    []time.Duration
	appended []*record.Sample
	log      []string
	alive    []time.Duration

	measureErr, appendErr func(n int) error
	change                func(n int, s *record.Sample)
	end                   func()
}

var start = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// fly runs a loop over so much time.
func (w *world) fly(t *testing.T, span time.Duration, l Loop) error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.now, w.cpu, w.end = start, start, cancel
	l.Now = func() time.Time { return w.now }
	l.CPU = func() time.Duration { return w.cpu.Sub(start) }
	l.Log = func(text string) { w.log = append(w.log, text) }
	until := start.Add(span)
	l.Sleep = func(_ context.Context, d time.Duration) {
		if w.now = w.now.Add(d); !w.now.Before(until) {
			cancel()
		}
	}
	l.Measure = func(ctx context.Context, thorough bool) (*record.Sample, error) {
		n := len(w.measured)
		w.measured = append(w.measured, thorough)
		w.times = append(w.times, w.now.Sub(start))
		took := w.plain
		if thorough {
			took += w.thorough
		}
		w.now, w.cpu = w.now.Add(took), w.cpu.Add(took)
		if w.measureErr != nil {
			if err := w.measureErr(n); err != nil {
				return nil, err
			}
		}
		s := &record.Sample{Namespaces: []record.Namespace{{ID: 1, Status: "ok"}}}
		if w.change != nil {
			w.change(n, s)
		}
		return s, nil
	}
	l.Append = func(s *record.Sample) error {
		if w.appendErr != nil {
			if err := w.appendErr(len(w.measured) - 1); err != nil {
				return err
			}
		}
		w.appended = append(w.appended, s)
		return nil
	}
	l.Alive = func() { w.alive = append(w.alive, w.now.Sub(start)) }
	return l.Run(ctx)
}

func TestSamplesComeAtTheirInterval(t *testing.T) {
	w := world{plain: time.Millisecond, thorough: 4 * time.Millisecond}
	if err := w.fly(t, time.Minute, Loop{Interval: time.Second, MaxCPU: 0.01}); err != nil {
		t.Fatal(err)
	}
	if len(w.appended) != 61 { // one more at the end
		t.Fatalf("%d samples in a minute", len(w.appended))
	}
	for i, at := range w.times[:60] {
		if at != time.Duration(i)*time.Second {
			t.Fatalf("sample %d at %v", i, at)
		}
		if w.measured[i] != (i%10 == 0) {
			t.Errorf("sample %d: thorough %v", i, w.measured[i])
		}
	}
	last := w.appended[60]
	if len(last.Events) != 1 || last.Events[0].Kind != record.EventStop {
		t.Errorf("the last sample has the events %v", last.Events)
	}
	if len(w.log) != 0 {
		t.Errorf("log: %v", w.log)
	}
}

// However dear a sample is, all of it remains within the share.
func TestTheShareOfAProcessorIsKept(t *testing.T) {
	for _, c := range []struct{ plain, thorough time.Duration }{
		{5 * time.Millisecond, 10 * time.Millisecond},
		{45 * time.Millisecond, 150 * time.Millisecond},
		{400 * time.Millisecond, 2 * time.Second},
		{time.Millisecond, 900 * time.Millisecond},
	} {
		w := world{plain: c.plain, thorough: c.thorough}
		const span = time.Hour
		if err := w.fly(t, span, Loop{Interval: time.Second, MaxCPU: 0.01}); err != nil {
			t.Fatal(err)
		}
		// The first sample is thorough before anything is known.
		used := w.cpu.Sub(start) - c.plain - c.thorough
		if share := used.Seconds() / span.Seconds(); share > 0.0105 {
			t.Errorf("%v and %v: %.2f%% of a processor", c.plain, c.thorough, share*100)
		}
		n := 0
		for _, thorough := range w.measured {
			if thorough {
				n++
			}
		}
		if n < 3 || len(w.measured) < 50 {
			t.Errorf("%v and %v: only %d samples, %d thorough", c.plain, c.thorough, len(w.measured), n)
		}
		t.Logf("%v and %v: %d samples, %d thorough, %v", c.plain, c.thorough, len(w.measured), n, w.log)
	}
}

func TestThatSamplesBecameRarerIsSaid(t *testing.T) {
	w := world{plain: 70 * time.Millisecond}
	if err := w.fly(t, 5*time.Minute, Loop{Interval: time.Second, MaxCPU: 0.01}); err != nil {
		t.Fatal(err)
	}
	want := []string{"a sample every 12.7s instead of 1s: each takes 70ms of processor time, and 1% of one processor is what the recorder may take"}
	if d := cmp.Diff(want, w.log); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	told := 0
	for _, s := range w.appended {
		for _, e := range s.Events {
			if e.Kind == record.EventInterval && e.Text == want[0] {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("the record says it %d times", told)
	}
	if i := w.appended[5].Interval; i.Round(100*time.Millisecond) != 12700*time.Millisecond {
		t.Errorf("the interval of a sample is %v", i)
	}
}

func TestAFullDiskIsToldOnceAndTheRecordingGoesOn(t *testing.T) {
	full := errors.New("record into x: there is no room on the disk")
	w := world{
		plain:     time.Millisecond,
		appendErr: func(n int) error { return map[bool]error{true: full}[n >= 3 && n < 8] },
		change: func(n int, s *record.Sample) {
			s.Refusals = []record.Refusal{{Count: 1 + n}}
		},
	}
	if err := w.fly(t, 20*time.Second, Loop{Interval: time.Second}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"record into x: there is no room on the disk; trying again with each sample",
		"recording again: 5 samples were lost since 2026-11-23T03:00:03Z",
	}
	if d := cmp.Diff(want, w.log); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	// What was refused meanwhile is not lost.
	refused := 0
	for _, s := range w.appended {
		for _, r := range s.Refusals {
			refused += r.Count
		}
	}
	if want := 21 * 22 / 2; refused != want {
		t.Errorf("%d refused in the record, want %d", refused, want)
	}
	if e := w.appended[3].Events; len(e) != 1 || e[0].Kind != record.EventFull || !strings.Contains(e[0].Text, "5 samples were lost") {
		t.Errorf("events %v", e)
	}
}

func TestAMeasurementThatFailsIsTriedAgain(t *testing.T) {
	w := world{measureErr: func(n int) error {
		if n == 4 || n == 5 {
			return fmt.Errorf("dump: interrupted")
		}
		return nil
	}}
	if err := w.fly(t, 10*time.Second, Loop{Interval: time.Second}); err != nil {
		t.Fatal(err)
	}
	if len(w.appended) != 9 || len(w.log) != 2 {
		t.Errorf("%d samples, log %v", len(w.appended), w.log)
	}
}

func TestWhatNeverWorkedEndsTheRecorder(t *testing.T) {
	w := world{measureErr: func(int) error { return errors.New("no reader for this system") }}
	if err := w.fly(t, time.Minute, Loop{Interval: time.Second}); err == nil || len(w.measured) != 1 {
		t.Errorf("%v after %d tries", err, len(w.measured))
	}
}

// When it becomes worse it is looked at once who holds the ports.
func TestWhatBecomesWorseIsLookedAtThoroughly(t *testing.T) {
	w := world{plain: time.Millisecond, change: func(n int, s *record.Sample) {
		if n >= 12 && n < 16 || n >= 34 {
			s.Namespaces[0].Status = "critical"
		}
		if n >= 26 {
			s.Refusals = []record.Refusal{{Count: 1}}
		}
	}}
	if err := w.fly(t, 40*time.Second, Loop{Interval: time.Second}); err != nil {
		t.Fatal(err)
	}
	var thorough []int
	for i, is := range w.measured[:40] {
		if is {
			thorough = append(thorough, i)
		}
	}
	if d := cmp.Diff([]int{0, 10, 13, 23, 27, 35}, thorough); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTheWatchdogIsFedWhileSamplesAreRare(t *testing.T) {
	w := world{plain: time.Second}
	if err := w.fly(t, 30*time.Minute, Loop{Interval: time.Second, MaxCPU: 0.01, AliveEvery: 15 * time.Second}); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(w.alive); i++ {
		if gap := w.alive[i] - w.alive[i-1]; gap > 17*time.Second {
			t.Fatalf("nothing was said for %v", gap)
		}
	}
}

// The clock is set back by a day while the loop sleeps: it does not sleep for a day.
func TestAClockThatIsSetBackDoesNotStopTheLoop(t *testing.T) {
	w := world{}
	sleeps := 0
	ctx, cancel := context.WithCancel(context.Background())
	now := start
	l := Loop{
		Interval: time.Second, CPU: func() time.Duration { return 0 }, Log: func(string) {},
		Now: func() time.Time { return now },
		Sleep: func(_ context.Context, d time.Duration) {
			if d > 2*time.Second {
				t.Fatalf("it sleeps for %v", d)
			}
			if sleeps++; sleeps == 5 {
				now = now.AddDate(0, 0, -1)
				return
			}
			if now = now.Add(d); sleeps == 20 {
				cancel()
			}
		},
		Measure: func(context.Context, bool) (*record.Sample, error) { return &record.Sample{}, nil },
		Append:  func(s *record.Sample) error { w.appended = append(w.appended, s); return nil },
	}
	if err := l.Run(ctx); err != nil || len(w.appended) < 15 {
		t.Errorf("%v, %d samples", err, len(w.appended))
	}
}
