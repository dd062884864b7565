// Package sysctl makes and carries out changes to the kernel parameters of Linux
// that decide about source ports: in the running kernel, for one network
// namespace, and in /etc/sysctl.d for the next start.
package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
)

// Parameter is the kind of an object that is a kernel parameter, written as
// sysctl(8) does: net.ipv4.tcp_tw_reuse. Other objects are files and directories.
const Parameter = "parameter"

const prefix = "net.ipv4."

// reservedPorts is the one parameter that the kernel takes in pieces.
const reservedPorts = prefix + "ip_local_reserved_ports"

// page is how much of a write the kernel takes at once (proc_do_large_bitmap in
// kernel/sysctl.c), on systems with the smallest pages.
const page = 4096

// A Driver is the [remedy.Driver] of one network namespace and the files of its
// system.
type Driver struct {
	remedy.FileDriver
	namespace netns.Namespace
	gone      error // why there are no parameters any more
	boot      string
}

func procPath(object string) string {
	return "/proc/sys/" + strings.ReplaceAll(object, ".", "/")
}

// Read implements [remedy.Driver].
func (d *Driver) Read(kind, object string) (remedy.State, error) {
	if kind != Parameter {
		return d.FileDriver.Read(kind, object)
	}
	if d.gone != nil {
		return remedy.State{}, d.gone
	}
	var s remedy.State
	err := d.namespace.Do(func() error {
		text, err := host.Parameter("/", strings.ReplaceAll(object, ".", "/"))
		if errors.Is(err, fs.ErrNotExist) {
			s = remedy.Absent
			return nil
		}
		s = remedy.State{Data: flat(text)}
		return err
	})
	return s, gone(err)
}

// flat has single blanks between the words, so that a value has one form.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// gone makes the end of a namespace known to package remedy.
func gone(err error) error {
	if errors.Is(err, netns.ErrGone) {
		return fmt.Errorf("%w: %w", err, remedy.ErrGone)
	}
	return err
}

// Write implements [remedy.Driver].
func (d *Driver) Write(kind, object string, s remedy.State) error {
	switch {
	case kind != Parameter:
		return d.FileDriver.Write(kind, object, s)
	case d.gone != nil:
		return d.gone
	case s.Absent:
		return errors.New("a kernel parameter cannot be taken away")
	}
	err := d.namespace.Do(func() error { return d.Files.Put(procPath(object), []byte(s.Data+"\n")) })
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("only root of the system that the namespace belongs to may: %w", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("/proc/sys is read-only here, as in most containers; set it where the container is started: %w", err)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("the kernel refuses it: %w", err)
	}
	return gone(err)
}

// Torn implements [remedy.Driver]. The kernel takes a long list of ports a page at
// a time, the first page in place of the old list; what is there of the new one
// after a power cut is a part of it.
func (d *Driver) Torn(s remedy.Step, now remedy.State) bool {
	if s.Kind != Parameter {
		return d.FileDriver.Torn(s, now)
	}
	return s.Object == reservedPorts && (part(now, s.To) || part(now, s.From))
}

// part reports whether a list of ports is a part of one that is longer than a page.
func part(now, whole remedy.State) bool {
	if len(whole.Data) < page {
		return false
	}
	some, err := port.ParseSet(now.Data)
	all, err2 := port.ParseSet(whole.Data)
	some.Subtract(&all)
	return err == nil && err2 == nil && some.Len() == 0
}

// Clean implements [remedy.Driver].
func (d *Driver) Clean(kind, object string) error {
	if kind == Parameter {
		return nil
	}
	return d.FileDriver.Clean(kind, object)
}

// Boot implements [remedy.Driver].
func (d *Driver) Boot() string { return d.boot }
