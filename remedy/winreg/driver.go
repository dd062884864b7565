package winreg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
)

// The kinds of objects in a registry. Each is named by its path below
// HKEY_LOCAL_MACHINE\SYSTEM, such as ControlSet001\Services\Tcpip\Parameters\MaxUserPort.
const (
	KindValue = "registry-value"
	KindKey   = "registry-key"
)

// A Source opens the registry that a driver changes.
type Source struct {
	// Open opens HKEY_LOCAL_MACHINE\SYSTEM for reading and writing.
	Open func() (registry.Store, error)
	// File is the file that it lies in; "" for the registry of a running system.
	File string
	// Clean, if set, removes what a write of File that was cut off left beside it.
	Clean func() error
}

// A Driver reads and writes the values of one registry.
type Driver struct {
	Source
	store registry.Store // nil until it is needed, and after a failure
	seen  os.FileInfo    // of File, when store was opened or flushed
}

// New returns the driver of a registry. A file that may not be written, and one
// that [registry.Store] implementations know to be in no state to be written, is an
// error at once: a plan for it would be in vain.
func New(s Source) (*Driver, error) {
	d := &Driver{Source: s}
	if err := d.writable(); err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	return d, nil
}

// writable refuses a file whose owner made it read-only: to put another in its
// place would pass over what the owner said.
func (d *Driver) writable() error {
	if d.File == "" {
		return nil
	}
	fi, err := os.Stat(d.File)
	if err != nil {
		return err
	}
	if fi.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s is read-only (mode %04o): make it writable first", d.File, fi.Mode().Perm())
	}
	return nil
}

// open opens the registry, again if the file is not the one that was read.
func (d *Driver) open() error {
	if d.store != nil && d.File != "" {
		now, err := os.Stat(d.File)
		if err != nil || !os.SameFile(now, d.seen) || now.Size() != d.seen.Size() || !now.ModTime().Equal(d.seen.ModTime()) {
			d.drop()
		}
	}
	if d.store != nil {
		return nil
	}
	if d.File != "" {
		var err error
		// Before the file is read: what changes later is then seen to have changed.
		if d.seen, err = os.Stat(d.File); err != nil {
			return err
		}
	}
	s, err := d.Open()
	if err != nil {
		return err
	}
	if u, ok := s.(interface{ Unclean() error }); ok {
		if err := u.Unclean(); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	d.store = s
	return nil
}

// drop forgets the registry, so that what did not reach the file is forgotten.
func (d *Driver) drop() {
	if d.store != nil {
		_ = d.store.Close() // what was not flushed is not wanted
		d.store = nil
	}
}

// split parts the path of a value into those of its key and its name.
func split(object string) (key, name string) {
	i := strings.LastIndexByte(object, '\\')
	return object[:max(i, 0)], object[i+1:]
}

// Read implements [remedy.Driver].
func (d *Driver) Read(kind, object string) (remedy.State, error) {
	if err := d.open(); err != nil {
		return remedy.State{}, err
	}
	if kind == KindKey {
		_, err := d.store.Keys(object)
		if errors.Is(err, fs.ErrNotExist) {
			return remedy.Absent, nil
		}
		return remedy.State{}, err
	}
	v, err := d.store.Get(split(object))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return remedy.Absent, nil
	case err != nil:
		return remedy.State{}, err
	}
	return stateOf(v), nil
}

// Write implements [remedy.Driver].
func (d *Driver) Write(kind, object string, s remedy.State) error {
	if err := d.open(); err != nil {
		return err
	}
	err := d.write(kind, object, s)
	if err == nil {
		err = d.store.Flush()
	}
	if err != nil {
		d.drop()
		return err
	}
	if d.File != "" {
		if d.seen, err = os.Stat(d.File); err != nil {
			d.drop()
			return err
		}
	}
	return nil
}

func (d *Driver) write(kind, object string, s remedy.State) error {
	if kind == KindKey {
		if s.Absent {
			return d.deleteKey(object)
		}
		return d.store.Create(object)
	}
	key, name := split(object)
	if s.Absent {
		return d.store.Delete(key, name)
	}
	v, err := valueOf(name, s)
	if err != nil {
		return err
	}
	return d.store.Set(key, v)
}

// deleteKey removes a key that this package made. One that somebody has put
// something into since is not empty and stays.
func (d *Driver) deleteKey(path string) error {
	keys, err := d.store.Keys(path)
	if err != nil {
		return err
	}
	values, err := d.store.Values(path)
	if err != nil {
		return err
	}
	if len(keys)+len(values) > 0 {
		return fmt.Errorf("the key is not empty: %d keys and %d values are in it", len(keys), len(values))
	}
	return d.store.DeleteKey(path)
}

// Torn implements [remedy.Driver]: a value is written as a whole.
func (*Driver) Torn(remedy.Step, remedy.State) bool { return false }

// Keep says why a key that a plan made is to stay: others have put something into
// it since. "" for no reason.
func (d *Driver) Keep(s remedy.Step, p remedy.Plan) string {
	if s.Kind != KindKey || d.open() != nil {
		return "" // whoever removes it will say so
	}
	var names []string
	for _, v := range list(d.store.Values(s.Object)) {
		names = append(names, v.Name)
	}
	for _, name := range append(list(d.store.Keys(s.Object)), names...) {
		object := registry.Join(s.Object, name)
		if !slices.ContainsFunc(p.Steps, func(t remedy.Step) bool { return strings.EqualFold(t.Object, object) }) {
			return fmt.Sprintf("%s stays, since there is more in it, such as %s", s.Object, name)
		}
	}
	return ""
}

// list drops an error of what is absent or cannot be read: it then keeps nothing.
func list[T any](l []T, _ error) []T { return l }

// Clean implements [remedy.Driver].
func (d *Driver) Clean(string, string) error {
	if d.Source.Clean == nil {
		return nil
	}
	return d.Source.Clean()
}

// Boot implements [remedy.Driver]: a registry outlives restarts.
func (*Driver) Boot() string { return "" }

// Close implements [remedy.Driver].
func (d *Driver) Close() error {
	d.drop()
	return nil
}

// Store returns the registry for reading, below HKEY_LOCAL_MACHINE\SYSTEM. It
// is valid until the next call of another method.
func (d *Driver) Store() (registry.Store, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	return d.store, nil
}
