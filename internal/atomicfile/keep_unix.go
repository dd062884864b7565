//go:build linux || darwin || freebsd

package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// keep gives a new file the owner, mode and attributes of the one at path.
func keep(f *os.File, path string, old os.FileInfo) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	was, ok1 := old.Sys().(*syscall.Stat_t)
	is, ok2 := mine.Sys().(*syscall.Stat_t)
	if ok1 && ok2 && (was.Uid != is.Uid || was.Gid != is.Gid) {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("its owner, user %d and group %d, cannot be kept: %w", was.Uid, was.Gid, err)
		}
	}
	if mine.Mode() != old.Mode() {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return fmt.Errorf("its mode %v cannot be kept: %w", old.Mode(), err)
		}
	}
	return keepAttributes(f, path)
}

// unlisted are attributes that drivers for NTFS have and do not list: the security
// descriptor and the attributes of ntfs-3g, and those of Linux' own driver ntfs3.
var unlisted = []string{"system.ntfs_acl", "system.ntfs_attrib", "system.ntfs_security", "system.dos_attrib"}

func keepAttributes(f *os.File, path string) error {
	fd := int(f.Fd())
	names, err := list(path)
	if err != nil && !absent(err) {
		return fmt.Errorf("its extended attributes cannot be read: %w", err)
	}
	for _, name := range append(names, unlisted...) {
		value, err := get(path, name)
		if absent(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("its attribute %s cannot be read: %w", name, err)
		}
		if err := unix.Fsetxattr(fd, name, value, 0); err != nil {
			// What a system sets by itself, such as labels of SELinux, may be for it
			// alone to set. The new file has it then, by the rules for its folder.
			if now, e := fget(fd, name); e == nil && bytes.Equal(now, value) || strings.HasPrefix(name, "security.") && errors.Is(err, unix.EPERM) {
				continue
			}
			return fmt.Errorf("its attribute %s cannot be kept: %w", name, err)
		}
	}
	return nil
}

func list(path string) ([]string, error) {
	b, err := grow(func(b []byte) (int, error) { return unix.Listxattr(path, b) })
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(b), "\x00"), func(s string) bool { return s == "" }), nil
}

func get(path, name string) ([]byte, error) {
	return grow(func(b []byte) (int, error) { return unix.Getxattr(path, name, b) })
}

func fget(fd int, name string) ([]byte, error) {
	return grow(func(b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) })
}

// grow calls until the buffer is large enough.
func grow(call func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := call(nil)
		if err != nil {
			return nil, err
		}
		b := make([]byte, n+64)
		n, err = call(b)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return b[:n], nil
	}
}

// absent reports whether the file, or the file system, has no such attribute.
func absent(err error) bool {
	return errors.Is(err, noAttribute) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}
