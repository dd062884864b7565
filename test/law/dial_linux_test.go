package law

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A dial is a way to connect.
type dial struct {
	dst    netip.AddrPort
	src    netip.Addr // invalid: no bind
	port   uint16     // bind to this port, or to 0
	noPort bool       // IP_BIND_ADDRESS_NO_PORT
	mapped bool       // by an AF_INET6 socket with v4-mapped addresses
	reuse  bool       // SO_REUSEADDR
	device bool       // SO_BINDTODEVICE lo
}

func (d dial) String() string {
	s := "connect " + d.dst.String()
	if d.src.IsValid() {
		s += fmt.Sprintf(" from %s:%d", d.src, d.port)
	}
	for name, on := range map[string]bool{"noport": d.noPort, "mapped": d.mapped, "reuseaddr": d.reuse, "lo": d.device} {
		if on {
			s += " " + name
		}
	}
	return s
}

// open makes the socket and connects; the connection is under way when it
// returns without error.
func (d dial) open() (fd int, err error) {
	fix := func(a netip.Addr) netip.Addr {
		if d.mapped && a.Is4() {
			return netip.AddrFrom16(a.As16())
		}
		return a
	}
	family := unix.AF_INET
	if d.mapped || d.dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	if d.reuse {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fd, err
		}
	}
	if d.device {
		if err = unix.BindToDevice(fd, "lo"); err != nil {
			return fd, err
		}
	}
	if d.src.IsValid() {
		if d.noPort {
			if err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
				return fd, err
			}
		}
		if err = unix.Bind(fd, sockaddr(fix(d.src), d.port)); err != nil {
			return fd, fmt.Errorf("bind: %w", err)
		}
	}
	err = unix.Connect(fd, sockaddr(fix(d.dst.Addr()), d.dst.Port()))
	if errors.Is(err, unix.EINPROGRESS) {
		err = nil
	}
	return fd, err
}

// fill connects until the kernel refuses, and returns how often it granted.
func fill(d dial) (granted int, err error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			reset(fd)
		}
	}()
	for granted < 1000 {
		fd, err := d.open()
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return granted, nil
		}
		if err != nil {
			return granted, fmt.Errorf("%s: %w", d, err)
		}
		fds = append(fds, fd)
		granted++
	}
	return granted, errors.New("no end of ports")
}

// fillBind does the same by bind(src, 0).
func fillBind(src netip.Addr) (granted int, err error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	family := unix.AF_INET
	if src.Is6() {
		family = unix.AF_INET6
	}
	for granted < 1000 {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return granted, err
		}
		fds = append(fds, fd)
		err = unix.Bind(fd, sockaddr(src, 0))
		if errors.Is(err, unix.EADDRINUSE) {
			return granted, nil
		}
		if err != nil {
			return granted, err
		}
		granted++
	}
	return granted, errors.New("no end of ports")
}

// openUDP makes a UDP socket that is bound, connected or both. An invalid src is
// not bound; port 0 lets the kernel choose at bind().
func openUDP(src netip.Addr, p uint16, dst netip.AddrPort, reuse, v6only, noPort bool) (int, error) {
	family := unix.AF_INET
	if src.IsValid() && src.Is6() || !src.IsValid() && dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if reuse {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if v6only && family == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if noPort {
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	if src.IsValid() {
		err = unix.Bind(fd, sockaddr(src, p))
	}
	if err == nil && dst.IsValid() {
		to := dst.Addr()
		if family == unix.AF_INET6 && to.Is4() {
			to = netip.AddrFrom16(to.As16())
		}
		err = unix.Connect(fd, sockaddr(to, dst.Port()))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// fillUDP asks for UDP ports until the kernel refuses: by connect() without a
// bind when src is invalid, else by bind(src, 0).
func fillUDP(src netip.Addr, dst netip.AddrPort) (granted int, err error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for granted < 1000 {
		to, want := dst, unix.EAGAIN
		if src.IsValid() {
			to, want = netip.AddrPort{}, unix.EADDRINUSE
		}
		fd, err := openUDP(src, 0, to, false, false, false)
		if errors.Is(err, want) {
			return granted, nil
		}
		if err != nil {
			return granted, err
		}
		fds = append(fds, fd)
		granted++
	}
	return granted, errors.New("no end of ports")
}

// sockaddr gives the kernel's form of an address; a v4-mapped one is IPv6.
func sockaddr(a netip.Addr, p uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(p)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(p)}
}
