package cli

import (
	"syscall"
	"time"
)

// processorTime is what this process has taken so far, in the kernel too.
func processorTime() time.Duration {
	var created, exited, kernel, user syscall.Filetime
	self, err := syscall.GetCurrentProcess()
	if err != nil || syscall.GetProcessTimes(self, &created, &exited, &kernel, &user) != nil {
		return 0 // it cannot fail for this process
	}
	return ticks(kernel) + ticks(user)
}

// ticks reads a time in units of 100 ns.
func ticks(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}
