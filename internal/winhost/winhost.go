// Package winhost reads what this Windows is set to: its registry, and what only
// the running system tells, through netsh and PowerShell. Both are started by
// their full path in the system's folder, without a window and without input, and
// change nothing unless they are told to.
package winhost

import (
	"fmt"
	"time"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
)

// runner runs a program of the system's folder and returns what it printed.
type runner func(program string, args ...string) ([]byte, error)

const (
	netsh      = "netsh.exe"
	powershell = `WindowsPowerShell\v1.0\powershell.exe`
)

// A Host is this Windows. Close lets go of it.
type Host struct {
	nt.Machine
	Live  *nt.Live
	store registry.Store
	run   runner
}

// Close closes the registry.
func (h *Host) Close() error { return h.store.Close() }

// Netsh runs netsh.exe and returns what it printed.
func (h *Host) Netsh(args ...string) ([]byte, error) { return h.run(netsh, args...) }

// PowerShell runs a script and returns what it printed.
func (h *Host) PowerShell(script string) ([]byte, error) {
	return h.run(powershell, shellArgs(script)...)
}

func shellArgs(script string) []string {
	return []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-Command", script}
}

// askNetsh fills in the dynamic and the excluded ranges. What could not be read
// becomes a note.
func askNetsh(l *nt.Live, run runner) {
	l.ExcludedKnown = true
	for _, p := range nt.Pools {
		what := fmt.Sprintf("%s over %s", p.Proto, p.Family)
		text, err := run(netsh, nt.DynamicArgs(p.Proto, p.Family)...)
		if err == nil {
			var d nt.DynamicRange
			if d, err = nt.ParseDynamic(text, p.Proto, p.Family); err == nil {
				l.Dynamic = append(l.Dynamic, d)
			}
		}
		if err != nil {
			l.Notes = append(l.Notes, fmt.Sprintf("the dynamic port range of %s could not be read from netsh: %v", what, err))
			// IPv6 may be absent; it then has no excluded ranges either.
			l.ExcludedKnown = l.ExcludedKnown && p.Family == nt.IPv6
			continue
		}
		text, err = run(netsh, nt.ExcludedArgs(p.Proto, p.Family)...)
		if err == nil {
			var list []nt.Excluded
			if list, err = nt.ParseExcluded(text, p.Proto, p.Family); err == nil {
				l.Excluded = append(l.Excluded, list...)
			}
		}
		if err != nil {
			l.ExcludedKnown = false
			l.Notes = append(l.Notes, fmt.Sprintf("the excluded port ranges of %s could not be read from netsh: %v", what, err))
		}
	}
}

// askAutoReuse fills in AutoReusePortRange.
func askAutoReuse(l *nt.Live, run runner) {
	text, err := run(powershell, shellArgs(nt.AutoReuseScript)...)
	if err == nil {
		l.AutoReuse, err = nt.ParseAutoReuse(text)
	}
	if err != nil {
		l.Notes = append(l.Notes, fmt.Sprintf("AutoReusePortRange could not be read: %v", err))
	}
}

// pending says whether values of Tcpip\Parameters wait for a restart, by when the
// key was written last. DHCP writes there too: where it does, a late time says
// nothing.
func pending(l *nt.Live, written, booted time.Time, dhcp bool) {
	late := written.After(booted)
	if late && dhcp {
		l.Notes = append(l.Notes, `Tcpip\Parameters was written after the last boot, perhaps by DHCP: a value that was changed since then acts from the next boot on`)
		return
	}
	l.RestartPending = &late
}
