package target

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Target{
		"local":            {Local, ""},
		"hive:SYSTEM":      {Hive, "SYSTEM"},
		`hive:C:\x\SYSTEM`: {Hive, `C:\x\SYSTEM`},
		"system:/mnt":      {System, "/mnt"},
		"reg:a:b.reg":      {Reg, "a:b.reg"},
		"remote:web1":      {Remote, "web1"},
	} {
		if got, err := Parse(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":           `"" is no target: want local, hive:FILE`,
		"mars":       `"mars" is no target`,
		"local:here": `"local:here" is no target`,
		"Hive:x":     `"Hive:x" is no target`,
		"hive:":      `"hive:" names no file`,
		"system:":    `"system:" names no folder`,
		"remote:":    `"remote:" names no host`,
	} {
		if _, err := Parse(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// store is a registry in memory that remembers whether it was closed.
type store struct {
	registry.Store
	closed *int
}

func (s store) Close() error { *s.closed++; return nil }

// keys makes a registry with some keys.
func keys(t *testing.T, closed *int, paths ...string) registry.Store {
	t.Helper()
	s := regtext.NewStore(&regtext.File{})
	for _, p := range paths {
		if err := s.Create(`HKEY_LOCAL_MACHINE\` + p); err != nil {
			t.Fatal(err)
		}
	}
	return store{s, closed}
}

// hives opens a file as the hive that its text names, and counts what is closed.
func hives(t *testing.T, opened, closed *int) Openers {
	return Openers{Hive: func(path string) (registry.Store, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		*opened++
		var s registry.Store
		switch string(b) {
		case "SYSTEM":
			s = keys(t, closed, `Select`, `ControlSet001`)
		case "SOFTWARE":
			s = keys(t, closed, `Classes`, `Microsoft`)
		default:
			*opened--
			return nil, errors.New("not a registry hive")
		}
		return registry.Sub(s, `HKEY_LOCAL_MACHINE`), nil
	}}
}

// files writes files whose text is the hive that they stand for.
func files(t *testing.T, dir string, tree map[string]string) {
	t.Helper()
	for name, text := range tree {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHivesAreFound(t *testing.T) {
	both := func(dir string) map[string]string {
		return map[string]string{dir + "SYSTEM": "SYSTEM", dir + "software": "SOFTWARE"}
	}
	for name, c := range map[string]struct {
		tree   map[string]string
		target string // %s is the folder
		want   []string
		err    string
		note   string
	}{
		"a file with its sibling":              {both(""), "hive:%s/SYSTEM", []string{"SYSTEM", "software"}, "", ""},
		"a file alone":                         {map[string]string{"SYSTEM": "SYSTEM"}, "hive:%s/SYSTEM", []string{"SYSTEM"}, "", ""},
		"copies from several machines":         {map[string]string{"a-system.hiv": "SYSTEM", "A-SOFTWARE.hiv": "SOFTWARE", "SOFTWARE": "SOFTWARE"}, "hive:%s/a-system.hiv", []string{"a-system.hiv", "A-SOFTWARE.hiv"}, "", ""},
		"a copy without its SOFTWARE":          {map[string]string{"a-system.hiv": "SYSTEM", "SOFTWARE": "SOFTWARE"}, "hive:%s/a-system.hiv", []string{"a-system.hiv"}, "", ""},
		"a file of another name":               {map[string]string{"web1": "SYSTEM", "SOFTWARE": "SOFTWARE"}, "hive:%s/web1", []string{"web1"}, "", ""},
		"a damaged SOFTWARE":                   {map[string]string{"SYSTEM": "SYSTEM", "SOFTWARE": "junk"}, "hive:%s/SYSTEM", []string{"SYSTEM"}, "", "SOFTWARE is left out: not a registry hive"},
		"SOFTWARE is a folder":                 {map[string]string{"SYSTEM": "SYSTEM", "SOFTWARE": ""}, "hive:%s/SYSTEM", []string{"SYSTEM"}, "", ""},
		"the SOFTWARE hive":                    {both(""), "hive:%s/software", nil, "is a SOFTWARE hive: want the SYSTEM hive", ""},
		"a folder":                             {both(""), "hive:%s", nil, "it is a folder: want the SYSTEM file itself, or system:DIR", ""},
		"nothing":                              {nil, "hive:%s/SYSTEM", nil, "no such file", ""},
		"no hive":                              {map[string]string{"SYSTEM": "junk"}, "hive:%s/SYSTEM", nil, "not a registry hive", ""},
		"the system root":                      {both("System32/config/"), "system:%s", []string{"System32/config/SYSTEM", "System32/config/software"}, "", ""},
		"the volume, in capitals":              {both("WINNT/SYSTEM32/CONFIG/"), "system:%s", []string{"WINNT/SYSTEM32/CONFIG/SYSTEM", "WINNT/SYSTEM32/CONFIG/software"}, "", ""},
		"the volume, in small letters":         {both("windows/system32/config/"), "system:%s", []string{"windows/system32/config/SYSTEM", "windows/system32/config/software"}, "", ""},
		"the folder of the hives":              {both(""), "system:%s", []string{"SYSTEM", "software"}, "", ""},
		"a folder that is called SYSTEM":       {map[string]string{"Windows/System32/config/SYSTEM": "SYSTEM", "Windows/SYSTEM": "", "system": ""}, "system:%s", []string{"Windows/System32/config/SYSTEM"}, "", ""},
		"a second folder that differs in case": {map[string]string{"Windows/system32": "", "Windows/System32/config/SYSTEM": "SYSTEM"}, "system:%s", []string{"Windows/System32/config/SYSTEM"}, "", ""},
		"two systems":                          {map[string]string{"WINDOWS/system32/config/SYSTEM": "SYSTEM", "WINNT/system32/config/SYSTEM": "SYSTEM"}, "system:%s", nil, "there is more than one Windows in it", ""},
		"no system":                            {map[string]string{"home/user/notes": "x"}, "system:%s", nil, "there is no Windows in it", ""},
		"a file instead of a folder":           {both(""), "system:%s/SYSTEM", nil, "it is no folder", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files(t, dir, c.tree)
			target, err := Parse(strings.ReplaceAll(c.target, "%s", dir))
			if err != nil {
				t.Fatal(err)
			}
			opened, closed := 0, 0
			o, err := target.Open(context.Background(), hives(t, &opened, &closed))
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) || !strings.HasPrefix(err.Error(), target.String()+": ") {
					t.Errorf("%v", err)
				}
				if opened != closed {
					t.Errorf("%d opened, %d closed after the failure", opened, closed)
				}
				return
			}
			var got []string
			for _, f := range o.Files {
				rel, _ := filepath.Rel(dir, f)
				got = append(got, filepath.ToSlash(rel))
			}
			if diff := cmp.Diff(c.want, got); diff != "" || c.err != "" {
				t.Error(c.err, diff)
			}
			if (o.Software != nil) != (len(c.want) == 2) || (c.note == "") != (len(o.Notes) == 0) || !strings.Contains(strings.Join(o.Notes, ""), c.note) {
				t.Errorf("SOFTWARE %v, notes %q", o.Software != nil, o.Notes)
			}
			if err := o.Close(); err != nil || opened != closed {
				t.Errorf("%d opened, %d closed, %v", opened, closed, err)
			}
		})
	}
}

func TestAnExportAndARemoteHostHoldBothHives(t *testing.T) {
	closed := 0
	for name, c := range map[string]struct {
		keys     []string
		software bool
		err      string
	}{
		"both":        {[]string{`SYSTEM\Select`, `Software\Microsoft`}, true, ""},
		"SYSTEM":      {[]string{`System`}, false, ""},
		"another key": {[]string{`HARDWARE`}, false, `no HKEY_LOCAL_MACHINE\SYSTEM in it`},
		"nothing":     {nil, false, `no HKEY_LOCAL_MACHINE\SYSTEM in it`},
	} {
		with := Openers{
			Reg: func(string) (registry.Store, error) { return keys(t, &closed, c.keys...), nil },
			Remote: func(context.Context, string) (registry.Store, error) {
				return registry.Sub(keys(t, &closed, c.keys...), "HKEY_LOCAL_MACHINE"), nil
			},
		}
		for _, target := range []Target{{Reg, "x.reg"}, {Remote, "web1"}} {
			closed = 0
			o, err := target.Open(context.Background(), with)
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) || closed != 1 {
					t.Errorf("%s, %s: %v, closed %d times", name, target, err, closed)
				}
				continue
			}
			if c.err != "" || (o.Software != nil) != c.software {
				t.Errorf("%s, %s: SOFTWARE %v", name, target, o.Software != nil)
			}
			if err := o.Close(); err != nil || closed != 1 {
				t.Errorf("%s, %s: %v, closed %d times", name, target, err, closed)
			}
		}
	}
}

func TestWhatThisSystemCannotOpenIsSaid(t *testing.T) {
	for _, target := range []Target{{Hive, "x"}, {System, "x"}, {Reg, "x"}, {Remote, "x"}, {Local, ""}, {}} {
		if _, err := target.Open(context.Background(), Openers{}); err == nil {
			t.Errorf("%s is opened", target)
		}
	}
}
