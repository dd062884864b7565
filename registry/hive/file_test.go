package hive

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/internal/atomicfile"
	"github.com/portroom/portroom/registry"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAFileIsWrittenOnlyWhenThereIsSomethingToWrite(t *testing.T) {
	path := inFile(t, t.TempDir(), "SYSTEM", 5)
	old := read(t, path)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f := opened(t, path)
	for _, do := range []func() error{
		func() error { return f.Create("Select") }, // it is there
		func() error { f.Bytes(); return f.Flush() },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Error("the file was written although nothing had changed")
	}
	if err := f.Set("Select", registry.NewDWORD("Current", 2)); err != nil {
		t.Fatal(err)
	}
	f.Bytes() // seals, and must not make Flush believe that all is written
	if got := read(t, path); !bytes.Equal(old, got) {
		t.Error("a change was written before Flush")
	}
	for range 2 { // the second time there is nothing to do
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	now := read(t, path)
	if p, s := get32(now, atPrimary), get32(now, atSecondary); p != 6 || s != 6 {
		t.Errorf("sequence numbers %d and %d, want 6", p, s)
	}
	if bytes.Equal(now[atWritten:atWritten+8], old[atWritten:atWritten+8]) {
		t.Error("the time is the old one")
	}
	if !bytes.Equal(now[atWritten:atWritten+8], now[baseSize+binWritten:][:8]) {
		t.Error("the first bin has another time")
	}
	// Set again in the same place: only header and one value differ.
	diff := 0
	for i := range now {
		if i >= baseSize+binHeader && now[i] != old[i] {
			diff++
		}
	}
	if diff > 12 { // the number, and the time of the key
		t.Errorf("%d bytes of the bins differ", diff)
	}
	if v, err := opened(t, path).Get("Select", "current"); err != nil || v.Data[0] != 2 {
		t.Errorf("read back: %v, %v", v, err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func TestWhatComesUpInTheMeantimeForbidsWriting(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		is     func(error) bool
	}{
		"somebody else writes the hive": {
			func(t *testing.T, path string) { put(t, path, append(read(t, path), make([]byte, 4096)...)) },
			func(err error) bool { return errors.Is(err, atomicfile.ErrChanged) },
		},
		"somebody else takes it away": {
			func(t *testing.T, path string) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
			func(err error) bool { return errors.Is(err, fs.ErrNotExist) },
		},
		"Windows logs a change": {
			func(t *testing.T, path string) { put(t, path+".LOG1", log(1, 9, "DIRT", 512)) },
			func(err error) bool { var e *LogsError; return errors.As(err, &e) },
		},
		"Windows goes to sleep": {
			func(t *testing.T, path string) {
				put(t, filepath.Join(filepath.Dir(path), "../../../hiberfil.sys"), append([]byte("HIBR"), make([]byte, 4096)...))
			},
			func(err error) bool { var e *HibernatedError; return errors.As(err, &e) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := inFile(t, t.TempDir(), "Windows/System32/config/SYSTEM", 5)
			f := opened(t, path)
			if err := f.Set("Select", registry.NewDWORD("Current", 2)); err != nil {
				t.Fatal(err)
			}
			c.change(t, path)
			before, _ := os.ReadFile(path)
			if err := f.Flush(); !c.is(err) {
				t.Errorf("flush: %v", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was written")
			}
		})
	}
}

func TestAHiveIsCreatedWhereNoFileIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a very long name, longer than the header has place for")
	f, err := Create(path, Options{Root: "$$$PROTO.HIV"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file before Flush: %v", err)
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || info.Size() != 8192 {
		t.Errorf("%v", info)
	}
	if _, err := Create(path, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	g := opened(t, path)
	if name := (key{g.root, g.at(g.root)}).name().String(); name != "$$$PROTO.HIV" {
		t.Errorf("the root is %q", name)
	}
	// To go on with the first is possible: it knows the file.
	if err := f.Create("x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(t.TempDir(), "late")
	if f, err = Create(late, Options{}); err != nil {
		t.Fatal(err)
	}
	put(t, late, []byte("theirs"))
	if err := f.Flush(); !errors.Is(err, fs.ErrExist) || string(read(t, late)) != "theirs" {
		t.Errorf("a file that came later: %v", err)
	}
	for _, o := range []Options{{Minor: 2}, {Minor: 7}, {Minor: -1}, {Root: strings.Repeat("x", 256)}, {Root: "\xff"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	put(t, text, []byte("no hive"))
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        "no regular file",
		text:                       "not a registry hive",
	} {
		_, err := Open(path, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%v, want %q and the path once", err, want)
		}
	}
}

// Windows makes files longer at once than it needs.
func TestWhatLiesBehindTheBinsIsUsedForNewOnes(t *testing.T) {
	b := append(bytes.Clone(sample(t, 5)), bytes.Repeat([]byte{0xcc}, 5000)...)
	h, err := Parse(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	length := len(b)
	if err := h.Set("Select", registry.Value{Name: "x", Type: registry.Binary, Data: make([]byte, 3000)}); err != nil {
		t.Fatal(err)
	}
	if got := len(h.Bytes()); got != length {
		t.Errorf("%d bytes, were %d", got, length)
	}
	if err := h.Set("Select", registry.Value{Name: "y", Type: registry.Binary, Data: make([]byte, 3000)}); err != nil {
		t.Fatal(err)
	}
	if v, err := checked(t, h).Get("Select", "y"); err != nil || !bytes.Equal(v.Data, make([]byte, 3000)) {
		t.Errorf("%v", err)
	}
}
