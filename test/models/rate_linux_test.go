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
	"github.com/portroom/portroom/test/load"
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

// An outcome is what the kernel did with each connect.
type outcome struct {
	begun    clock
	arrivals []time.Duration // since the begin, as they really were
	granted  []bool
	err      error
}

// drive opens connections at a rate, and closes each at once, this side first.
func (l *law) drive(n *load.Netns) (o outcome) {
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
		Duration: time.Duration(l.seconds) * time.Second, Samples: l.seconds, Phase: o.begun.jiffies, Clock: o.begun.monotonic,
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
	hosts := make([]*load.Netns, len(all))
	for i, l := range all {
		hosts[i] = newHost(t, append(strings.Fields(l.sysctls), fmt.Sprintf("ip_local_port_range=40000-%d", 40000+l.ports-1))...)
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

func (l *law) judge(t *testing.T, o *outcome) {
	res := l.model(t, o)
	granted, refusedAt := 0, -1
	each := make([]int, l.seconds) // granted in each second
	stalled := 0.0
	for i, ok := range o.granted {
		if ok {
			granted++
			each[min(int(o.arrivals[i].Seconds()), l.seconds-1)]++
		} else if refusedAt < 0 {
			refusedAt = i
		}
		if i > 0 {
			stalled += max(0, (o.arrivals[i]-o.arrivals[i-1]).Seconds()-2/l.rate)
		}
	}
	first := model.Never
	if refusedAt >= 0 {
		first = o.arrivals[refusedAt].Seconds()
	}
	apart := 0
	for i, s := range res.Samples {
		apart += max(s.Granted-each[i], each[i]-s.Granted)
	}
	t.Logf("kernel: first failure %.3f s, %d granted, %d refused; simulation: %.3f s, %d granted (%+.2f %%); second by second %d connects apart; stalled for %.2f s",
		first, granted, len(o.granted)-granted, res.FirstFailure, res.Granted, 100*(float64(res.Granted)/float64(granted)-1), apart, stalled)

	// The closed form.
	n := float64(l.ports)
	want := model.ConstantCold(n, l.rate, l.hold)
	if (want != model.Never) != l.fails {
		t.Fatalf("the closed form says a first failure after %g s", want)
	}
	if l.fails != (refusedAt >= 0) {
		t.Fatalf("the first connect failed after %g s, by the closed form after %g s", first, want)
	}
	// The pool is empty after so many connects, however late some of them came.
	if l.fails && math.Abs(float64(refusedAt)-n) > 0.01*n {
		t.Errorf("connect %d was the first to fail, want %g", refusedAt, n)
	}
	if l.fails && math.Abs(first-want) > 0.01*want+stalled+1/l.rate {
		t.Errorf("the first connect failed after %g s, by the closed form after %g s", first, want)
	}
	l.judgeLongRun(t, o, first, stalled)

	// The simulation, with the same arrivals.
	if (res.FirstFailure == model.Never) != (first == model.Never) || l.fails && math.Abs(res.FirstFailure-first) > 0.01*first {
		t.Errorf("the first connect failed after %g s, in the simulation after %g s", first, res.FirstFailure)
	}
	if math.Abs(float64(res.Granted-granted)) > 0.01*float64(granted) {
		t.Errorf("the kernel granted %d connects, the simulation %d", granted, res.Granted)
	}
	// Bursts come when the simulation says, second by second.
	if float64(apart) > 0.02*float64(granted) {
		t.Errorf("second by second kernel and simulation are %d of %d connects apart; the kernel granted %v", apart, granted, each)
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
