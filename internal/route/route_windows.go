package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sioRoutingInterfaceQuery asks for the local address from which a destination is
// reached (SIO_ROUTING_INTERFACE_QUERY of ws2def.h).
const sioRoutingInterfaceQuery = 0xc8000014

// Source returns the system's choice for a destination. For a link-local
// destination give its zone as the number of an interface. The error wraps
// [ErrNoRoute] when no route leads there. No port is taken.
func Source(dst netip.Addr, oif uint32) (Choice, error) {
	if dst.IsLoopback() {
		// Needs no route, and some systems have none for it.
		c := Choice{Src: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Ifindex: oif, Local: true}
		if dst.Is6() {
			c.Src = netip.IPv6Loopback()
		}
		return c, nil
	}
	family, sa := int32(windows.AF_INET), make([]byte, unsafe.Sizeof(windows.RawSockaddrInet4{}))
	if dst.Is6() {
		family, sa = windows.AF_INET6, make([]byte, unsafe.Sizeof(windows.RawSockaddrInet6{}))
	}
	var data windows.WSAData
	if err := windows.WSAStartup(0x202, &data); err != nil {
		return Choice{}, fmt.Errorf("start Winsock: %w", err)
	}
	defer func() { _ = windows.WSACleanup() }()
	s, err := windows.WSASocket(family, windows.SOCK_DGRAM, windows.IPPROTO_UDP, nil, 0, windows.WSA_FLAG_NO_HANDLE_INHERIT)
	if err != nil {
		return Choice{}, fmt.Errorf("open a socket to look up a route: %w", err)
	}
	defer func() { _ = windows.Closesocket(s) }()
	if dst.Is6() {
		raw := (*windows.RawSockaddrInet6)(unsafe.Pointer(&sa[0]))
		raw.Family, raw.Addr, raw.Scope_id = windows.AF_INET6, dst.As16(), oif
	} else {
		raw := (*windows.RawSockaddrInet4)(unsafe.Pointer(&sa[0]))
		raw.Family, raw.Addr = windows.AF_INET, dst.As4()
	}
	var out [128]byte
	var n uint32
	err = windows.WSAIoctl(s, sioRoutingInterfaceQuery, &sa[0], uint32(len(sa)), &out[0], uint32(len(out)), &n, nil, 0)
	switch {
	case errors.Is(err, windows.WSAENETUNREACH), errors.Is(err, windows.WSAEHOSTUNREACH), errors.Is(err, windows.WSAEADDRNOTAVAIL):
		return Choice{}, fmt.Errorf("%w: %w", ErrNoRoute, err)
	case err != nil:
		return Choice{}, fmt.Errorf("look up a route: %w", err)
	}
	c := Choice{Ifindex: oif}
	if dst.Is6() {
		c.Src = netip.AddrFrom16((*windows.RawSockaddrInet6)(unsafe.Pointer(&out[0])).Addr)
	} else {
		c.Src = netip.AddrFrom4((*windows.RawSockaddrInet4)(unsafe.Pointer(&out[0])).Addr)
	}
	c.Local = ours(dst)
	return c, nil
}

// ours reports whether an address is one of this host.
func ours(a netip.Addr) bool {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, i := range list {
		if n, ok := i.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == a.WithZone("") {
				return true
			}
		}
	}
	return false
}
