package winhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
	winreg "golang.org/x/sys/windows/registry"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/live"
)

const (
	patience  = 20 * time.Second // for one program
	mostPrint = 4 << 20          // bytes that a program may print
)

// Settings reads what this Windows is set to.
func Settings(ctx context.Context) (*nt.Settings, error) {
	h, err := Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.Close() }() // it was read from only
	return h.Settings(h.Live)
}

// Open opens this Windows, and asks it what its registry does not tell.
func Open(ctx context.Context) (*Host, error) {
	store, err := live.Open(live.LocalMachine)
	if err != nil {
		return nil, err
	}
	h := &Host{
		Machine: nt.Machine{System: registry.Sub(store, "SYSTEM"), Software: registry.Sub(store, "SOFTWARE")},
		store:   store,
		run:     func(program string, args ...string) ([]byte, error) { return start(ctx, program, args) },
	}
	if err := h.ask(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// ask fills in what only the running system tells.
func (h *Host) ask(ctx context.Context) error {
	system, err := h.Identify()
	if err != nil {
		return err
	}
	l := &nt.Live{}
	v := windows.RtlGetVersion()
	if system.Era == nt.Later {
		reuse := &nt.Live{AutoReuse: &nt.AutoReuse{}}
		var wait sync.WaitGroup
		// Windows 8 and Server 2012 are 6.2; earlier ones have no such range.
		if v.MajorVersion > 6 || v.MajorVersion == 6 && v.MinorVersion >= 2 {
			reuse.AutoReuse = nil
			wait.Go(func() { askAutoReuse(reuse, h.run) })
		}
		askNetsh(l, h.run)
		wait.Wait()
		l.AutoReuse, l.Notes = reuse.AutoReuse, append(l.Notes, reuse.Notes...)
	} else {
		l.Notes = append(l.Notes, fmt.Sprintf("the system calls itself %d.%d.%d; portroom itself runs on Windows 10, Server 2016 and later only, "+
			"so this is a compatibility mode or not Windows: read the registry of such a system with --target", v.MajorVersion, v.MinorVersion, v.BuildNumber))
	}
	restart(l)
	h.Live = l
	return ctx.Err()
}

// Uptime returns how long this Windows has been up.
func Uptime() time.Duration { return windows.DurationSinceBoot() }

// start runs a program of the system's folder.
func start(ctx context.Context, program string, args []string) ([]byte, error) {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, fmt.Errorf("find the system's folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, program), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PSModulePath="+filepath.Join(dir, `WindowsPowerShell\v1.0\Modules`))
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	cmd.WaitDelay = time.Second
	var out, complaint capped
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s did not end within %s", program, patience)
	case out.full:
		return nil, fmt.Errorf("%s printed more than %d bytes", program, mostPrint)
	case err != nil:
		text := bytes.TrimSpace(append(complaint.Bytes(), out.Bytes()...))
		if line, _, _ := bytes.Cut(text, []byte("\n")); len(line) > 0 {
			return nil, fmt.Errorf("%s: %w: %.200q", program, err, strings.TrimSpace(string(line)))
		}
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return out.Bytes(), nil
}

// capped keeps what a program prints up to a limit.
type capped struct {
	bytes.Buffer
	full bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.Len()+len(p) > mostPrint {
		c.full = true
		return 0, errors.New("too much output")
	}
	return c.Buffer.Write(p)
}

// restart finds out whether values wait for a restart.
func restart(l *nt.Live) {
	written, dhcp, err := parametersWritten()
	if err != nil {
		l.Notes = append(l.Notes, fmt.Sprintf("whether a restart is pending is not known: %v", err))
		return
	}
	pending(l, written, time.Now().Add(-windows.DurationSinceBoot()), dhcp)
}

// parametersWritten returns when Tcpip\Parameters was written last, and whether
// DHCP writes there.
func parametersWritten() (time.Time, bool, error) {
	k, err := winreg.OpenKey(winreg.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\`+nt.ParametersKey, winreg.QUERY_VALUE)
	if err != nil {
		return time.Time{}, false, err
	}
	defer k.Close()
	info, err := k.Stat()
	if err != nil {
		return time.Time{}, false, err
	}
	names, err := k.ReadValueNames(-1)
	if err != nil {
		return time.Time{}, false, err
	}
	dhcp := false
	for _, n := range names {
		dhcp = dhcp || strings.HasPrefix(strings.ToLower(n), "dhcp")
	}
	return info.ModTime(), dhcp, nil
}
