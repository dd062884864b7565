// Package netns finds network namespaces, says who lives in them and runs
// functions inside them.
package netns

import (
	"errors"
	"fmt"
)

// A Namespace is one network namespace.
type Namespace struct {
	ID    uint64 // inode number; what "netns" is in JSON
	Label string // who lives there: a name, a container, a pod, a systemd unit; "" for the caller's own
	Path  string // a file that setns(2) accepts
	PID   int    // a process inside, 0 when none was looked for or found
}

// ErrGone says that a namespace or its last process vanished.
var ErrGone = errors.New("the namespace is gone")

// A NotFoundError names a namespace that is not there and what is accepted.
type NotFoundError struct{ Spec string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("there is no network namespace %q: want a name under /run/netns, the path of a namespace file, or a process id", e.Spec)
}
