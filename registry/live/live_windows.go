package live

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	winreg "golang.org/x/sys/windows/registry"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/internal/rawvalue"
)

var predefined = [...]winreg.Key{
	winreg.LOCAL_MACHINE, winreg.CURRENT_USER, winreg.USERS, winreg.CLASSES_ROOT, winreg.CURRENT_CONFIG,
}

// What package winreg does not offer, or not for a view.
var (
	advapi32       = windows.NewLazySystemDLL("advapi32.dll")
	regDeleteKeyEx = advapi32.NewProc("RegDeleteKeyExW") // since XP x64 and Vista
	regFlushKey    = advapi32.NewProc("RegFlushKey")
)

type store struct {
	root Root
	key  winreg.Key
	// unflushed names a key that is there of each changed hive; the hives of
	// HKEY_LOCAL_MACHINE are its subkeys.
	unflushed map[string]string
}

func open(root Root) (registry.Store, error) {
	if root < 0 || int(root) >= len(predefined) {
		return nil, fmt.Errorf("open registry: unknown %v", root)
	}
	return &store{root: root, key: predefined[root], unflushed: make(map[string]string)}, nil
}

// at opens a key. The caller closes it.
func (s *store) at(path string, access uint32) (winreg.Key, error) {
	return winreg.OpenKey(s.key, clean(path), access|winreg.WOW64_64KEY)
}

// clean removes backslashes that Windows would not pass over.
func clean(path string) string { return registry.Join(registry.Split(path)...) }

// fail makes the error of a call: an AbsentError if the key is not there.
func (s *store) fail(do, path string, err error) error {
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) || errors.Is(err, windows.ERROR_PATH_NOT_FOUND) || errors.Is(err, windows.ERROR_KEY_DELETED) {
		return registry.NoKey(path)
	}
	key := registry.Join(s.root.String(), path)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s key %s: not permitted; an administrator may, in an elevated prompt: %w", do, key, err)
	}
	return fmt.Errorf("%s key %s: %w", do, key, err)
}

// Keys returns the names of the keys directly below a key.
func (s *store) Keys(path string) ([]string, error) {
	k, err := s.at(path, winreg.READ)
	if err != nil {
		return nil, s.fail("read", path, err)
	}
	defer k.Close()
	names, err := k.ReadSubKeyNames(0)
	if err != nil {
		return nil, s.fail("read", path, err)
	}
	return names, nil
}

// Values returns the values of a key. One that is deleted meanwhile is left out.
func (s *store) Values(path string) ([]registry.Value, error) {
	k, err := s.at(path, winreg.READ)
	if err != nil {
		return nil, s.fail("read", path, err)
	}
	defer k.Close()
	names, err := k.ReadValueNames(0)
	if err != nil {
		return nil, s.fail("read", path, err)
	}
	list := make([]registry.Value, 0, len(names))
	for _, name := range names {
		v, err := rawvalue.Get(k, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, s.fail(fmt.Sprintf("read value %q of", name), path, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// Get returns one value of a key.
func (s *store) Get(path, name string) (registry.Value, error) {
	k, err := s.at(path, winreg.READ)
	if err != nil {
		return registry.Value{}, s.fail("read", path, err)
	}
	defer k.Close()
	v, err := rawvalue.Get(k, name)
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return registry.Value{}, registry.NoValue(path, name)
	}
	if err != nil {
		return registry.Value{}, s.fail(fmt.Sprintf("read value %q of", name), path, err)
	}
	return v, nil
}

// Create makes a key and those above it that are absent.
func (s *store) Create(path string) error {
	// Who may not write is not told so about a key that is there.
	if k, err := s.at(path, winreg.READ); err == nil {
		return k.Close()
	}
	k, _, err := winreg.CreateKey(s.key, clean(path), winreg.CREATE_SUB_KEY|winreg.WOW64_64KEY)
	if err != nil {
		return s.fail("create", path, err)
	}
	s.changed(path)
	return k.Close()
}

// Set writes one value of a key that is there.
func (s *store) Set(path string, v registry.Value) error {
	name, err := windows.UTF16PtrFromString(v.Name)
	if err != nil {
		return fmt.Errorf("set value %q: its name has a zero: %w", v.Name, err)
	}
	k, err := s.at(path, winreg.SET_VALUE)
	if err != nil {
		return s.fail("write", path, err)
	}
	defer k.Close()
	if err := rawvalue.Set(k, name, v); err != nil {
		return s.fail(fmt.Sprintf("set value %q of", v.Name), path, err)
	}
	s.changed(path)
	return nil
}

// Delete removes one value.
func (s *store) Delete(path, name string) error {
	k, err := s.at(path, winreg.SET_VALUE)
	if err != nil {
		return s.fail("write", path, err)
	}
	defer k.Close()
	err = k.DeleteValue(name)
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return registry.NoValue(path, name)
	}
	if err != nil {
		return s.fail(fmt.Sprintf("delete value %q of", name), path, err)
	}
	s.changed(path)
	return nil
}

// DeleteKey removes a key with everything below it. A root key is not emptied: no
// Windows would survive it.
func (s *store) DeleteKey(path string) error {
	path = clean(path)
	if path == "" {
		return fmt.Errorf("delete everything below %v: this is refused", s.root)
	}
	// The keys below go first, the deepest ones before all others.
	names, err := s.Keys(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.DeleteKey(registry.Join(path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return fmt.Errorf("delete key %q: %w", path, err)
	}
	if r, _, _ := regDeleteKeyEx.Call(uintptr(s.key), uintptr(unsafe.Pointer(p)), winreg.WOW64_64KEY, 0); r != 0 {
		return s.fail("delete", path, windows.Errno(r))
	}
	up := ""
	if i := strings.LastIndexByte(path, '\\'); i >= 0 {
		up = path[:i]
	}
	s.changed(up)
	return nil
}

// changed remembers that a key's hive is to be flushed.
func (s *store) changed(path string) {
	path = clean(path)
	hive, _, _ := strings.Cut(path, `\`)
	s.unflushed[strings.ToUpper(hive)] = path
}

// Flush has Windows write the changed hives to its disk, which it would do by
// itself within seconds.
func (s *store) Flush() error {
	for hive, path := range s.unflushed {
		// The key may be gone by now: then any other of the hive will do.
		k, err := s.at(path, winreg.QUERY_VALUE)
		if errors.Is(err, fs.ErrNotExist) {
			k, err = s.at(hive, winreg.QUERY_VALUE)
		}
		if errors.Is(err, fs.ErrNotExist) {
			k, err = s.at("", winreg.QUERY_VALUE)
		}
		if err != nil {
			return s.fail("flush", path, err)
		}
		r, _, _ := regFlushKey.Call(uintptr(k))
		k.Close()
		if r != 0 {
			return s.fail("flush", path, windows.Errno(r))
		}
		delete(s.unflushed, hive)
	}
	return nil
}

// Close does nothing: no key is held open.
func (s *store) Close() error { return nil }
