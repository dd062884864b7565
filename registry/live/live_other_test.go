//go:build !windows

package live

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestAnotherSystemHasNoLiveRegistry(t *testing.T) {
	_, err := Open(LocalMachine)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("error %v, want one that names %s", err, runtime.GOOS)
	}
}
