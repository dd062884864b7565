//go:build unix

package regtext

import (
	"io/fs"
	"os"
	"syscall"
)

// keep gives a file the owner, if one may, and the mode of another.
func keep(f *os.File, old fs.FileInfo) error {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		// Who is not root can only keep files that are their own anyway.
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
	return f.Chmod(old.Mode().Perm())
}
