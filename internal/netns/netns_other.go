//go:build !linux

package netns

import (
	"errors"
	"fmt"
	"runtime"
)

var errOther = fmt.Errorf("network namespaces exist on Linux only, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Self returns the namespace of the calling thread.
func Self() (Namespace, error) { return Namespace{}, errOther }

// Find returns the namespace that spec names.
func Find(string) (Namespace, error) { return Namespace{}, errOther }

// All returns every namespace that has a process or a name.
func All() ([]Namespace, error) { return nil, errOther }

// Do runs f inside the namespace.
func (Namespace) Do(func() error) error { return errOther }

// Cgroup returns the path of a process's control group: there are none here.
func Cgroup(int) string { return "" }

// First reports whether the namespace is the one that the system began with.
func (Namespace) First() (bool, error) { return false, errOther }

// Cookie returns the kernel's own number of the namespace.
func (Namespace) Cookie() (uint64, error) { return 0, errOther }

// Boot identifies the running system.
func Boot() (string, error) { return "", errOther }
