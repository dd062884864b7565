package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// file makes one and returns its path and what it is like.
func file(t *testing.T, content string) (string, os.FileInfo) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return path, stat(t, path)
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// holds asks that a file has a content and is alone in its folder.
func holds(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("the file holds %q, %v: want %q", b, err, want)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("in the folder are %v, %v", list, err)
	}
}

func TestAFileIsReplacedAndItsModeKept(t *testing.T) {
	path, seen := file(t, "old")
	now, err := Replace(path, []byte("new one"), seen)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new one")
	if os.SameFile(now, seen) || now.Mode() != seen.Mode() || now.Size() != 7 {
		t.Errorf("%v of %d bytes, the same file: %v", now.Mode(), now.Size(), os.SameFile(now, seen))
	}
	if _, err := Replace(path, []byte("newer"), now); err != nil {
		t.Error(err)
	}
	holds(t, path, "newer")
}

func TestALinkIsFollowed(t *testing.T) {
	path, seen := file(t, "old")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(link, []byte("new"), seen); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new")
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
}

func TestAFileThatIsNotTheOneSeenIsLeftAlone(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"longer": func(path string) error { return os.WriteFile(path, []byte("theirs, longer"), 0o600) },
		"later":  func(path string) error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) },
		"another file of the same length and time": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				return err
			}
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				return err
			}
			return os.Remove(path + ".old")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, seen := file(t, "old")
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			theirs, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Replace(path, []byte("new"), seen); !errors.Is(err, ErrChanged) {
				t.Errorf("error %v", err)
			}
			holds(t, path, string(theirs))
		})
	}
	path, seen := file(t, "old")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(path, []byte("new"), seen); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}

func TestANewFileReplacesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := New(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := New(path, []byte("newer")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	holds(t, path, "new")
}
