package atomicfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/need"
)

func TestOwnerAndAttributesAreKept(t *testing.T) {
	need.Root(t)
	path, _ := file(t, "old")
	if err := unix.Chown(path, 1234, 4321); err != nil {
		t.Fatal(err)
	}
	// An access control list: user 77 may read, by an entry of its own.
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, ^uint32(0)}, {2, 4, 77}, {4, 4, ^uint32(0)}, {16, 4, ^uint32(0)}, {32, 0, ^uint32(0)}} {
		acl = binary.LittleEndian.AppendUint16(acl, e.tag)
		acl = binary.LittleEndian.AppendUint16(acl, e.perm)
		acl = binary.LittleEndian.AppendUint32(acl, e.id)
	}
	want := map[string][]byte{
		"user.note":               bytes.Repeat([]byte("long "), 100),
		"user.empty":              {},
		"system.posix_acl_access": acl,
	}
	for name, value := range want {
		err := unix.Setxattr(path, name, value, 0)
		need.That(t, !errors.Is(err, unix.ENOTSUP), "a folder for temporary files whose file system keeps "+name, "set TMPDIR")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	seen := stat(t, path)
	now, err := Replace(path, []byte("new"), seen)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new")
	for name, value := range want {
		if got, err := get(path, name); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if st := now.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 4321 || now.Mode() != seen.Mode() {
		t.Errorf("user %d, group %d, mode %v, was %v", st.Uid, st.Gid, now.Mode(), seen.Mode())
	}
}
