// Package atomicfile writes files so that at any time, after a crash too, either the
// old or the new content is there as a whole.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// ErrChanged says that a file is not the one that was read.
var ErrChanged = errors.New("it was changed since it was read: read it again")

// New writes a new file that its owner only can read. A file that is there is not
// replaced: the error is an [fs.ErrExist].
func New(path string, b []byte) error {
	var files disk
	if err := files.Create(path, b); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			os.Remove(path)
		}
		return err
	}
	if err := files.Sync(path); err != nil {
		os.Remove(path)
		return err
	}
	if err := files.Sync(filepath.Dir(path)); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// Files is every way in which [ReplaceBy] and [Clean] change files. Tests put one in
// its place that cuts the power.
type Files interface {
	// Create makes a new file with this content; the file must not be there.
	Create(path string, data []byte) error
	// Sync waits until a file, or the names in a folder, are on the disk.
	Sync(path string) error
	Rename(from, to string) error
	Remove(path string) error
}

// Replace puts a file in place of the one at path, which must still be as it was when
// seen was made of it, or the error is [ErrChanged]. Links are followed. Mode, owner,
// extended attributes and access control lists are kept; where they cannot be, nothing
// is replaced. It returns what seen is for the new file.
func Replace(path string, b []byte, seen os.FileInfo) (os.FileInfo, error) {
	return ReplaceBy(disk{}, path, b, seen)
}

// ReplaceBy is [Replace] by another way to change files.
func ReplaceBy(files Files, path string, b []byte, seen os.FileInfo) (os.FileInfo, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	// Asked twice, here so that nothing large is written in vain.
	if err := unchanged(path, seen); err != nil {
		return nil, err
	}
	temp := tempPrefix(path) + rand.Text()[:8] + tempSuffix
	if err := write(files, temp, path, b, seen); err != nil {
		if _, e := os.Lstat(temp); e == nil {
			_ = files.Remove(temp) // Clean may find it later
		}
		return nil, err
	}
	if err := files.Sync(filepath.Dir(path)); err != nil && !errors.Is(err, syscall.EINVAL) {
		return nil, err
	}
	return os.Stat(path)
}

// write makes the new file and gives it the old one's name.
func write(files Files, temp, path string, b []byte, seen os.FileInfo) error {
	if err := files.Create(temp, b); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = keep(f, path, seen)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := files.Sync(temp); err != nil {
		return err
	}
	if err := unchanged(path, seen); err != nil {
		return err
	}
	return files.Rename(temp, path)
}

const tempSuffix = ".new"

// tempPrefix is how the names of unfinished files begin that are to take the place
// of the one at path.
func tempPrefix(path string) string {
	dir, base := filepath.Split(path)
	const most = 200 // bytes, so that the whole fits into a name of 255
	return dir + "." + base[:min(len(base), most)] + ".portroom-"
}

// Clean removes what a [Replace] of the file at path left that was cut off by a kill
// or a loss of power.
func Clean(files Files, path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	prefix := filepath.Base(tempPrefix(path))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), tempSuffix) && e.Type().IsRegular() {
			if err := files.Remove(filepath.Join(filepath.Dir(path), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// disk is the Files of the operating system.
type disk struct{}

func (disk) Create(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// Sync does nothing for a folder of Windows: they cannot be synced there, and
// renames need not be. Some file systems elsewhere, CIFS among them, cannot either,
// and say EINVAL.
func (disk) Sync(path string) error {
	flag := os.O_RDONLY
	if runtime.GOOS == "windows" {
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return err
		}
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (disk) Rename(from, to string) error { return os.Rename(from, to) }
func (disk) Remove(path string) error     { return os.Remove(path) }

func unchanged(path string, seen os.FileInfo) error {
	now, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(now, seen) || now.Size() != seen.Size() || !now.ModTime().Equal(seen.ModTime()) {
		return ErrChanged
	}
	return nil
}
