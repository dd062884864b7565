// Package load makes what tests and benchmarks are run over: TIME_WAIT by the
// million, established connections held by several processes, network namespaces
// by the hundred, and registry hives by the megabyte.
//
// What has to do with sockets happens on the loopback device of namespaces that the
// package itself makes. What it makes is bounded and goes away with Close; helper
// processes end by themselves when the process that started them ends. That
// needs Linux, root and ip(8).
//
// A program that calls [Netns.Established] must call [Child] first thing in
// main, or in TestMain: the holders of the connections are copies of the
// program itself.
package load

import (
	"errors"
	"fmt"
	"runtime"
)

// ErrNotLinux is what every function returns on another system.
var ErrNotLinux = fmt.Errorf("socket populations are made on Linux only, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

// The ports that populations use. The listeners stand below the ephemeral
// range, for a listener inside it costs every pool a port.
const (
	FirstDest = 1024 // the first listener's port; the others follow
	MaxDests  = 900  // most listeners
	RangeLow  = 2000 // first ephemeral port
	RangeHigh = 65535
)

// Netns is a named network namespace of our own, with its loopback device up.
type Netns struct {
	Name string // as in ip-netns(8)
}

// Counts is what the kernel says of a namespace's IPv4 TCP sockets
// (/proc/net/sockstat).
type Counts struct {
	InUse    int // listening, and every state from SYN_SENT to LAST_ACK; both ends
	TimeWait int
}

// Held is a set of connections that processes hold open.
type Held struct {
	PIDs  []int // the processes that hold both ends
	close func() error
}

// Close ends the processes, and with them the connections, and waits for them.
func (h *Held) Close() error { return h.close() }
