//go:build !linux

package cli

import (
	"context"
	"fmt"
	"runtime"
)

func (a *app) demo(context.Context) error {
	return fmt.Errorf("demo needs the network namespaces of Linux, and this is %s", systemName(runtime.GOOS))
}

func (a *app) demoInside(ctx context.Context, _ string) error { return a.demo(ctx) }
