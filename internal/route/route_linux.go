package route

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Source returns the kernel's choice for a destination, in the network namespace
// of the calling thread. For a link-local destination give its zone as the
// number of an interface. The error wraps [ErrNoRoute] when no route leads there.
func Source(dst netip.Addr, oif uint32) (Choice, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return Choice{}, fmt.Errorf("open rtnetlink: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request(dst.WithZone(""), oif), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return Choice{}, fmt.Errorf("ask rtnetlink: %w", err)
	}
	buf := make([]byte, 8192)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Choice{}, fmt.Errorf("read rtnetlink: %w", err)
		}
		c, err := parse(buf[:n])
		var ke kernelError
		if errors.As(err, &ke) {
			switch errno := unix.Errno(-ke); errno {
			case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.ENODEV, unix.EACCES, unix.EINVAL:
				return Choice{}, fmt.Errorf("%w: %w", ErrNoRoute, errno)
			default:
				return Choice{}, fmt.Errorf("rtnetlink: %w", errno)
			}
		}
		return c, err
	}
}
