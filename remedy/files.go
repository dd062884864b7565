package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Files is every way in which this package and its drivers change files. Tests
// put one in its place that cuts the power.
type Files interface {
	// Mkdir makes one directory.
	Mkdir(path string, mode fs.FileMode) error
	// Create makes a new file with this content; the file must not be there.
	Create(path string, data []byte) error
	// Append writes to the end of a file that is there.
	Append(path string, data []byte) error
	// Truncate cuts a file to a length.
	Truncate(path string, size int64) error
	// Sync waits until a file, or the names in a directory, are on the disk.
	Sync(path string) error
	// Own gives a file its mode and owner.
	Own(path string, mode fs.FileMode, uid, gid int) error
	Rename(from, to string) error
	Remove(path string) error
	// Put writes to a file that is a door to the kernel: in one call, if the
	// kernel takes it in one.
	Put(path string, data []byte) error
}

// Disk is the Files of the operating system.
type Disk struct{}

// Mkdir implements [Files].
func (Disk) Mkdir(path string, mode fs.FileMode) error { return mkdir(path, mode) }

// Create implements [Files].
func (Disk) Create(path string, data []byte) error {
	return write(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, data)
}

// Append implements [Files].
func (Disk) Append(path string, data []byte) error {
	return write(path, os.O_WRONLY|os.O_APPEND, data)
}

// Put implements [Files].
func (Disk) Put(path string, data []byte) error { return write(path, os.O_WRONLY, data) }

func write(path string, flag int, data []byte) error {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Truncate implements [Files].
func (Disk) Truncate(path string, size int64) error { return os.Truncate(path, size) }

// Sync implements [Files].
func (Disk) Sync(path string) error { return sync(path) }

// Own implements [Files].
func (Disk) Own(path string, mode fs.FileMode, uid, gid int) error {
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	if uid < 0 && gid < 0 {
		return nil
	}
	return os.Lchown(path, uid, gid)
}

// Rename implements [Files].
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [Files].
func (Disk) Remove(path string) error { return os.Remove(path) }

// tempSuffix marks what a write that was cut off leaves. Readers of sysctl.d and
// the like take names that end in .conf only.
const tempSuffix = ".portroom-new"

// A FileDriver reads and writes whole files and directories, kinds "file" and
// "directory". A file is replaced by a rename, so that whoever reads it finds the
// old content or the new one.
type FileDriver struct{ Files Files }

// The kinds of a FileDriver.
const (
	KindFile      = "file"
	KindDirectory = "directory"
)

// Read implements [Driver]. Links are not followed: what one would be written
// through to is not this file.
func (d FileDriver) Read(kind, path string) (State, error) {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Absent, nil
	case err != nil:
		return State{}, err
	}
	uid, gid := owner(fi)
	form := fmt.Sprintf("%04o %d %d", fi.Mode().Perm(), uid, gid)
	if kind == KindDirectory {
		if !fi.IsDir() {
			return State{}, fmt.Errorf("%s is no directory: move it away", path)
		}
		return State{Form: form}, nil
	}
	if !fi.Mode().IsRegular() {
		return State{}, fmt.Errorf("%s is no regular file: remove it, or keep the setting elsewhere", path)
	}
	const most = 1 << 20
	if fi.Size() > most {
		return State{}, fmt.Errorf("%s has %d bytes: more than %d are not kept in the journal", path, fi.Size(), most)
	}
	b, err := os.ReadFile(path)
	return State{Data: string(b), Form: form}, err
}

// NewFile is the state of a new file of root's that everybody may read.
func NewFile(text string) State {
	return State{Data: text, Form: newForm(0o644)}
}

// NewDirectory is the state of a new directory.
func NewDirectory() State { return State{Form: newForm(0o755)} }

func newForm(mode fs.FileMode) string {
	uid, gid := self()
	return fmt.Sprintf("%04o %d %d", mode, uid, gid)
}

// Write implements [Driver].
func (d FileDriver) Write(kind, path string, s State) error {
	dir := filepath.Dir(path)
	if s.Absent {
		if err := d.Files.Remove(path); err != nil {
			return err
		}
		return d.Files.Sync(dir)
	}
	var mode fs.FileMode
	var uid, gid int
	if _, err := fmt.Sscanf(s.Form, "%o %d %d", &mode, &uid, &gid); err != nil {
		return fmt.Errorf("%s: %q is no mode and owner of a file", path, s.Form)
	}
	if kind == KindDirectory {
		if err := d.Files.Mkdir(path, mode); err != nil {
			return err
		}
		if err := d.Files.Own(path, mode, uid, gid); err != nil {
			return err
		}
		return d.Files.Sync(dir)
	}
	temp := path + tempSuffix
	if err := d.Clean(kind, path); err != nil {
		return err
	}
	err := d.Files.Create(temp, []byte(s.Data))
	if err == nil {
		err = d.Files.Own(temp, mode, uid, gid)
	}
	if err == nil {
		err = d.Files.Sync(temp)
	}
	if err == nil {
		err = d.Files.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, d.Clean(kind, path))
	}
	return d.Files.Sync(dir)
}

// Torn implements [Driver]: a directory may be there before it has its owner.
func (FileDriver) Torn(s Step, now State) bool {
	return s.Kind == KindDirectory && !now.Absent && (s.From.Absent || s.To.Absent)
}

// Clean implements [Driver].
func (d FileDriver) Clean(kind, path string) error {
	if kind != KindFile {
		return nil
	}
	temp := path + tempSuffix
	if _, err := os.Lstat(temp); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.Files.Remove(temp)
}

// Keep says why a directory that a plan made is to stay: others have put files
// into it since. "" for no reason.
func (FileDriver) Keep(s Step, p Plan) string {
	if s.Kind != KindDirectory {
		return ""
	}
	entries, err := os.ReadDir(s.Object)
	if err != nil {
		return "" // whoever removes it will say so
	}
	for _, e := range entries {
		path := filepath.Join(s.Object, e.Name())
		if !slices.ContainsFunc(p.Steps, func(t Step) bool {
			return t.Object == path || t.Kind == KindFile && t.Object+tempSuffix == path
		}) {
			return fmt.Sprintf("%s stays, since it holds other files, such as %s", s.Object, e.Name())
		}
	}
	return ""
}

// Boot implements [Driver]: files outlive restarts.
func (FileDriver) Boot() string { return "" }

// Close implements [Driver].
func (FileDriver) Close() error { return nil }
