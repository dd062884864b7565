// Package route asks the kernel from which address a connection would leave. It
// reads the routing table and sends nothing.
package route

import (
	"errors"
	"net/netip"
)

// ErrNoRoute says that no route leads to the destination.
var ErrNoRoute = errors.New("no route to the destination")

// A Choice is what the kernel would take for a socket that is not bound.
type Choice struct {
	Src     netip.Addr // the source address
	Ifindex uint32     // the interface the packets leave by
	Local   bool       // the destination is this host itself
}
