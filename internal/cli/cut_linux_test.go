package cli_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/portroom/portroom/internal/cli"
	"github.com/portroom/portroom/remedy"
)

// The ways to be cut off at an operation on files.
const (
	before = "before" // it
	half   = "half"   // the data is there in part
	after  = "after"  // it
	lost   = "lost"   // after it, and what was not synced yet is gone, as when power fails
	lie    = "lie"    // instead of it another value is written
	pause  = "pause"  // before it, until SIGCONT comes
	blank  = "blank"  // the same, but the names are on the disk and only contents are gone
)

// cut is portroom that is killed at an operation on files: CUT=NUMBER:HOW. With
// CUT_LOG=FILE it writes down its operations instead.
func cut() {
	c := new(cutter)
	at, how, _ := strings.Cut(os.Getenv("CUT"), ":")
	c.at, _ = strconv.Atoi(at)
	c.how = how
	if name := os.Getenv("CUT_LOG"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			panic(err)
		}
		c.log = f
	}
	os.Exit(cli.MainWith(c))
}

// A cutter is the files of the system until it kills its process.
type cutter struct {
	disk remedy.Disk
	at   int
	how  string
	log  *os.File

	n       int
	pending []unsynced
}

// unsynced is something that a loss of power takes back: what, and which sync
// prevents it.
type unsynced struct {
	until  string // the path that has to be synced
	name   bool   // a name in the directory until, else the content of the file until
	revert func(file string)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// op carries out an operation. part does half of it, nil when it has no halves.
// The rest says what is to be synced for it to last, and how it is taken back.
func (c *cutter) op(name, path string, run func() error, part func(), undo ...unsynced) error {
	c.n++
	if c.log != nil {
		fmt.Fprintf(c.log, "%s %v %s\n", name, part != nil, path)
	}
	if c.n == c.at {
		switch c.how {
		case before:
			die()
		case pause:
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			return run()
		case half:
			if part != nil {
				part()
			}
			die()
		}
	}
	err := run()
	if err == nil {
		c.pending = append(c.pending, undo...)
	}
	if c.n == c.at {
		for i := len(c.pending) - 1; i >= 0; i-- {
			if u := c.pending[i]; c.how == lost || c.how == blank && !u.name {
				u.revert(u.until)
			}
		}
		if c.how != lie {
			die()
		}
	}
	return err
}

// content returns what brings a path back to what it holds now.
func content(path string) func(string) {
	fi, err := os.Lstat(path)
	if err != nil {
		return func(string) { os.RemoveAll(path) }
	}
	b, _ := os.ReadFile(path)
	st := fi.Sys().(*syscall.Stat_t)
	return func(string) {
		_ = os.WriteFile(path, b, 0o600)
		_ = os.Chmod(path, fi.Mode().Perm())
		_ = os.Lchown(path, int(st.Uid), int(st.Gid))
	}
}

func (c *cutter) Mkdir(path string, mode fs.FileMode) error {
	return c.op("mkdir", path, func() error { return c.disk.Mkdir(path, mode) }, nil,
		unsynced{filepath.Dir(path), true, func(string) { os.RemoveAll(path) }})
}

func (c *cutter) Create(path string, data []byte) error {
	return c.op("create", path, func() error { return c.disk.Create(path, data) },
		func() { _ = c.disk.Create(path, data[:len(data)/2]) },
		unsynced{filepath.Dir(path), true, func(string) { os.Remove(path) }},
		unsynced{path, false, func(file string) { _ = os.Truncate(file, 0) }})
}

func (c *cutter) Append(path string, data []byte) error {
	return c.op("append", path, func() error { return c.disk.Append(path, data) },
		func() { _ = c.disk.Append(path, data[:len(data)/2]) },
		unsynced{path, false, content(path)})
}

func (c *cutter) Truncate(path string, size int64) error {
	return c.op("truncate", path, func() error { return c.disk.Truncate(path, size) }, nil, unsynced{path, false, content(path)})
}

func (c *cutter) Own(path string, mode fs.FileMode, uid, gid int) error {
	return c.op("own", path, func() error { return c.disk.Own(path, mode, uid, gid) }, nil)
}

func (c *cutter) Sync(path string) error {
	return c.op("sync", path, func() error {
		err := c.disk.Sync(path)
		var left []unsynced
		for _, u := range c.pending {
			if u.until != path {
				left = append(left, u)
			}
		}
		c.pending = left
		return err
	}, nil)
}

func (c *cutter) Rename(from, to string) error {
	old, back := content(to), content(from)
	return c.op("rename", to, func() error {
		if err := c.disk.Rename(from, to); err != nil {
			return err
		}
		for i, u := range c.pending {
			if u.until == from {
				c.pending[i].until = to // what is not on the disk yet has another name
			}
		}
		return nil
	}, nil, unsynced{filepath.Dir(to), true, func(string) { old(""); back("") }})
}

func (c *cutter) Remove(path string) error {
	var back func(string)
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		back = func(string) { _ = os.Mkdir(path, fi.Mode().Perm()) }
	} else {
		back = content(path)
	}
	return c.op("remove", path, func() error { return c.disk.Remove(path) }, nil, unsynced{filepath.Dir(path), true, back})
}

// Put is a write to the kernel, which takes up to a page in one call.
func (c *cutter) Put(path string, data []byte) error {
	var part func()
	if page := os.Getpagesize(); len(data) > page {
		part = func() {
			if fd, err := syscall.Open(path, syscall.O_WRONLY, 0); err == nil {
				_, _ = syscall.Write(fd, data) // of which it takes the first page
			}
		}
	}
	if c.how == lie && c.n+1 == c.at {
		data = []byte(os.Getenv("CUT_LIE"))
	}
	return c.op("put", path, func() error { return c.disk.Put(path, data) }, part)
}
