//go:build !windows

package winhost

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/portroom/portroom/host/nt"
)

// Settings reads what this Windows is set to: this is none.
func Settings(context.Context) (*nt.Settings, error) {
	return nil, fmt.Errorf("read the settings of Windows on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Uptime returns how long this Windows has been up; 0 where there is none.
func Uptime() time.Duration { return 0 }

// Open opens this Windows: this is none.
func Open(context.Context) (*Host, error) {
	return nil, fmt.Errorf("open the registry of Windows on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
