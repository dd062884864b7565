// Package caps runs programs without capabilities.
package caps

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Any reports whether this thread has a capability.
func Any() (bool, error) {
	data, err := get()
	return data[0].Effective|data[1].Effective|data[0].Permitted|data[1].Permitted != 0, err
}

func get() (data [2]unix.CapUserData, err error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = unix.Capget(&hdr, &data[0])
	return data, err
}

// ExecWithout executes a program in the place of this one, without any
// capability, also as uid 0 (SECBIT_NOROOT, capabilities(7)). It returns only if
// it fails.
func ExecWithout(path string, args, env []string) error {
	runtime.LockOSThread() // capabilities are the thread's; exec leaves this one alone
	const noRoot, noRootLocked = 1, 2
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot|noRootLocked, 0, 0, 0); err != nil {
		return err
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		return err
	}
	return unix.Exec(path, args, env)
}
