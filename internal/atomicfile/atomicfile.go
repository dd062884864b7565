// Package atomicfile writes files so that at any time, after a crash too, either the
// old or the new content is there as a whole.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// ErrChanged says that a file is not the one that was read.
var ErrChanged = errors.New("it was changed since it was read: read it again")

// New writes a new file that its owner only can read. A file that is there is not
// replaced: the error is an [fs.ErrExist].
func New(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := finish(f, b); err != nil {
		os.Remove(path)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Replace puts a file in place of the one at path, which must still be as it was when
// seen was made of it, or the error is [ErrChanged]. Links are followed. Mode, owner,
// extended attributes and access control lists are kept; where they cannot be, nothing
// is replaced. It returns what seen is for the new file.
func Replace(path string, b []byte, seen os.FileInfo) (os.FileInfo, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	// Asked twice, here so that nothing large is written in vain.
	if err := unchanged(path, seen); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".portroom-*.new")
	if err != nil {
		return nil, err
	}
	temp := f.Name()
	defer os.Remove(temp) // in vain when it has got its new name
	if err := keep(f, path, seen); err != nil {
		f.Close()
		return nil, err
	}
	if err := finish(f, b); err != nil {
		return nil, err
	}
	if err := unchanged(path, seen); err != nil {
		return nil, err
	}
	if err := os.Rename(temp, path); err != nil {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return os.Stat(path)
}

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

// finish writes, syncs and closes.
func finish(f *os.File, b []byte) error {
	_, err := f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// syncDir makes a new name last. Some file systems, CIFS among them, cannot sync
// folders, and say EINVAL.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there, and renames need not be
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
