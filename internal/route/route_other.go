//go:build !linux && !windows

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
)

// Source returns the kernel's choice for a destination.
func Source(netip.Addr, uint32) (Choice, error) {
	return Choice{}, fmt.Errorf("route look-up on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
