//go:build !windows

package live

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/portroom/portroom/registry"
)

func open(root Root) (registry.Store, error) {
	return nil, fmt.Errorf("open %v: only Windows has a live registry, this is %s; read a hive file or a .reg file instead: %w",
		root, runtime.GOOS, errors.ErrUnsupported)
}
