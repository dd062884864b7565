package model

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheGrainOfTheTimerWheel(t *testing.T) {
	for _, row := range []struct {
		hz            int
		seconds, want float64
	}{
		{250, 60, 2.048}, {1000, 60, 4.096}, {100, 60, 5.12}, {300, 60, 512. / 300},
		// The table of levels at the head of kernel/time/timer.c.
		{1000, 0.062, 0.001}, {1000, 0.063, 0.008}, {1000, 0.503, 0.008}, {1000, 0.504, 0.064}, {1000, 4.031, 0.064},
		{1000, 4.032, 0.512}, {1000, 32.255, 0.512}, {1000, 32.256, 4.096}, {250, 0.248, 0.004}, {250, 129.023, 2.048}, {250, 129.024, 16.384},
	} {
		if got := WheelGrain(row.hz, row.seconds); math.Abs(got-row.want) > 1e-9 {
			t.Errorf("%d Hz, %g s: %g s, want %g", row.hz, row.seconds, got, row.want)
		}
	}
}

func TestATimerIsNeverEarlyAndNeverLaterThanItsGrain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := wheel{int64(rapid.IntRange(24, 1200).Draw(t, "hz")), rapid.Int64Range(0, 1<<40).Draw(t, "phase")}
		now := rapid.Int64Range(0, 1e17).Draw(t, "now")
		wait := rapid.Int64Range(1, 300).Draw(t, "wait") * second
		// It is set within a tick, of which the begin counts.
		tick := second/w.hz + 1
		if late := w.fires(now, wait) - now - wait; late < -tick || float64(late) > WheelGrain(int(w.hz), float64(wait)/1e9)*1e9+1 {
			t.Fatalf("late by %s, the grain is %g s", time.Duration(late), WheelGrain(int(w.hz), float64(wait)/1e9))
		}
	})
}

// What is released at once is taken at once: from then on a port is held for a whole
// number of grains, 30 of 2.048 s.
func TestTheWheelMakesTheHoldOfABusyPoolAWholeNumberOfGrains(t *testing.T) {
	r := run(t, "linux ip_local_port_range=40000-40599 CONFIG_HZ=250", 1000, 3*time.Hour)
	for _, phase := range []int64{0, 100, 511} {
		r.Arrivals, r.Phase = Even(Steady(1000)), phase
		if got := mustRun(t, r).GrantedPerSecond(); math.Abs(got-600/61.44) > 0.02 {
			t.Errorf("%g/s, want %g", got, 600/61.44)
		}
	}
	p := resolve(t, "linux CONFIG_HZ=250")
	if p.Wait != (Bounds{60, 62.048}) {
		t.Errorf("a hold of %s, want 60 to 62.048", p.Wait)
	}
	if a := plan(t, question(t, "linux CONFIG_HZ=250", 460)); a.Sustainable || a.Ceiling.High < 470 || Round(a.Ceiling.Low) != 455 {
		t.Errorf("460/s at 250 Hz: sustainable %v, ceiling %s", a.Sustainable, a.Ceiling)
	}
}

// Who closes first is no matter to a NAT, which sees both.
func TestANATHoldsThePortWhoeverCloses(t *testing.T) {
	for _, system := range []string{"nf_nat", "azure-nat-gateway"} {
		q := question(t, system, 100)
		q.ServerCloses = true
		if a := plan(t, q); a.Hold.High != q.Pool.Wait.High {
			t.Errorf("%s: a hold of %s, want %s", system, a.Hold, q.Pool.Wait)
		}
		r := run(t, system, 2000, 20*time.Minute)
		r.ServerCloses = true
		if res := mustRun(t, r); res.Refused == 0 {
			t.Errorf("%s: nothing is refused", system)
		}
	}
}

// Ages are seen in milliseconds since 6.14, before that in whole seconds, so that a
// port may come back at once when the second is over.
func TestAnEntryIsTakenOverByTheKernelsClock(t *testing.T) {
	for _, row := range []struct {
		system    string
		clock     time.Duration
		low, high float64
	}{
		{"linux tcp_tw_reuse=1", 300 * time.Microsecond, 0.98, 1}, // held for 1.001 s, less where in the millisecond it closed
		{"linux-6.1 tcp_tw_reuse=1", 0, 0.999, 1.01},
		{"linux-4.18 tcp_tw_reuse=1", 0, 0.499, 0.51},
		{"linux tcp_tw_reuse=1 tcp_tw_reuse_delay=10", 0, 90, 92},
	} {
		r := run(t, row.system+" ip_local_port_range=40000-40099", 20000, 2*time.Minute)
		r.Clock = row.clock
		if got := mustRun(t, r).GrantedPerSecond() / 100; got < row.low || got > row.high {
			t.Errorf("%s: each port %g times a second, want %g to %g", row.system, got, row.low, row.high)
		}
	}
	// One connect in the middle of a second, the next two when it is over.
	p := resolve(t, "linux-6.1 tcp_tw_reuse=1 ip_local_port_range=40000-40001")
	times := []time.Duration{0, 100e6, 400e6, 600e6, 700e6}
	res := mustRun(t, Run{Pool: p, Arrivals: Trace(times), Sources: 1, Destinations: 1, Duration: time.Second, Clock: 500 * time.Millisecond, Samples: 1})
	if res.Granted != 4 || res.Refused != 1 || res.FirstFailure != 0.4 {
		t.Errorf("%d granted, first failure %g s, want 4 and 0.4", res.Granted, res.FirstFailure)
	}
}
