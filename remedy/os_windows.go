package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// DefaultDir is where the journal is kept: below ProgramData, which administrators
// write to.
const DefaultDir = `C:\ProgramData\portroom`

// sync waits until a file is on the disk. NTFS keeps names in its own journal; a
// directory cannot be flushed by those who are not allowed to flush the volume.
func sync(path string) error {
	if fi, err := os.Stat(path); err != nil || fi.IsDir() {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// owner is not kept on Windows: a file has the owner and the access list that its
// directory gives it.
func owner(fs.FileInfo) (uid, gid int) { return -1, -1 }

func self() (uid, gid int) { return -1, -1 }

// lock takes the lock of a state directory. It ends with the process.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if err != nil {
		defer f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, &LockedError{Path: path}
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// unlock gives a lock back: it ends with the handle.
func unlock(f *os.File) error { return f.Close() }
