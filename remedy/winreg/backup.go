package winreg

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/remedy"
)

// root is what the paths of a driver begin below.
const root = `HKEY_LOCAL_MACHINE\SYSTEM`

// Backup makes the backup that KB 196271 demands: every key that a plan changes
// something in, with all that is below it, and what restores the changed values,
// those that were absent as deletions. Both are .reg files that regedit imports, of
// the version that the system can read.
func Backup(system registry.Store, y nt.System, p remedy.Plan) ([]remedy.Backup, error) {
	var backup, restore regtext.File
	if strings.HasPrefix(y.Release, "4.") || strings.HasPrefix(y.Release, "3.") {
		form := regtext.Form{Version: regtext.REGEDIT4, Encoding: regtext.ANSI}
		backup.Form, restore.Form = form, form
	}
	exported := make(map[string]bool)
	for _, s := range p.Steps {
		if s.Kind != KindValue {
			continue
		}
		key, name := split(s.Object)
		if !exported[key] {
			exported[key] = true
			if err := export(&backup, system, key); err != nil {
				return nil, fmt.Errorf("back up %s: %w", key, err)
			}
		}
		if s.From.Absent {
			restore.Delete(registry.Join(root, key), name)
			continue
		}
		v, err := valueOf(name, s.From)
		if err != nil {
			return nil, err
		}
		restore.Set(registry.Join(root, key), v)
	}
	if len(exported) == 0 {
		return nil, nil
	}
	var out []remedy.Backup
	for _, f := range []struct {
		name string
		file *regtext.File
	}{{"backup.reg", &backup}, {"restore.reg", &restore}} {
		text, err := f.file.Print()
		if err != nil && f.file.Version == regtext.REGEDIT4 {
			f.file.Form = regtext.Form{} // what ANSI cannot hold
			text, err = f.file.Print()
		}
		if err != nil {
			return nil, err
		}
		out = append(out, remedy.Backup{Name: f.name, Data: text})
	}
	return out, nil
}

// export adds a key with everything below it. One that is absent adds nothing.
func export(f *regtext.File, s registry.Store, path string) error {
	values, err := s.Values(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Create(registry.Join(root, path))
	for _, v := range values {
		f.Set(registry.Join(root, path), v)
	}
	keys, err := s.Keys(path)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := export(f, s, registry.Join(path, k)); err != nil {
			return err
		}
	}
	return nil
}
