package record

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// ownMounts runs the test again in a process with a mount namespace of its own, so
// that a small disk can be mounted which goes with it. It reports whether this is
// that process.
func ownMounts(t *testing.T) bool {
	t.Helper()
	const env = "PORTROOM_TEST_MOUNTS"
	if os.Getenv(env) != "" {
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	need.Root(t)
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), env+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

func TestAFullDiskStopsTheRecordingUntilThereIsRoom(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=3m"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	path := filepath.Join(disk, "record.db")
	r, err := Create(path, Options{MaxSize: LeastSize})
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for err = nil; err == nil && n < 2000; {
		n++
		err = r.Append(numbered(n))
	}
	if !errors.Is(err, ErrNoRoom) {
		t.Fatalf("sample %d: %v, want that there is no room", n, err)
	}
	t.Logf("full at sample %d: %v", n, err)
	kept := r.Last()
	if kept != n-1 {
		t.Errorf("%d samples are said to be kept, want %d", kept, n-1)
	}
	for range 20 { // it stays full
		n++
		if err := r.Append(numbered(n)); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("%v", err)
		}
	}
	holdsAllUpTo(t, path, kept, true)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s := numbered(kept + 1)
	if err := r.Append(s); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	holdsAllUpTo(t, path, kept+1, true)
	// Full once more, and then without power: the file opens all the same.
	for err = nil; err == nil; {
		err = r.Append(numbered(r.Last() + 1))
	}
	last := r.Last()
	if err := r.lock.Close(); err != nil {
		t.Fatal(err)
	}
	holdsAllUpTo(t, path, last, true)
}
