package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/bsd"
)

// sysctlProgram is where macOS and FreeBSD have sysctl(8).
var sysctlProgram = map[bsd.System]string{bsd.MacOS: "/usr/sbin/sysctl", bsd.FreeBSD: "/sbin/sysctl"}

// openBSD opens this macOS or FreeBSD.
func openBSD(ctx context.Context, a *app, f *changeFlags, _ remedy.Target) (remedy.Driver, error) {
	return a.bsdDriver(ctx, f)
}

func (a *app) bsdDriver(ctx context.Context, f *changeFlags) (*bsd.Driver, error) {
	system := bsd.System(runtime.GOOS)
	d := &bsd.Driver{
		FileDriver: remedy.FileDriver{Files: a.journalOptions(ctx, f).Files}, System: system, Root: "/",
		Sysctl: func(args ...string) (string, error) { return runSysctl(ctx, sysctlProgram[system], args) },
	}
	boot, err := d.Sysctl("-n", system.BootParameter())
	d.BootID = strings.TrimSpace(boot)
	return d, err
}

// runSysctl runs sysctl(8). Both systems say of a name that the kernel does not have
// that it is an unknown oid.
func runSysctl(ctx context.Context, program string, args []string) (string, error) {
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	text := strings.TrimSpace(problems.String())
	switch {
	case err == nil:
		return out.String(), nil
	case strings.Contains(text, "unknown oid"):
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), bsd.ErrUnknown)
	case text != "":
		line, _, _ := strings.Cut(text, "\n")
		return "", fmt.Errorf("%s: %w", line, err)
	}
	return "", fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
}

// proposeBSD plans a change of this macOS or FreeBSD.
func proposeBSD(ctx context.Context, a *app, f *changeFlags, t target.Target, want request) (*remedy.Proposal, remedy.Driver, error) {
	d, err := a.bsdDriver(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case f.root != "" && d.System == bsd.MacOS:
		return nil, nil, usagef("--root: macOS reads no sysctl.conf")
	case f.only == onlyPermanent && d.System == bsd.MacOS:
		return nil, nil, usagef("--only permanent: macOS reads no sysctl.conf; --emit sysctl DIR writes a job for launchd")
	case f.root != "":
		d.Root = f.root
	case f.only == onlyRunning:
		d.Root = ""
	}
	var p *remedy.Proposal
	if want.values != nil {
		p, err = d.Set(want.values)
	} else {
		p, err = d.Fix(want.remedies)
	}
	var bad *bsd.ValueError
	if errors.As(err, &bad) {
		return nil, nil, usageError{err}
	}
	if err != nil {
		return nil, nil, err
	}
	if f.only == onlyPermanent {
		p.Plan.Steps = slices.DeleteFunc(p.Plan.Steps, func(s remedy.Step) bool { return s.Kind == bsd.Parameter })
	}
	p.Plan.Target = remedy.Target{Kind: string(t.Kind), Name: "this host", Boot: d.BootID}
	return p, d, nil
}
