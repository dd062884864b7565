package host

import (
	"math"

	"golang.org/x/sys/unix"
)

// The coarse clocks advance by the tick, and say so as their resolution (KTIME_LOW_RES,
// posix_get_coarse_res in kernel/time/posix-timers.c).
func tickRate() int {
	var t unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &t); err != nil || t.Nano() <= 0 {
		return 0
	}
	return int(math.Round(1e9 / float64(t.Nano())))
}
