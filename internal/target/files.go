package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/portroom/portroom/registry"
)

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// hive opens a SYSTEM hive, and the SOFTWARE hive of the same name beside it.
func (o *Opened) hive(with Openers, path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return plainError(err)
	case info.IsDir():
		return errors.New("it is a folder: want the SYSTEM file itself, or system:DIR for a mounted Windows")
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file: want a SYSTEM hive")
	}
	return o.hives(with, path, sibling(path), "")
}

// hives opens a SYSTEM hive and, unless its path is empty, a SOFTWARE hive. That
// the second cannot be read costs the name of the product, no more. Errors of the
// first begin with prefix.
func (o *Opened) hives(with Openers, system, software, prefix string) error {
	s, err := with.Hive(system)
	if err != nil {
		return fmt.Errorf("%s%w", prefix, plainError(err))
	}
	o.System, o.stores, o.Files = s, append(o.stores, s), append(o.Files, system)
	o.doubt("SYSTEM", s)
	keys, err := s.Keys("")
	if err != nil {
		return err
	}
	if what := otherHive(keys); what != "" {
		return fmt.Errorf("%s is a %s hive: want the SYSTEM hive, which lies beside it", system, what)
	}
	if software == "" {
		return nil
	}
	w, err := with.Hive(software)
	if err != nil {
		o.Notes = append(o.Notes, fmt.Sprintf("SOFTWARE is left out: %v", plainError(err)))
		return nil
	}
	o.Software, o.stores, o.Files = w, append(o.stores, w), append(o.Files, software)
	o.doubt("SOFTWARE", w)
	return nil
}

// doubt notes that a hive is one that Windows has not finished with, if it can say
// so of itself.
func (o *Opened) doubt(name string, s registry.Store) {
	if h, ok := s.(interface{ Unclean() error }); ok {
		if err := h.Unclean(); err != nil {
			o.Notes = append(o.Notes, fmt.Sprintf("%s may be older than what that Windows would see: %v", name, err))
		}
	}
}

// otherHive names the hive that the keys at the root belong to, "" for SYSTEM and
// for what is not known.
func otherHive(keys []string) string {
	has := make(map[string]bool)
	for _, k := range keys {
		k = strings.ToLower(k)
		if strings.HasPrefix(k, "controlset") || k == "select" || k == "currentcontrolset" {
			return ""
		}
		has[k] = true
	}
	switch {
	case has["microsoft"] && (has["classes"] || !has["control panel"]):
		return "SOFTWARE"
	case has["software"] && has["control panel"]:
		return "user's"
	case has["sam"]:
		return "SAM"
	}
	return ""
}

// sibling finds the SOFTWARE hive that belongs to a SYSTEM hive: its name is the
// same but for that word, so that a folder with copies from many machines does not
// mix them up. "" when there is none.
func sibling(path string) string {
	dir, base := filepath.Split(path)
	at := strings.LastIndex(strings.ToLower(base), "system")
	if at < 0 || len(strings.ToLower(base)) != len(base) {
		return ""
	}
	want := base[:at] + "software" + base[at+len("system"):]
	var f finder
	for _, p := range f.named(filepath.Clean(dir), want) {
		if regular(p) {
			return p
		}
	}
	return ""
}

// system finds the hives of a mounted Windows. Names are compared without regard
// to case, because Windows wrote them and this system may be strict about it. dir
// is the volume, or the system root in it, or the folder with the hives.
func (o *Opened) system(with Openers, dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return plainError(err)
	case !info.IsDir():
		return errors.New("it is no folder: want the root of a mounted Windows volume or the Windows folder in it; for a file hive:FILE")
	}
	var f finder
	found := f.systemHives(dir)
	if len(found) == 0 {
		for _, root := range []string{"windows", "winnt"} {
			for _, r := range f.named(dir, root) {
				found = append(found, f.systemHives(r)...)
			}
		}
	}
	switch len(found) {
	case 0:
		if f.failed != nil {
			return fmt.Errorf("look for System32/config/SYSTEM: %w", f.failed)
		}
		return errors.New("there is no Windows in it: no System32/config/SYSTEM, neither there nor below WINDOWS or WINNT; is the volume mounted?")
	case 1:
		software := ""
		for _, p := range f.named(filepath.Dir(found[0]), "software") {
			if regular(p) {
				software = p
			}
		}
		return o.hives(with, found[0], software, found[0]+": ")
	}
	return fmt.Errorf("there is more than one Windows in it (%s): name one of these folders", strings.Join(roots(found), ", "))
}

// A finder looks for names whatever their case. It remembers the first folder that
// it could not read, because what lies there was not seen.
type finder struct{ failed error }

// systemHives returns the SYSTEM files of a system root, or of a config folder.
func (f *finder) systemHives(root string) []string {
	folders := []string{root}
	for _, system32 := range f.named(root, "system32") {
		folders = append(folders, f.named(system32, "config")...)
	}
	var out []string
	for _, folder := range folders {
		for _, p := range f.named(folder, "system") {
			if regular(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// roots are the system roots of hives.
func roots(hives []string) []string {
	var out []string
	for _, h := range hives {
		r := filepath.Dir(filepath.Dir(filepath.Dir(h)))
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	if len(out) < len(hives) {
		return hives
	}
	return out
}

// named returns the entries of a folder that have a name, whatever its case. What
// is no folder has none.
func (f *finder) named(dir, name string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if f.failed == nil && !errors.Is(err, syscall.ENOTDIR) && !isAbsent(err) {
			f.failed = err
		}
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// plainError drops the name of the system call and the path, which the target has
// already.
func plainError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
