//go:build !windows

package winevent

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Live sums up the events of the System log: there is none here.
func Live(context.Context, time.Duration) (*Log, error) {
	return nil, fmt.Errorf("%w: %s has no Windows event log: %w", ErrUnreadable, runtime.GOOS, errors.ErrUnsupported)
}
