package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// lockFile takes the lock of a record: an exclusive lock of the operating system on
// the file FILE.lock, which falls with its process, however that ends. It is a file
// of its own because SQLite's locks are on the record itself, and readers must get
// by.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record into %s: %w", path, err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		text, _ := io.ReadAll(io.LimitReader(f, 32)) // only to say who
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &BusyError{File: path, PID: pid}
	}
	// Who has it, for the one that comes next. On a full disk the lock holds all the
	// same.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// errHeld says that somebody else has the lock.
var errHeld = errors.New("the lock is held")
