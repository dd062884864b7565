package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/port"
)

const ipSysctl = "Documentation/networking/ip-sysctl.rst"

// A definition is what is known of one setting, and how it is taken in.
type definition struct {
	file     string
	unit     string
	valid    string
	meaning  string
	since    string
	source   string
	standard func(Release) string // the kernel's default
	set      func(*Settings, string) error
	required bool
}

func always(s string) func(Release) string { return func(Release) string { return s } }

// definitions are the settings that decide about source ports, and one that many
// believe does. Defaults are those of the kernel sources, where they changed by
// the release that changed them.
var definitions = []definition{
	{
		file: "ip_local_port_range", unit: "port", valid: "two ports, 1 to 65535, the first not above the last",
		meaning: "source ports are chosen from this range, both ends included", source: ipSysctl, required: true,
		standard: func(r Release) string {
			if r.AtLeast(4, 2) {
				return "32768\t60999"
			}
			return "32768\t61000"
		},
		set: func(s *Settings, text string) (err error) {
			s.Range, err = port.ParseRange(text)
			if err == nil && s.Range.First == 0 {
				err = errors.New("port 0 cannot be in the range: want 1 to 65535")
			}
			return err
		},
	},
	{
		file: "ip_local_reserved_ports", unit: "port", valid: "a list such as 8080,9000-9100",
		meaning: "the kernel never chooses these; an explicit bind may", source: ipSysctl, since: "2.6.35", standard: always(""),
		set: func(s *Settings, text string) (err error) {
			s.Reserved, err = port.ParseSet(text)
			return err
		},
	},
	{
		file: "tcp_tw_reuse", valid: "0 off, 1 everywhere, 2 loopback only",
		meaning: "connect() may take the place of its own TIME_WAIT after tcp_tw_reuse_delay", source: ipSysctl,
		standard: func(r Release) string {
			if r.AtLeast(4, 19) {
				return "2"
			}
			return "0"
		},
		set: func(s *Settings, text string) (err error) {
			s.TWReuse, err = number(text, 0, 2)
			return err
		},
	},
	{
		file: "tcp_tw_reuse_delay", unit: "ms", valid: "1 to 60000", since: "6.14", source: ipSysctl,
		meaning: "how old a TIME_WAIT must be for tcp_tw_reuse; before 6.14 one second", standard: always("1000"),
		set: func(s *Settings, text string) error {
			ms, err := number(text, 0, 60000)
			s.TWReuseDelay = time.Duration(ms) * time.Millisecond
			return err
		},
	},
	{
		file: "tcp_timestamps", valid: "0 off, 1 on, 2 on without random offset", source: ipSysctl, standard: always("1"),
		meaning: "tcp_tw_reuse works only for connections that had timestamps",
		set: func(s *Settings, text string) (err error) {
			s.Timestamps, err = number(text, 0, 2)
			return err
		},
	},
	{
		file: "tcp_max_tw_buckets", unit: "sockets", valid: "0 or more", source: ipSysctl, standard: always(""),
		meaning: "TIME_WAIT entries beyond this are dropped at once; never to be lowered by hand",
		set: func(s *Settings, text string) (err error) {
			s.MaxTWBuckets, err = number(text, 0, 1<<31-1)
			return err
		},
	},
	{
		file: "ip_autobind_reuse", valid: "0 or 1", since: "5.7", source: ipSysctl, standard: always("0"),
		meaning: "bind(0) with SO_REUSEADDR may share a port when none is free",
		set: func(s *Settings, text string) error {
			n, err := number(text, 0, 1)
			s.AutobindReuse = n == 1
			return err
		},
	},
	{
		file: "ip_unprivileged_port_start", unit: "port", valid: "0 to 65536", since: "4.11", source: ipSysctl, standard: always("1024"),
		meaning: "ports from here on may be bound without privilege; the range must not begin below",
		set: func(s *Settings, text string) (err error) {
			s.UnprivilegedPortStart, err = number(text, 0, 65536)
			return err
		},
	},
	{
		file: "ip_local_port_step_width", unit: "port", valid: "0 off, or a step", since: "7.2", standard: always("0"),
		source: "commit 7da62262ec96", meaning: "connect() searches in steps of a random width",
		set: func(s *Settings, text string) (err error) {
			s.StepWidth, err = number(text, 0, 65535)
			return err
		},
	},
	{
		file: "tcp_fin_timeout", unit: "s", valid: "1 or more", source: ipSysctl, standard: always("60"),
		meaning: "how long an orphan stays in FIN_WAIT2; it does not govern TIME_WAIT, which is 60 s",
		set:     func(_ *Settings, text string) error { _, err := number(text, 0, 1<<31-1); return err },
	},
}

// number reads a decimal within bounds.
func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a number from %d to %d", low, high)
	}
	return n, nil
}

// KernelRelease reads the release of the kernel under a root.
func KernelRelease(root string) (Release, error) {
	name := filepath.Join(root, "proc/sys/kernel/osrelease")
	text, err := readFile(name)
	if err != nil {
		return Release{}, err
	}
	r, err := ParseRelease(text)
	if err != nil {
		return Release{}, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// Read reads the settings under a root: "/" for this host, where they are those
// of the calling thread's network namespace, or a directory that holds
// proc/sys/net/ipv4 and proc/sys/kernel/osrelease. A file with content that the
// kernel would not write is an error that names it and says what is accepted; a
// file that is not there leaves the kernel's default. On a system other than
// Linux "/" is refused with [ErrNoReader].
func Read(root string) (*Settings, error) {
	if root == "" {
		root = "/"
	}
	if root == "/" && runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%s has no /proc/sys: %w", runtime.GOOS, ErrNoReader)
	}
	release, err := KernelRelease(root)
	if err != nil {
		return nil, err
	}
	s := &Settings{Kernel: release}
	for _, d := range definitions {
		name := filepath.Join(root, "proc/sys/net/ipv4", d.file)
		v := Value{
			Name: "net.ipv4." + d.file, Default: d.standard(release), Unit: d.unit, Valid: d.valid,
			Meaning: d.meaning, Since: d.since, Source: d.source, Present: true,
		}
		v.Text, err = readFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !d.required:
			// Older kernels lack it, or show it in the first namespace only.
			v.Present, err = false, nil
			if v.Default != "" {
				err = d.set(s, v.Default)
			}
		case err == nil:
			if err = d.set(s, v.Text); err != nil {
				err = fmt.Errorf("%s is %q: %w", name, cut(v.Text), err)
			}
		}
		if err != nil {
			return nil, err
		}
		s.Values = append(s.Values, v)
	}
	return s, nil
}

// Parameter reads one parameter of the network namespace of the calling thread,
// such as net/ipv4/tcp_tw_reuse, under a root, without the blanks at its ends. The
// error wraps [fs.ErrNotExist] where the kernel has no such parameter.
func Parameter(root, name string) (string, error) {
	return readFile(filepath.Join(root, "proc/sys", name))
}

// mostText bounds what is read of a file. ip_local_reserved_ports is the longest:
// 32,768 single ports, 6 bytes each.
const mostText = 256 << 10

// readFile reads a small file without the blanks at its ends.
//
// The kernel writes a parameter into the buffer of the first read, cuts it off
// where that ends, and has nothing for a second one (proc_do_large_bitmap in
// kernel/sysctl.c). What fills the buffer is therefore read again with a larger one.
func readFile(name string) (string, error) {
	for size := 4 << 10; ; size *= 4 {
		b, err := readOnce(name, size)
		if err != nil {
			return "", err
		}
		if len(b) < size {
			return strings.TrimSpace(string(b)), nil
		}
		if size > mostText {
			return "", fmt.Errorf("%s is longer than %d bytes", name, mostText)
		}
	}
}

// readOnce reads a file into a buffer of one size, until the file ends or the
// buffer is full.
func readOnce(name string, size int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	n, err := io.ReadFull(f, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}
