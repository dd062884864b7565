package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// initial is a parameter that the kernel shows in the first network namespace
// alone (ipv4_table of net/ipv4/sysctl_net_ipv4.c).
const initial = "/proc/sys/net/ipv4/tcp_mem"

// First reports whether the namespace is the one that the system began with.
func (n Namespace) First() (first bool, err error) {
	err = n.Do(func() error {
		_, err := os.Stat(initial)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		first = err == nil
		return err
	})
	return first, err
}

// Cookie returns the number that the kernel gave the namespace, unlike ID never
// to another one while the system runs; 0 before Linux 5.14, which does not tell.
func (n Namespace) Cookie() (cookie uint64, err error) {
	err = n.Do(func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a socket to ask for the namespace's cookie: %w", err)
		}
		defer unix.Close(fd)
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		if errors.Is(err, unix.ENOPROTOOPT) {
			return nil
		}
		return err
	})
	return cookie, err
}

// Boot identifies the running system.
func Boot() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}
