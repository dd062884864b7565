package forecast

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const minute = time.Minute

// steadyWait is the TIME_WAIT of a load that has run at a rate for so many seconds.
func steadyWait(rate, seconds int) (leaving []int, held int) {
	leaving = make([]int, 60)
	for i := range min(seconds, 60) {
		leaving[59-i] = rate
		held += rate
	}
	return leaving, held
}

func TestForecasts(t *testing.T) {
	warm, warmHeld := steadyWait(300, 60)
	cold, coldHeld := steadyWait(500, 2)
	slow, slowHeld := steadyWait(310, 2)
	for name, c := range map[string]struct {
		seen Seen
		in   time.Duration // -1 for never
		text string
	}{
		// Facts 6.3: N/r = 56.5 s for 500/s, of which two have passed.
		"500/s from cold fills the default range": {
			Seen{Capacity: 28232, Held: coldHeld, Window: 2 * time.Second, Taken: 1000, Closed: 1000, TimeWait: minute, Leaving: cold},
			54464 * time.Millisecond, "full in 54 s at the present rate (52 s – 58 s)",
		},
		"310/s never does, though the pool has grown by as much": {
			Seen{Capacity: 28232, Held: slowHeld, Window: 2 * time.Second, Taken: 620, Closed: 620, TimeWait: minute, Leaving: slow},
			-1, "never: 310/s is under the ceiling of 470/s",
		},
		"a step from 300/s to 600/s fills it in (N − 300·60)/300 s": {
			Seen{Capacity: 28232, Held: warmHeld, Window: 2 * time.Second, Taken: 1200, Closed: 1200, TimeWait: minute, Leaving: warm},
			34107 * time.Millisecond, "full in 34 s at the present rate (31 s – 38 s)",
		},
		"a leak that never closes": {
			Seen{Capacity: 1000, Held: 100, Open: 100, Window: 2 * time.Second, Taken: 20, TimeWait: minute, Leaving: []int{}},
			90 * time.Second, "full in 1 min 30 s at the present rate (1 min 3 s – 2 min 35 s)",
		},
		"nobody connects": {
			Seen{Capacity: 1000, Held: 100, Open: 100, Window: 2 * time.Second, TimeWait: minute, Leaving: []int{}},
			-1, "never at the present rate: no port is taken for longer than a moment",
		},
		"it is full": {
			Seen{Capacity: 1000, Held: 1000, Window: 2 * time.Second, TimeWait: minute}, 0, "full now",
		},
		"two connections say little": {
			Seen{Capacity: 10, Held: 2, Open: 2, Window: 2 * time.Second, Taken: 2, TimeWait: minute, Leaving: []int{}},
			8 * time.Second, "full in 8 s at the present rate (3 s – never), from few connections",
		},
		"just under the ceiling": {
			Seen{Capacity: 28232, Held: 28000, Window: 2 * time.Second, Taken: 930, Closed: 930, TimeWait: minute, Leaving: filled(60, 466)},
			-1, "never, but not by much: 465/s is near the ceiling of 470/s",
		},
		// Connections of 60 s and as much TIME_WAIT halve the ceiling.
		"long connections count twice": {
			Seen{Capacity: 28232, Held: 18000, Open: 18000, Window: 10 * time.Second, Taken: 3000, Closed: 3000, TimeWait: minute, Leaving: []int{}},
			34107 * time.Millisecond, "full in 34 s at the present rate (33 s – 35 s)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, ok := Of(c.seen)
			if !ok {
				t.Fatal("no forecast")
			}
			if f.Full.Never != (c.in < 0) || c.in >= 0 && (f.Full.In-c.in).Abs() > 10*time.Millisecond {
				t.Errorf("full at %+v, want %s", f.Full, c.in)
			}
			if got := f.String(); got != c.text {
				t.Errorf("it says %q, want %q", got, c.text)
			}
		})
	}
}

func filled(n, with int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = with
	}
	return list
}

func TestWithoutAWindowThereIsNoForecast(t *testing.T) {
	for _, s := range []Seen{{}, {Capacity: 10, TimeWait: minute}, {Window: time.Second, TimeWait: minute}} {
		if f, ok := Of(s); ok {
			t.Errorf("%+v gave %s", s, f)
		}
	}
}

// The forecast agrees with a pool that is filled connection by connection.
func TestAForecastAgreesWithASimulation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(10, 3000).Draw(t, "capacity")
		rate := rapid.IntRange(1, 200).Draw(t, "rate")
		before := rapid.IntRange(0, 200).Draw(t, "rate before")
		wait := rapid.IntRange(1, 60).Draw(t, "wait")
		age := rapid.IntRange(0, 80).Draw(t, "seconds before")
		const window = 10

		// Each element is when a port comes back, in seconds from now.
		var back []float64
		leaving := make([]int, wait)
		for i := range age {
			for k := range before {
				left := float64(wait) - float64(i) - float64(k)/float64(before)
				if left > 0 {
					back = append(back, left)
					leaving[min(int(left), wait-1)]++
				}
			}
		}
		if len(back) >= capacity {
			return
		}
		f, ok := Of(Seen{
			Capacity: capacity, Held: len(back), Window: window * time.Second, Taken: rate * window, Closed: rate * window,
			TimeWait: time.Duration(wait) * time.Second, Leaving: leaving,
		})
		if !ok {
			t.Fatal("no forecast")
		}
		full, never := simulate(capacity, rate, wait, back)
		// Where rate and ceiling all but meet, one port decides.
		if math.Abs(float64(rate*wait-capacity)) <= float64(rate)+2 {
			return
		}
		if f.Full.Never != never {
			t.Fatalf("forecast %+v, simulated never %t at %.2f s", f.Full, never, full)
		}
		// Departures are known to the second, and a connection is a whole one.
		if got := f.Full.In.Seconds(); !never && math.Abs(got-full) > 1.5+2/float64(rate)+0.02*full {
			t.Fatalf("forecast %.2f s, simulated %.2f s", got, full)
		}
	})
}

// simulate connects at a rate until a connect finds no port.
func simulate(capacity, rate, wait int, back []float64) (full float64, never bool) {
	held := append([]float64(nil), back...)
	for i := 0; ; i++ {
		now := float64(i) / float64(rate)
		kept := held[:0]
		for _, b := range held {
			if b > now {
				kept = append(kept, b)
			}
		}
		held = kept
		if len(held) >= capacity {
			return now, false
		}
		if now > float64(3*wait+5) {
			return 0, true
		}
		held = append(held, now+float64(wait))
	}
}

func TestTheBoundsLieAboutTheForecast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 100000)
		capacity := rapid.IntRange(1, 64511).Draw(t, "capacity")
		held := rapid.IntRange(0, capacity).Draw(t, "held")
		f, ok := Of(Seen{
			Capacity: capacity, Held: held, Open: rapid.IntRange(0, held).Draw(t, "open"),
			Window: time.Duration(rapid.IntRange(1, 60).Draw(t, "window")) * time.Second,
			Taken:  n.Draw(t, "taken"), Closed: n.Draw(t, "closed"), TimeWait: minute,
		})
		if !ok {
			t.Fatal("no forecast")
		}
		at := func(m Moment) float64 {
			if m.Never {
				return math.Inf(1)
			}
			return m.In.Seconds()
		}
		if at(f.Earliest) > at(f.Full) || at(f.Full) > at(f.Latest) || at(f.Earliest) < 0 {
			t.Fatalf("%+v", f)
		}
		if f.String() == "" {
			t.Fatal("no text")
		}
	})
}

func TestSpansReadAsPeopleWriteThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "0 s",
		59*time.Second + 600*time.Millisecond: "1 min",
		250 * time.Second:                     "4 min 10 s",
		5 * time.Minute:                       "5 min",
		90 * time.Minute:                      "1 h 30 min",
		2 * time.Hour:                         "2 h",
		60 * time.Hour:                        "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}
