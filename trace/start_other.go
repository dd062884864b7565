//go:build !linux

package trace

import (
	"context"
	"errors"
	"net/netip"
	"runtime"

	"github.com/portroom/portroom/pool"
)

// Tracer is not to be had on this system.
type Tracer struct{}

// Start says that connections cannot be traced on this system.
func Start(context.Context, Options) (*Tracer, error) {
	return nil, &UnavailableError{
		Reason: "connections are traced on Linux only, not on " + runtime.GOOS,
		Err:    errors.ErrUnsupported,
	}
}

// Read returns ErrClosed.
func (*Tracer) Read() (*Aggregates, error) { return nil, ErrClosed }

// Refusals returns a channel that never has one.
func (*Tracer) Refusals() <-chan Refusal { return nil }

// Owners returns ErrClosed.
func (*Tracer) Owners() (*Owners, error) { return nil, ErrClosed }

// Close does nothing.
func (*Tracer) Close() error { return nil }

// Owners knows of none.
type Owners struct{}

// Len returns 0.
func (*Owners) Len() int { return 0 }

// Of knows of none.
func (*Owners) Of(uint64, netip.AddrPort, netip.AddrPort) (pool.Owner, bool) {
	return pool.Owner{}, false
}
