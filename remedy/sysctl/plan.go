package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/portroom/portroom/internal/sysctld"
	"github.com/portroom/portroom/remedy"
)

// A Scope says where a plan acts.
type Scope struct {
	Running bool   // in the running kernel
	Root    string // in the sysctl.d of the system under this directory; "" for none
}

// ErrNoSuchParameter says that a kernel or a namespace does not have a parameter.
var ErrNoSuchParameter = errors.New("this kernel has no such parameter, or not in this namespace")

// Steps returns the steps that carry out assignments, what is so already left
// out, and what a person should know of them.
func (d *Driver) Steps(set []Assignment, where Scope) (steps []remedy.Step, notes []string, err error) {
	for _, a := range set {
		if !where.Running {
			break
		}
		from, err := d.Read(Parameter, a.Key())
		switch {
		case err != nil:
			return nil, nil, err
		case from.Absent:
			return nil, nil, fmt.Errorf("%s: %w", a.Key(), ErrNoSuchParameter)
		case from.Data != a.Value:
			steps = append(steps, remedy.Step{
				Remedy: a.Remedy, Kind: Parameter, Object: a.Key(), From: from, To: remedy.State{Data: a.Value},
				Effect: remedy.Now, Why: a.Why, Hazard: a.Hazard,
			})
		}
	}
	if where.Root == "" {
		return steps, nil, nil
	}
	permanent, notes, err := d.permanent(set, where.Root)
	return append(steps, permanent...), notes, err
}

// names are what portroom calls its file, the first that is read late enough
// first. What an administrator numbers up to 59 comes before it, as does what a
// distribution ships.
var names = []string{"60-portroom.conf", "99-portroom.conf", "zz-portroom.conf", "zzz-portroom.conf"}

const head = `# Written by portroom. "portroom undo" takes back what it changed here.
`

func (d *Driver) permanent(set []Assignment, root string) (steps []remedy.Step, notes []string, err error) {
	conf, err := sysctld.Read(root)
	if err != nil {
		return nil, nil, fmt.Errorf("read what sysctl.d holds: %w", err)
	}
	var pairs []sysctld.Pair
	for _, a := range set {
		if now, ok := conf.Deciding(a.Key()); !ok || now.Value != a.Value {
			pairs = append(pairs, sysctld.Pair{Key: a.Key(), Value: a.Value})
			if ok && !slices.Contains(names, path.Base(now.File)) {
				notes = append(notes, fmt.Sprintf("%s sets %s to %q: portroom's file is read after it, and wins", now, a.Key(), now.Value))
			}
		}
		if now, ok := conf.DecidingLegacy(a.Key()); ok && !conf.Linked && now.Value != a.Value {
			notes = append(notes, fmt.Sprintf("%s sets %s to %q: systemd does not read that file, but sysctl --system does, after all others: change it there too", now, a.Key(), now.Value))
		}
	}
	if len(pairs) == 0 {
		return nil, notes, nil
	}
	file, from, text, err := d.file(conf, root, pairs)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Dir(file)
	if now, err := d.FileDriver.Read(remedy.KindDirectory, dir); err != nil {
		return nil, nil, err
	} else if now.Absent {
		if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s is not there, so %s is no root of a system", filepath.Dir(dir), root)
		}
		steps = append(steps, remedy.Step{
			Remedy: ByHand, Kind: remedy.KindDirectory, Object: dir, From: remedy.Absent, To: remedy.NewDirectory(),
			Effect: remedy.Permanent, Why: "for the file in it",
		})
	}
	to := remedy.NewFile(text)
	if !from.Absent {
		to.Form = from.Form
	}
	return append(steps, remedy.Step{
		Remedy: set[0].Remedy, Kind: remedy.KindFile, Object: file, From: from, To: to, Effect: remedy.Permanent,
		Why: "so that it is set at each start",
	}), notes, nil
}

// file chooses the file whose lines decide: the one that portroom has there, if
// they would, or the first name with which they do.
func (d *Driver) file(conf *sysctld.Config, root string, pairs []sysctld.Pair) (file string, from remedy.State, text string, err error) {
	var choice []string
	for _, f := range conf.Files {
		if slices.Contains(names, f.Name) && path.Dir(f.Path) == sysctld.Dir {
			choice = append(choice, f.Name)
		}
	}
	var winner string
	for _, name := range append(choice, names...) {
		file = filepath.Join(root, sysctld.Dir, name)
		if from, err = d.FileDriver.Read(remedy.KindFile, file); err != nil {
			return "", from, "", err
		}
		text = sysctld.Edit(from.Data, head, pairs)
		after := conf.With(name, text)
		decides := true
		for _, p := range pairs {
			a, ok := after.Deciding(p.Key)
			if !ok || a.Value != p.Value {
				decides = false
				winner = a.String()
			}
		}
		if decides {
			return file, from, text, nil
		}
	}
	return "", from, "", fmt.Errorf("%s would override whatever portroom writes: change it there", winner)
}
