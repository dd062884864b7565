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

// unsynced is something that power takes back: what, and which sync prevents it.
type unsynced struct {
	until  string // the path that has to be synced
	revert func()
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
		if c.how == lost {
			for i := len(c.pending) - 1; i >= 0; i-- {
				c.pending[i].revert()
			}
		}
		die()
	}
	return err
}

// content returns what brings a path back to what it holds now.
func content(path string) func() {
	fi, err := os.Lstat(path)
	if err != nil {
		return func() { os.RemoveAll(path) }
	}
	b, _ := os.ReadFile(path)
	st := fi.Sys().(*syscall.Stat_t)
	return func() {
		_ = os.WriteFile(path, b, 0o600)
		_ = os.Chmod(path, fi.Mode().Perm())
		_ = os.Lchown(path, int(st.Uid), int(st.Gid))
	}
}

func (c *cutter) Mkdir(path string, mode fs.FileMode) error {
	return c.op("mkdir", path, func() error { return c.disk.Mkdir(path, mode) }, nil,
		unsynced{filepath.Dir(path), func() { os.RemoveAll(path) }})
}

func (c *cutter) Create(path string, data []byte) error {
	return c.op("create", path, func() error { return c.disk.Create(path, data) },
		func() { _ = c.disk.Create(path, data[:len(data)/2]) },
		unsynced{filepath.Dir(path), func() { os.Remove(path) }},
		unsynced{path, func() { _ = os.Truncate(path, 0) }})
}

func (c *cutter) Append(path string, data []byte) error {
	return c.op("append", path, func() error { return c.disk.Append(path, data) },
		func() { _ = c.disk.Append(path, data[:len(data)/2]) },
		unsynced{path, content(path)})
}

func (c *cutter) Truncate(path string, size int64) error {
	return c.op("truncate", path, func() error { return c.disk.Truncate(path, size) }, nil, unsynced{path, content(path)})
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
	return c.op("rename", to, func() error { return c.disk.Rename(from, to) }, nil,
		unsynced{filepath.Dir(to), func() { old(); back() }})
}

func (c *cutter) Remove(path string) error {
	var back func()
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		back = func() { _ = os.Mkdir(path, fi.Mode().Perm()) }
	} else {
		back = content(path)
	}
	return c.op("remove", path, func() error { return c.disk.Remove(path) }, nil, unsynced{filepath.Dir(path), back})
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
	return c.op("put", path, func() error { return c.disk.Put(path, data) }, part)
}
