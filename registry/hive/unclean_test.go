package hive

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/registry"
)

// log makes a log of an old (1, 2) or the new type (6), whose header has one number
// twice.
func log(kind, number uint32, rest string, sector int) []byte {
	b := make([]byte, max(sector, 512)+4096)
	copy(b, "regf")
	put32(b, atPrimary, number)
	put32(b, atSecondary, number)
	put32(b, atMajor, 1)
	put32(b, atMinor, 5)
	put32(b, atType, kind)
	put32(b, atCluster, uint32(sector/512))
	reseal(b)
	copy(b[sector:], rest)
	return b
}

// entries are those of a log of the new type, of one sector each.
func entries(numbers ...uint32) string {
	var s strings.Builder
	for _, n := range numbers {
		e := make([]byte, 512)
		copy(e, "HvLE")
		put32(e, 4, 512)
		put32(e, 12, n)
		s.Write(e)
	}
	return s.String()
}

// inFile writes a hive of a sequence number into a folder.
func inFile(t testing.TB, dir, name string, number uint32) string {
	t.Helper()
	b := bytes.Clone(sample(t, 5))
	put32(b, atPrimary, number)
	put32(b, atSecondary, number)
	reseal(b)
	path := filepath.Join(dir, name)
	put(t, path, b)
	return path
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o640); err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The numbers are those of hives and logs that Windows left behind: a hive at 5 beside
// a log at 5 (Vista and later) or 4 (2000, XP) has what is in it; entries from 5 on are
// those that it has not.
func TestLogsThatAreNewerForbidChanges(t *testing.T) {
	half := log(1, 6, "DIRT", 512)
	put32(half, atPrimary, 7)
	reseal(half)
	damaged := log(1, 6, "DIRT", 512)
	damaged[100] ^= 1
	for name, c := range map[string]struct {
		file  string
		log   []byte
		newer bool
	}{
		"an empty log":                {"SYSTEM.LOG1", nil, false},
		"a log of zeros":              {"SYSTEM.LOG", make([]byte, 4096), false},
		"a log of a header alone":     {"SYSTEM.LOG", log(1, 6, "", 512)[:512], false},
		"of XP, taken over":           {"system.LOG", log(1, 4, "DIRT", 512), false},
		"of Vista, taken over":        {"SYSTEM.LOG1", log(1, 5, "DIRT", 512), false},
		"of Vista, newer":             {"SYSTEM.LOG1", log(1, 6, "DIRT", 512), true},
		"of 2000, newer":              {"system.log", log(2, 6, "DIRT", 512), true},
		"sectors of 4096, newer":      {"SYSTEM.LOG2", log(1, 6, "DIRT", 4096/2), true},
		"newer, but half written":     {"SYSTEM.LOG1", half, false},
		"newer, but damaged":          {"SYSTEM.LOG1", damaged, false},
		"newer, but without changes":  {"SYSTEM.LOG1", log(1, 6, "", 512), false},
		"of 10, taken over":           {"SYSTEM.LOG2", log(6, 3, entries(3, 4), 512), false},
		"of 10, newer":                {"SYSTEM.LOG2", log(6, 3, entries(3, 4, 5), 512), true},
		"of 10, older ones behind":    {"SYSTEM.LOG1", log(6, 4, entries(4, 9), 512), false},
		"of 10, to its end":           {"SYSTEM.LOG1", log(6, 5, entries(5, 6, 7, 8, 9, 10, 11, 12), 512), true},
		"of 10, an entry of no end":   {"SYSTEM.LOG1", log(6, 5, "HvLE\x00\x00\x00\x00", 512), false},
		"of another hive":             {"SOFTWARE.LOG1", log(1, 6, "DIRT", 512), false},
		"newer, but of a longer name": {"SYSTEM.LOG1.bak", log(1, 6, "DIRT", 512), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := inFile(t, dir, "SYSTEM", 5)
			put(t, filepath.Join(dir, c.file), c.log)
			f := opened(t, path)
			var logs *LogsError
			if got := errors.As(f.Unclean(), &logs); got != c.newer {
				t.Fatalf("unclean: %v", f.Unclean())
			}
			if c.newer && (logs.Log != filepath.Join(dir, c.file) || logs.Hive != 5 || logs.Sequence < 6) {
				t.Errorf("%+v", logs)
			}
			err := f.Set("Select", registry.NewDWORD("Current", 2))
			if got := errors.As(err, &logs); got != c.newer {
				t.Errorf("set: %v", err)
			}
			if v, err := f.Get("Select", ""); err != nil || v.Type != registry.SZ {
				t.Errorf("get: %v, %v", v, err)
			}
		})
	}
}

func TestAHibernatedWindowsForbidsChanges(t *testing.T) {
	page := func(head string) []byte { return append([]byte(head), make([]byte, 8192)...) }
	for name, c := range map[string]struct {
		hive, file string
		content    []byte
		sleeps     bool
	}{
		"hibernated":                 {"Windows/System32/config/SYSTEM", "hiberfil.sys", page("HIBR"), true},
		"hibernated XP":              {"WINDOWS/system32/config/system", "HIBERFIL.SYS", page("hibr"), true},
		"fast startup, taken up":     {"Windows/System32/config/SYSTEM", "hiberfil.sys", page("WAKE"), false},
		"half taken up":              {"Windows/System32/config/SYSTEM", "hiberfil.sys", page("RSTR"), true},
		"never hibernated":           {"WINNT/system32/config/system", "hiberfil.sys", page(""), false},
		"no file":                    {"Windows/System32/config/SYSTEM", "pagefile.sys", page("HIBR"), false},
		"a short file, as on volume": {"Windows/System32/config/SYSTEM", "hiberfil.sys", []byte{0}, true},
		"a hive in another folder":   {"copies/of/hives/SYSTEM", "hiberfil.sys", page("HIBR"), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := inFile(t, dir, c.hive, 5)
			put(t, filepath.Join(dir, c.file), c.content)
			f := opened(t, path)
			var asleep *HibernatedError
			if got := errors.As(f.Unclean(), &asleep); got != c.sleeps {
				t.Fatalf("unclean: %v", f.Unclean())
			}
			if c.sleeps && asleep.File != filepath.Join(dir, c.file) {
				t.Errorf("%+v", asleep)
			}
			if err := f.Delete("Select", ""); errors.As(err, &asleep) != c.sleeps {
				t.Errorf("delete: %v", err)
			}
		})
	}
}
