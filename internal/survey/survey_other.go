//go:build !linux && !windows

package survey

import (
	"context"

	"github.com/portroom/portroom/host"
)

// Each measures namespaces; this system has no reader yet.
func Each(context.Context, Options, func(*View) error) error { return host.Supported() }
