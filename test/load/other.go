//go:build !linux

package load

import (
	"context"
	"os/exec"
)

// Child runs a helper's part when the program was started as a helper.
func Child() {}

// NewNetns makes a namespace.
func NewNetns(context.Context) (*Netns, error) { return nil, ErrNotLinux }

// Namespaces makes n namespaces.
func Namespaces(context.Context, int, bool) (*Set, error) { return nil, ErrNotLinux }

// Set is what Namespaces made.
type Set struct{ All []*Netns }

// Close deletes the namespaces.
func (*Set) Close() error { return ErrNotLinux }

// Close deletes the namespace.
func (*Netns) Close() error { return ErrNotLinux }

// Do runs f inside the namespace.
func (*Netns) Do(func() error) error { return ErrNotLinux }

// Start starts cmd inside the namespace.
func (*Netns) Start(*exec.Cmd) error { return ErrNotLinux }

// Sysctl sets a kernel parameter of the namespace.
func (*Netns) Sysctl(string, string) error { return ErrNotLinux }

// Count asks the kernel for the number of sockets.
func (*Netns) Count() (Counts, error) { return Counts{}, ErrNotLinux }

// TimeWaits adds n sockets in TIME_WAIT.
func (*Netns) TimeWaits(context.Context, int, int) error { return ErrNotLinux }

// Established makes n connections.
func (*Netns) Established(context.Context, int, int) (*Held, error) { return nil, ErrNotLinux }
