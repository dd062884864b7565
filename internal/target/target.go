// Package target opens what a --target names: the registry of a Windows system,
// wherever it lies.
package target

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
)

// Kind is where the settings live.
type Kind string

// The kinds.
const (
	Local  Kind = "local"  // this host
	Hive   Kind = "hive"   // a SYSTEM hive file
	System Kind = "system" // a mounted Windows volume or system root
	Reg    Kind = "reg"    // a .reg file
	Remote Kind = "remote" // the registry of another Windows host
)

// Want is what may be named, for messages.
const Want = "local, hive:FILE, system:DIR, reg:FILE or remote:HOST"

// A Target is a place where settings live. The zero Target is none.
type Target struct {
	Kind Kind
	Arg  string // file, folder or host; empty for Local
}

// Parse reads a target. Only its form is looked at.
func Parse(text string) (Target, error) {
	if text == string(Local) {
		return Target{Kind: Local}, nil
	}
	kind, arg, colon := strings.Cut(text, ":")
	switch k := Kind(kind); {
	case !colon || !slices.Contains([]Kind{Hive, System, Reg, Remote}, k):
		return Target{}, fmt.Errorf("%q is no target: want %s", text, Want)
	case arg == "":
		what := map[Kind]string{Hive: "file", System: "folder", Reg: "file", Remote: "host"}[k]
		return Target{}, fmt.Errorf("%q names no %s: want %s", text, what, Want)
	default:
		return Target{k, arg}, nil
	}
}

// String writes the target as Parse reads it.
func (t Target) String() string {
	if t.Arg == "" {
		return string(t.Kind)
	}
	return string(t.Kind) + ":" + t.Arg
}

// Openers open the registries of each kind. One that is nil stands for a kind
// that this program cannot open.
type Openers struct {
	// Hive opens a hive file, whose root is that of the store. Its errors need not
	// name the file.
	Hive func(path string) (registry.Store, error)
	// Reg opens a .reg file. The store's root is above HKEY_LOCAL_MACHINE.
	Reg func(path string) (registry.Store, error)
	// Remote opens the registry of a host. The store's root is HKEY_LOCAL_MACHINE.
	Remote func(ctx context.Context, host string) (registry.Store, error)
}

// An Opened target is a machine to be read. Close lets go of it.
type Opened struct {
	nt.Machine
	// Files are those that are read, SYSTEM first.
	Files []string
	// Notes are sentences on what is missing.
	Notes  []string
	stores []registry.Store
}

// Close closes every store.
func (o *Opened) Close() error {
	var all []error
	for _, s := range o.stores {
		all = append(all, s.Close())
	}
	return errors.Join(all...)
}

// Open opens the registry that a target names. Local is for the one who runs here
// to open and is refused. Errors say which target could not be opened.
func (t Target) Open(ctx context.Context, with Openers) (*Opened, error) {
	o := &Opened{}
	err := t.open(ctx, with, o)
	if err != nil {
		_ = o.Close() // nothing was changed
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return o, nil
}

var errNoOpener = errors.New("this system cannot open such a target")

func (t Target) open(ctx context.Context, with Openers, o *Opened) error {
	switch t.Kind {
	case Hive:
		if with.Hive == nil {
			return errNoOpener
		}
		return o.hive(with, t.Arg)
	case System:
		if with.Hive == nil {
			return errNoOpener
		}
		return o.system(with, t.Arg)
	case Reg:
		if with.Reg == nil {
			return errNoOpener
		}
		s, err := with.Reg(t.Arg)
		if err != nil {
			return err
		}
		o.stores, o.Files = []registry.Store{s}, []string{filepath.Clean(t.Arg)}
		return o.localMachine(registry.Sub(s, "HKEY_LOCAL_MACHINE"), "export HKEY_LOCAL_MACHINE\\SYSTEM, or the key Tcpip\\Parameters below it")
	case Remote:
		if with.Remote == nil {
			return errNoOpener
		}
		s, err := with.Remote(ctx, t.Arg)
		if err != nil {
			return err
		}
		o.stores = []registry.Store{s}
		return o.localMachine(s, "the host shows no registry of a Windows system")
	}
	return errors.New("the local host is not opened as a target")
}

// localMachine takes SYSTEM and SOFTWARE from one store.
func (o *Opened) localMachine(root registry.Store, hint string) error {
	var names []string
	keys, err := root.Keys("")
	if err != nil && !isAbsent(err) {
		return err
	}
	for _, k := range keys {
		names = append(names, strings.ToLower(k))
	}
	if !slices.Contains(names, "system") {
		return fmt.Errorf("there is no HKEY_LOCAL_MACHINE\\SYSTEM in it: %s", hint)
	}
	o.System = registry.Sub(root, "SYSTEM")
	if slices.Contains(names, "software") {
		o.Software = registry.Sub(root, "SOFTWARE")
	}
	return nil
}
