//go:build unix

package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// DefaultDir is where the journal is kept.
const DefaultDir = "/var/lib/portroom"

func mkdir(path string, mode fs.FileMode) error { return os.Mkdir(path, mode) }

// sync opens a file or a directory and waits until it is on the disk.
func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// owner returns whose a file is.
func owner(fi fs.FileInfo) (uid, gid int) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

// self returns whose new files are.
func self() (uid, gid int) { return os.Geteuid(), os.Getegid() }

// lock takes the lock of a state directory or says who has it. It ends with the
// process.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		b := make([]byte, 32)
		n, _ := f.Read(b)
		return nil, &LockedError{Path: path, By: strings.TrimSpace(string(b[:n]))}
	}
	// Who has it is for the sentence that the other one prints; the lock holds
	// without.
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	return f, nil
}

// unlock gives a lock back. Closing alone would leave it to a child that was
// forked meanwhile, until that executes its program.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// private refuses a directory that others may write to: they could put a journal
// there that makes an undo write what they like.
func private(path string, fi fs.FileInfo) error {
	uid, _ := owner(fi)
	if me := os.Geteuid(); uid != me && uid != 0 {
		return fmt.Errorf("%s belongs to user %d, who could change the journal: want a directory of your own", path, uid)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s may be written by others, who could change the journal: chmod go-w %s", path, path)
	}
	return nil
}
