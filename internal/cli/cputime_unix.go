//go:build unix

package cli

import (
	"syscall"
	"time"
)

// processorTime is what this process has taken so far, in the kernel too.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it cannot fail with this argument
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
