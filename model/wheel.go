package model

// Linux lets a port go when a timer fires, and its timer wheel fires late: it keeps
// a timer in a level that is the coarser the further off the timer is, and rounds
// its time up to the next multiple of that level's granularity (calc_index and
// calc_wheel_index in kernel/time/timer.c, since Linux 4.8, commit 500462a9de65). A
// TIME_WAIT of 60 s becomes 60 to 62.048 s at 250 ticks a second, and all ports of
// one such stretch are freed at once.

const (
	wheelShift = 3  // LVL_CLK_SHIFT: each level is 8 times as coarse as the one below
	wheelSlots = 64 // LVL_SIZE
	wheelDepth = 9  // LVL_DEPTH where HZ > 100; with fewer no timer here reaches the last
)

const wheelSource = "kernel/time/timer.c, calc_index"

// wheelLevel is the level in which a timer lies that fires in so many ticks.
func wheelLevel(ticks int64) int {
	level := 0
	// LVL_START(n) is (LVL_SIZE - 1) << ((n - 1) * LVL_CLK_SHIFT).
	for level < wheelDepth-1 && ticks >= (wheelSlots-1)<<(level*wheelShift) {
		level++
	}
	return level
}

// WheelGrain is by how many seconds a timer of so many seconds fires late at most,
// on a kernel of hz ticks a second (CONFIG_HZ).
func WheelGrain(hz int, seconds float64) float64 {
	return float64(int64(1)<<(wheelLevel(int64(seconds*float64(hz)))*wheelShift)) / float64(hz)
}

// A wheel tells when timers fire. Times are in nanoseconds of the run.
type wheel struct {
	hz    int64
	phase int64 // ticks that had passed when the run began
}

// fires is when a timer fires that is set now to fire after wait.
func (w wheel) fires(now, wait int64) int64 {
	ticks := w.ticks(wait)
	expires := w.phase + w.ticks(now) + ticks
	shift := wheelLevel(ticks) * wheelShift
	due := (expires>>shift + 1) << shift
	due -= w.phase
	return due/w.hz*second + due%w.hz*second/w.hz
}

const second = 1_000_000_000 // nanoseconds

// ticks counts whole ticks. Seconds are kept apart so that no product overflows.
func (w wheel) ticks(ns int64) int64 { return ns/second*w.hz + ns%second*w.hz/second }
