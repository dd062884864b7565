package cli

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/atomicfile"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/internal/winhost"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/emit"
	"github.com/portroom/portroom/remedy/winreg"
)

// registryKinds are the targets that are the registry of a Windows system.
var registryKinds = []target.Kind{target.Hive, target.System, target.Reg, target.Remote}

// An openedStore is the SYSTEM part of a target, which is closed as a whole.
type openedStore struct {
	registry.Store
	target *target.Opened
}

// Close closes every store of the target.
func (s openedStore) Close() error { return s.target.Close() }

// Unclean says why the registry is in no state to be written; nil if it is.
func (s openedStore) Unclean() error {
	if u, ok := s.Store.(interface{ Unclean() error }); ok {
		return u.Unclean()
	}
	return nil
}

// openRegistry opens a target and the driver that changes it.
func (f *targetFlags) openRegistry(ctx context.Context, t target.Target) (*target.Opened, *winreg.Driver, error) {
	o, err := t.Open(ctx, f.openers())
	if err != nil {
		return nil, nil, err
	}
	source := winreg.Source{}
	if t.Kind != target.Remote {
		source.File = o.Files[0]
		source.Clean = func() error { return atomicfile.Clean(cmp.Or[remedy.Files](f.files, remedy.Disk{}), source.File) }
	}
	first := o
	source.Open = func() (registry.Store, error) {
		o := first
		if first = nil; o == nil {
			var err error
			if o, err = t.Open(ctx, f.openers()); err != nil {
				return nil, err
			}
		}
		return openedStore{o.System, o}, nil
	}
	d, err := winreg.New(source)
	if err != nil {
		return nil, nil, targetError{t, errors.Join(err, o.Close())}
	}
	return o, d, nil
}

// proposeRegistry plans a change of the registry of another Windows system.
func proposeRegistry(ctx context.Context, a *app, f *changeFlags, t target.Target, want request) (*remedy.Proposal, remedy.Driver, error) {
	if f.rollback != 0 {
		return nil, nil, usagef("--rollback-after is for the running system: %s changes when it is restarted, and undo takes it back before or after", t)
	}
	if t.Kind != target.Remote {
		var err error
		// The journal is read in other directories.
		if t.Arg, err = filepath.Abs(t.Arg); err != nil {
			return nil, nil, err
		}
	}
	f.where.files = a.files
	o, d, err := f.where.openRegistry(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	s, err := o.Settings(nil)
	if err != nil {
		return nil, nil, targetError{t, errors.Join(err, d.Close())}
	}
	r := winreg.Request{Machine: o.Machine, Settings: s, Driver: d}
	p, err := proposeWindows(&r, want, func() (*finding.Facts, error) { return facts.OfTarget(s, t.String(), facts.Options{}), nil })
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	p.Plan.Target = remedy.Target{Kind: string(t.Kind), Name: t.String(), Path: t.Arg}
	p.Notes = append(o.Notes, p.Notes...)
	return p, d, nil
}

// proposeWindows makes the plan of a request and its backup. look tells what the
// remedies are chosen by.
func proposeWindows(r *winreg.Request, want request, look func() (*finding.Facts, error)) (p *remedy.Proposal, err error) {
	names, none := want.remedies, ""
	if want.values == nil && len(names) == 0 {
		f, err := look()
		if err != nil {
			return nil, err
		}
		names, none = choose(f, winreg.Remedies)
		if len(names) == 0 && (none == "" || r.Settings.System.Era == nt.UnknownEra) {
			none = r.Nothing()
		}
	}
	if want.values != nil {
		p, err = r.Set(want.values)
	} else {
		p, err = r.Fix(names)
	}
	if err == nil && none != "" {
		p.Notes = append(p.Notes, none)
	}
	var bad *winreg.ValueError
	if errors.As(err, &bad) {
		return nil, usageError{err}
	}
	if err == nil {
		p.System, p.Release = string(emit.Windows), r.Settings.System.Release
		p.Backups, err = winreg.Backup(r.Machine.System, r.Settings.System, p.Plan)
	}
	return p, err
}

func openRegistry(ctx context.Context, a *app, f *changeFlags, t remedy.Target) (remedy.Driver, error) {
	f.where.files = a.files
	_, d, err := f.where.openRegistry(ctx, target.Target{Kind: target.Kind(t.Kind), Arg: t.Path})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openWindows opens this Windows and the driver that changes it.
func openWindows(ctx context.Context) (*winhost.Host, *winreg.Running, error) {
	h, err := winhost.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	d, err := winreg.New(winreg.Source{Open: func() (registry.Store, error) { return hostStore{h.System, h}, nil }})
	if err != nil {
		return nil, nil, errors.Join(err, h.Close())
	}
	return h, &winreg.Running{Driver: d, Netsh: h.Netsh, PowerShell: h.PowerShell}, nil
}

// A hostStore is the SYSTEM part of this Windows.
type hostStore struct {
	registry.Store
	host *winhost.Host
}

// Close closes the registry.
func (s hostStore) Close() error { return s.host.Close() }

// proposeRunning plans a change of the Windows that portroom runs on.
func proposeRunning(ctx context.Context, a *app, f *changeFlags, t target.Target, want request) (*remedy.Proposal, remedy.Driver, error) {
	if f.emit == "" && (f.root != "" || f.only != "") {
		return nil, nil, usagef("--root and --only are for a Linux system")
	}
	h, d, err := openWindows(ctx)
	if err != nil {
		return nil, nil, err
	}
	s, err := h.Settings(h.Live)
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	r := winreg.Request{Machine: h.Machine, Settings: s, Live: h.Live, Driver: d}
	p, err := proposeWindows(&r, want, func() (*finding.Facts, error) { return a.localFacts(ctx) })
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	p.Plan.Target = remedy.Target{Kind: string(t.Kind), Name: "this host"}
	if s.System.Era == nt.UnknownEra {
		p.Notes = append(p.Notes, s.Notes...)
	}
	return p, d, nil
}

func openRunning(ctx context.Context, _ *app, _ *changeFlags, _ remedy.Target) (remedy.Driver, error) {
	_, d, err := openWindows(ctx)
	if err != nil {
		return nil, err
	}
	return d, nil
}
