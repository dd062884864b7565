package models

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/model"
)

// A law is a rate against ports, run on the kernel and in the model.
type law struct {
	name    string
	ports   int
	sysctls string
	rate    float64
	seconds int
	hold    float64 // seconds
	late    float64 // by which the hold may be longer
	fails   bool    // by the closed form
}

// Laws that rest on a TIME_WAIT of 60 s take the longest, so all run at once.
var slowLaws = []law{
	{"below the ceiling", 600, "tcp_tw_reuse=0", 9, 100, 60, 2.048, false},
	{"above the ceiling", 600, "tcp_tw_reuse=0", 11, 100, 60, 2.048, true},
	{"twice the ceiling", 600, "tcp_tw_reuse=0", 20, 100, 60, 2.048, true},
}

// The others run one after the other beside them.
var fastLaws = []law{
	{"taken over after 1 s, below the ceiling", 1000, "tcp_tw_reuse=1 tcp_tw_reuse_delay=1000", 800, 8, 1, 0.001, false},
	{"taken over after 1 s, above the ceiling", 1000, "tcp_tw_reuse=1 tcp_tw_reuse_delay=1000", 1500, 20, 1, 0.001, true},
	{"100 ports taken over after 1 s", 100, "tcp_tw_reuse=1 tcp_tw_reuse_delay=1000", 3000, 12, 1, 0.001, true},
	{"100 ports taken over after 500 ms", 100, "tcp_tw_reuse=1 tcp_tw_reuse_delay=500", 3000, 12, 0.5, 0.001, true},
	{"100 ports taken over after 100 ms", 100, "tcp_tw_reuse=1 tcp_tw_reuse_delay=100", 3000, 12, 0.1, 0.001, true},
}

// spare are seconds after the last connect is due: it may come late.
const spare = 10

// An outcome is what the kernel did with each connect.
type outcome struct {
	begun    clock
	arrivals []time.Duration // since the begin, as they really were
	granted  []bool
	err      error
}

// drive opens connections at a rate, and closes each at once, this side first.
func (l *law) drive(n *space) (o outcome) {
	err := n.Do(func() error {
		listener, err := listen(server)
		if err != nil {
			return err
		}
		defer unix.Close(listener)
		if o.begun, err = readClock(); err != nil {
			return err
		}
		// The machine may be busy with other things.
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10)
		defer func() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 0) }()
		start := now()
		o.begun.jiffies += ticks(start - o.begun.monotonic)
		o.begun.monotonic = start
		for i := range int(l.rate * float64(l.seconds)) {
			due := time.Duration(float64(i) / l.rate * 1e9)
			sleepUntil(start + due)
			at := now() - start
			if l.rate >= 100 && at-due > 10*time.Millisecond {
				continue // held up: no burst makes up for it
			}
			client, accepted, ok, err := connect(listener, server)
			if err != nil {
				return err
			}
			if ok {
				unix.Close(client)
				unix.Close(accepted)
			}
			o.arrivals = append(o.arrivals, at)
			o.granted = append(o.granted, ok)
		}
		return nil
	})
	o.err = err
	return o
}

// model plays the same arrivals.
func (l *law) model(t *testing.T, o *outcome) *model.Result {
	t.Helper()
	settings := append(strings.Fields(l.sysctls), fmt.Sprintf("ip_local_port_range=40000-%d", 40000+l.ports-1))
	res, err := model.Simulate(context.Background(), model.Run{
		Pool: profile(t, settings...), Arrivals: model.Trace(o.arrivals), Sources: 1, Destinations: 1,
		Duration: time.Duration(l.seconds+spare) * time.Second, Samples: l.seconds + spare, Phase: o.begun.jiffies, Clock: o.begun.monotonic,
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestTheKernelGrantsAndRefusesAsTheModelSays(t *testing.T) {
	if _, err := readClock(); err != nil {
		t.Fatal(err)
	}
	all := append(append([]law{}, slowLaws...), fastLaws...)
	hosts := make([]*space, len(all))
	for i, l := range all {
		hosts[i] = newSpace(t, append(strings.Fields(l.sysctls), fmt.Sprintf("ip_local_port_range=40000-%d", 40000+l.ports-1))...)
	}
	out := make([]outcome, len(all))
	var running sync.WaitGroup
	for i := range slowLaws {
		running.Go(func() { out[i] = all[i].drive(hosts[i]) })
	}
	running.Go(func() {
		for i := len(slowLaws); i < len(all); i++ {
			out[i] = all[i].drive(hosts[i])
		}
	})
	running.Wait()
	for i := range all {
		t.Run(all[i].name, func(t *testing.T) {
			if out[i].err != nil {
				t.Fatal(out[i].err)
			}
			all[i].judge(t, &out[i])
		})
	}
}

// insideKernels is the test that runs inside other kernels, too.
const insideKernels = "TestTimeWaitIsTakenOverAsTheModelSays"

// What connect() takes over, and when, by this kernel's own delay or clock.
func TestTimeWaitIsTakenOverAsTheModelSays(t *testing.T) {
	if h, err := host.Read("/"); err == nil {
		t.Logf("Linux %s, %d ticks a second", h.Kernel.Text, host.TickRate())
	}
	for _, rate := range []float64{60, 250} {
		l := law{name: "taken over", ports: 100, sysctls: "tcp_tw_reuse=1", rate: rate, seconds: 8}
		o := l.drive(newSpace(t, "tcp_tw_reuse=1", "ip_local_port_range=40000-40099"))
		if o.err != nil {
			t.Fatal(o.err)
		}
		res := l.model(t, &o)
		// A machine without KVM is held up at any place, which is some ticks.
		l.judgeSimulation(t, &o, res, 0.02, 0.05)
	}
}

// A tally is an outcome summed up.
type tally struct {
	granted   int
	refusedAt int     // the first connect that failed, -1 for none
	first     float64 // and when
	each      []int   // granted in each second
	stalled   float64 // seconds in which no connect came though one was due
}

func (l *law) tally(o *outcome) tally {
	s := tally{refusedAt: -1, first: model.Never, each: make([]int, l.seconds+spare)}
	for i, ok := range o.granted {
		if ok {
			s.granted++
			s.each[min(int(o.arrivals[i].Seconds()), l.seconds+spare-1)]++
		} else if s.refusedAt < 0 {
			s.refusedAt, s.first = i, o.arrivals[i].Seconds()
		}
		if i > 0 {
			s.stalled += max(0, (o.arrivals[i]-o.arrivals[i-1]).Seconds()-2/l.rate)
		}
	}
	return s
}

// judge holds a law against its closed form and against the simulation.
func (l *law) judge(t *testing.T, o *outcome) {
	s := l.tally(o)
	l.judgeSimulation(t, o, l.model(t, o), 0.01, 0)
	n := float64(l.ports)
	want := model.ConstantCold(n, l.rate, l.hold)
	if (want != model.Never) != l.fails {
		t.Fatalf("the closed form says a first failure after %g s", want)
	}
	if l.fails != (s.refusedAt >= 0) {
		t.Fatalf("the first connect failed after %g s, by the closed form after %g s", s.first, want)
	}
	// The pool is empty after so many connects, however late some of them came.
	if l.fails && math.Abs(float64(s.refusedAt)-n) > 0.01*n {
		t.Errorf("connect %d was the first to fail, want %g", s.refusedAt, n)
	}
	if l.fails && math.Abs(s.first-want) > 0.01*want+s.stalled+1/l.rate {
		t.Errorf("the first connect failed after %g s, by the closed form after %g s", s.first, want)
	}
	l.judgeLongRun(t, o, s.first, s.stalled)
}

// judgeSimulation holds the kernel against the simulation with the same arrivals, of
// which a share may be off, and the first failure as many seconds more.
func (l *law) judgeSimulation(t *testing.T, o *outcome, res *model.Result, off, late float64) {
	s := l.tally(o)
	apart := 0
	for i, sample := range res.Samples {
		apart += max(sample.Granted-s.each[i], s.each[i]-sample.Granted)
	}
	t.Logf("kernel: first failure %.3f s, %d granted, %d refused; simulation: %.3f s, %d granted (%+.2f %%); second by second %d connects apart; stalled for %.2f s",
		s.first, s.granted, len(o.granted)-s.granted, res.FirstFailure, res.Granted, 100*(float64(res.Granted)/float64(s.granted)-1), apart, s.stalled)
	if (res.FirstFailure == model.Never) != (s.first == model.Never) || s.refusedAt >= 0 && math.Abs(res.FirstFailure-s.first) > off*s.first+late {
		t.Errorf("the first connect failed after %g s, in the simulation after %g s", s.first, res.FirstFailure)
	}
	if math.Abs(float64(res.Granted-s.granted)) > off*float64(s.granted) {
		t.Errorf("the kernel granted %d connects, the simulation %d", s.granted, res.Granted)
	}
	// Bursts come when the simulation says, second by second.
	if float64(apart) > 2*off*float64(s.granted) {
		t.Errorf("second by second kernel and simulation are %d of %d connects apart; the kernel granted %v", apart, s.granted, s.each)
	}
}

// judgeLongRun counts over whole cycles after the first failure: a port comes free
// once in a hold and is taken at the next connect.
func (l *law) judgeLongRun(t *testing.T, o *outcome, first, stalled float64) {
	longest := l.hold + l.late + 1/l.rate
	cycles := math.Floor((float64(l.seconds) - first) / longest)
	if !l.fails || cycles < 4 {
		return
	}
	length, n := cycles*longest, 0
	for i, ok := range o.granted {
		if at := o.arrivals[i].Seconds(); ok && at >= first && at < first+length {
			n++
		}
	}
	high := float64(l.ports) / l.hold
	low := float64(l.ports) / longest * (1 - stalled/length)
	got := float64(n) / length
	t.Logf("in the long run %.2f/s, the law says %.2f to %.2f", got, low, high)
	if got < 0.99*low || got > 1.01*high {
		t.Errorf("%g/s in the long run, the law says %g to %g", got, low, high)
	}
}

func ticks(d time.Duration) int64 {
	return int64(math.Round(d.Seconds() * float64(host.TickRate())))
}
