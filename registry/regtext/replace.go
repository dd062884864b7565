package regtext

import (
	"os"
	"path/filepath"
	"runtime"
)

// replace puts a file in place of the one at path, so that at any time either is
// there as a whole, after a crash too. Links are followed; the mode is kept.
func replace(path string, b []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".portroom-*.reg")
	if err != nil {
		return err
	}
	temp := f.Name()
	if err := keep(f, info); err != nil {
		f.Close()
		os.Remove(temp)
		return err
	}
	if err := finish(f, b); err != nil {
		os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(dir)
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

// syncDir makes a rename last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there, and renames need not be
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
