package socket

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// procTree makes a tree as /proc is: a path that ends in /comm holds a name,
// any other is a link, and one that ends in / a folder.
func procTree(t *testing.T, entries map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range entries {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case strings.HasSuffix(name, "/comm"):
			err = os.WriteFile(path, []byte(value+"\n"), 0o644)
		default:
			err = os.Symlink(value, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOwnersAreReadFromProc(t *testing.T) {
	root := procTree(t, map[string]string{
		"12/comm":      "two words) and",
		"12/fd/0":      "/dev/null",
		"12/fd/3":      "socket:[123]",
		"12/fd/4":      "pipe:[124]",
		"12/fd/5":      "socket:[18446744073709551615]",
		"12/fd/6":      "socket:[x]",
		"12/fd/7":      "anon_inode:[eventpoll]",
		"13/comm":      "idle",
		"13/fd/1":      "/tmp/socket:[125]",
		"14/comm":      "thread-less",
		"14/fd/0":      "socket:[127]",
		"15/comm":      "gone",         // no fd: it ended meanwhile
		"16/fd/0":      "socket:[128]", // no comm: likewise
		"17/fd/":       "",
		"self/comm":    "self",
		"self/fd/0":    "socket:[129]",
		"sys/":         "",
		"version/comm": "",
	})
	o, err := procOwners(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[uint64]Owner)
	for _, inode := range []uint64{0, 123, 124, 125, 127, 128, 129, 1<<64 - 1} {
		if i := o.Of(inode); i != NoOwner {
			got[inode] = o.At(i)
		}
	}
	want := map[uint64]Owner{123: {12, "two words) and"}, 1<<64 - 1: {12, "two words) and"}, 127: {14, "thread-less"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if o.Len() != 2 {
		t.Errorf("%d owners", o.Len())
	}
}

func TestProcThatCannotBeListedIsAnError(t *testing.T) {
	_, err := procOwners(t.Context(), filepath.Join(t.TempDir(), "proc"))
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "list processes: ") {
		t.Errorf("got %v", err)
	}
}

func TestReadingProcEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o, err := procOwners(ctx, procTree(t, map[string]string{"1/comm": "init"})); err != context.Canceled {
		t.Errorf("got %v, %v", o, err)
	}
}
