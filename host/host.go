// Package host reads what a network namespace is set to, as far as it decides
// about source ports.
//
// On Linux these are sysctls under /proc/sys/net/ipv4, which shows the settings
// of the network namespace of the calling thread: enter a namespace first, then
// read. [Read] takes the root of a file tree, so that the files of another
// system, or a fixture, can be read as well, on any system.
package host

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/port"
)

// Settings are those of one Linux network namespace.
type Settings struct {
	Kernel                Release
	Range                 port.Range // ip_local_port_range, both ends included
	Reserved              port.Set   // ip_local_reserved_ports
	TWReuse               int        // tcp_tw_reuse: 0 off, 1 everywhere, 2 loopback only
	TWReuseDelay          time.Duration
	Timestamps            int // tcp_timestamps: 0 off, 1 on, 2 without random offset
	MaxTWBuckets          int // tcp_max_tw_buckets; 0 when the namespace does not show it
	AutobindReuse         bool
	UnprivilegedPortStart int
	StepWidth             int // ip_local_port_step_width; 0 off or absent

	// Values are the settings one by one, those that are absent too, in the order
	// in which they are best read.
	Values []Value
}

// A Value is one setting as it was found.
type Value struct {
	Name    string // as sysctl(8) names it
	Text    string // as the kernel writes it, blanks at the ends removed
	Present bool   // false: this kernel or namespace has no such setting
	Default string // of this kernel; "" when it depends on the machine
	Unit    string
	Valid   string // the values that the kernel accepts
	Meaning string
	Since   string // the kernel that brought it, "" for before 3.0
	Source  string
}

// A Release is the version of a Linux kernel.
type Release struct {
	Major, Minor, Patch int
	Text                string // all of it, such as "6.1.0-18-cloud-amd64"
}

// AtLeast reports whether the release is major.minor or later.
func (r Release) AtLeast(major, minor int) bool {
	return r.Major > major || r.Major == major && r.Minor >= minor
}

// ParseRelease reads a kernel release such as "6.1.0-18-cloud-amd64". Two numbers
// are enough.
func ParseRelease(s string) (Release, error) {
	s = strings.TrimSpace(s)
	r := Release{Text: s}
	bad := fmt.Errorf("%q is no kernel release: want one such as 6.1.0-18-cloud-amd64", cut(s))
	rest := s
	for i, to := range []*int{&r.Major, &r.Minor, &r.Patch} {
		n := 0
		for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
			n++
		}
		v, err := strconv.Atoi(rest[:n])
		if err != nil {
			if i == 2 {
				break
			}
			return Release{}, bad
		}
		*to, rest = v, rest[n:]
		if i < 2 {
			var dot bool
			if rest, dot = strings.CutPrefix(rest, "."); !dot {
				if i == 0 {
					return Release{}, bad
				}
				break
			}
		}
	}
	return r, nil
}

// ErrNoReader says that portroom cannot read the settings of a system. It is an
// [errors.ErrUnsupported].
var ErrNoReader = fmt.Errorf("no reader for this system: %w", errors.ErrUnsupported)

// unsupportedError names the system.
type unsupportedError struct{ system string }

func (e unsupportedError) Error() string {
	return fmt.Sprintf("portroom cannot measure %s yet: this version reads Linux and Windows hosts", e.system)
}

func (unsupportedError) Unwrap() error { return ErrNoReader }

// Supported returns nil on a system whose live settings and sockets can be read,
// and else an error that names the system and wraps [ErrNoReader].
func Supported() error {
	switch runtime.GOOS {
	case "linux", "windows":
		return nil
	}
	return unsupportedError{runtime.GOOS}
}

// cut shortens text from outside so that it fits into a sentence.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
