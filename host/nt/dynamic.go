package nt

import (
	"fmt"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// Family is a version of IP.
type Family uint8

// The families, numbered as the versions of IP.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns "ipv4" or "ipv6", as netsh spells them.
func (f Family) String() string {
	if f == IPv4 || f == IPv6 {
		return fmt.Sprintf("ipv%d", uint8(f))
	}
	return fmt.Sprintf("family %d", uint8(f))
}

// Pools are the four kinds of dynamic range, in the order in which they are shown.
var Pools = [...]struct {
	Proto  socket.Proto
	Family Family
}{{socket.TCP, IPv4}, {socket.TCP, IPv6}, {socket.UDP, IPv4}, {socket.UDP, IPv6}}

// A DynamicRange is the range from which one protocol and family picks source
// ports, from Windows Vista and Server 2008 on. `netsh int ipv4 show dynamicport
// tcp` prints one.
type DynamicRange struct {
	Proto  socket.Proto
	Family Family
	First  uint16
	Count  int // ports, 255 or more (KB 929851)
}

// DefaultDynamic is the dynamic range of every protocol and family from Windows
// Vista and Server 2008 on, unless it was changed (KB 929851).
var DefaultDynamic = port.Range{First: 49152, Last: 65535}

// The bounds of a dynamic range (KB 929851).
const (
	FirstDynamic = 1025 // the lowest first port
	LeastDynamic = 255  // the smallest number of ports
)

// Range returns the range as its two ends. A count that reaches beyond the last
// port, or is not above 0, is an error.
func (d DynamicRange) Range() (port.Range, error) { return span(d.First, d.Count) }

// An Excluded is a range of ports that the stack never hands out, because it was
// reserved for someone. `netsh int ipv4 show excludedportrange tcp` prints them.
type Excluded struct {
	Proto        socket.Proto
	Family       Family
	First, Last  uint16 // both ends included
	Administered bool   // shown with "*": made by an administrator or a program, and kept
}

// AutoReuse is AutoReusePortRange: ports that outgoing TCP connections may share,
// so that each need be unique only by its four-tuple (Set-NetTCPSetting; Windows
// 8.1 and Server 2012 R2 with KB 3149157, Windows 10 and Server 2016 and later).
type AutoReuse struct {
	First uint16
	Count int // ports; 0 when it is off
}

// On reports whether there is such a range.
func (a AutoReuse) On() bool { return a.Count > 0 }

// Range returns the range as its two ends; an error as for [DynamicRange.Range].
func (a AutoReuse) Range() (port.Range, error) { return span(a.First, a.Count) }

// A Live is what a running system says about itself that its registry does not
// tell. Reading it is for who runs on that system; the zero Live says nothing.
type Live struct {
	// Dynamic holds the ranges that could be read, none for a legacy system.
	Dynamic []DynamicRange
	// Excluded holds the excluded ranges. ExcludedKnown says that they were read,
	// so that an empty list means that there are none.
	Excluded      []Excluded
	ExcludedKnown bool
	// AutoReuse is nil when it could not be read or this system has none.
	AutoReuse *AutoReuse
	// RestartPending says that Tcpip\Parameters was written after the last boot:
	// its values act from the next boot on. It is nil when that is not known.
	RestartPending *bool
	// Notes are sentences on what could not be read and why.
	Notes []string
}

func span(first uint16, count int) (port.Range, error) {
	if count < 1 || count > 1<<16-int(first) {
		return port.Range{}, fmt.Errorf("%d ports from port %d on are no range: want 1 to %d", count, first, 1<<16-int(first))
	}
	return port.Range{First: first, Last: uint16(int(first) + count - 1)}, nil
}
