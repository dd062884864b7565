package regtext

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/registrytest"
)

// open writes a file and opens it.
func open(t *testing.T, content string) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.reg")
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func TestAStoreBehavesAsARegistry(t *testing.T) {
	utf16, err := new(File).Print()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		empty string
		ansi  bool
	}{
		"version 5":               {string(utf16), false},
		"version 5 in UTF-8":      {headers[Version5] + "\n", false},
		"REGEDIT4":                {"REGEDIT4\r\n", true},
		"REGEDIT4 in UTF-8":       {string(bomUTF8) + "REGEDIT4\r\n", true},
		"version 5 with UTF8 BOM": {string(bomUTF8) + headers[Version5] + "\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := open(t, c.empty)
			form := s.File().Form
			registrytest.Run(t, s, registrytest.Options{
				Base: `HKEY_LOCAL_MACHINE\portroom`,
				ANSI: c.ansi,
				Reopen: func(t *testing.T, s registry.Store) registry.Store {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					again, err := Open(path)
					if err != nil {
						t.Fatal(err)
					}
					if again.File().Form != form {
						t.Errorf("the form is %+v, was %+v", again.File().Form, form)
					}
					return again
				},
			})
		})
	}
}

const sample = `Windows Registry Editor Version 5.00

; what the vendor told us
[HKEY_LOCAL_MACHINE\SYSTEM\Tcpip]
"MaxUserPort"=dword:0000fffe
; seconds
"Delay"=dword:0000001e
"Gone"="x"

[HKEY_LOCAL_MACHINE\SYSTEM\Old]
"x"="y"

[-HKEY_LOCAL_MACHINE\SYSTEM\Old]

[HKEY_LOCAL_MACHINE\SYSTEM\Tcpip]
"Gone"=-
"MAXUSERPORT"=dword:00001388

; the end
`

func TestWhatComesLaterInAFileWins(t *testing.T) {
	s, _ := open(t, sample)
	if _, err := s.Keys(`HKLM\SYSTEM\Old`); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that the file deletes: %v", err)
	}
	if _, err := s.Get(`HKLM\System\Tcpip`, "gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a value that the file deletes: %v", err)
	}
	if err := s.Delete(`HKLM\System\Tcpip`, "gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete a value that the file deletes: %v", err)
	}
	got, err := s.Values(`hklm\system\tcpip`)
	if err != nil {
		t.Fatal(err)
	}
	want := []registry.Value{registry.NewDWORD("MAXUSERPORT", 5000), registry.NewDWORD("Delay", 30)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	keys, err := s.Keys(`HKEY_LOCAL_MACHINE\SYSTEM`)
	if err != nil || !cmp.Equal(keys, []string{"Tcpip"}) {
		t.Errorf("keys %q, %v", keys, err)
	}
}

func TestChangesKeepWhatTheyDoNotTouch(t *testing.T) {
	set := func(name string, n uint32) func(*Store) error {
		return func(s *Store) error { return s.Set(`HKLM\SYSTEM\Tcpip`, registry.NewDWORD(name, n)) }
	}
	for name, c := range map[string]struct {
		do       func(*Store) error
		old, new string
	}{
		"a value in its place":    {set("maxuserport", 65534), "00001388", "0000fffe"},
		"a value behind others":   {set("New", 1), "00001388\n", "00001388\n\"New\"=dword:00000001\n"},
		"a deletion becomes one":  {set("Gone", 1), `"Gone"=-`, `"Gone"=dword:00000001`},
		"a value with its remark": {func(s *Store) error { return s.Delete(`HKLM\SYSTEM\Tcpip`, "DELAY") }, "; seconds\n\"Delay\"=dword:0000001e\n", ""},
		"a key at the end": {
			func(s *Store) error { return s.Create(`HKLM\SYSTEM\Old\New`) },
			"\n; the end", "\n[HKEY_LOCAL_MACHINE\\SYSTEM\\Old]\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\Old\\New]\n\n; the end",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := open(t, sample)
			if err := c.do(s); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Replace(sample, c.old, c.new, 1), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKeyAboveADeletedOneStays(t *testing.T) {
	s, path := open(t, "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\a\\b]\n")
	if err := s.DeleteKey(`HKLM\A\B`); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Keys(`HKLM\a`); err != nil || len(keys) != 0 {
		t.Errorf("keys %q, %v", keys, err)
	}
}

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	s, path := open(t, sample)
	link := filepath.Join(t.TempDir(), "link.reg")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s.path = link
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("the file was written although nothing had changed")
	}
	if err := s.Create(`HKLM\x`); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) || after.Mode() != before.Mode() {
		t.Errorf("mode %v, was %v; the same file: %v", after.Mode(), before.Mode(), os.SameFile(before, after))
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func TestAFileThatSomebodyElseChangedIsLeftAlone(t *testing.T) {
	s, path := open(t, sample)
	if err := s.Create(`HKLM\x`); err != nil {
		t.Fatal(err)
	}
	theirs := sample + "; a remark\n"
	if err := os.WriteFile(path, []byte(theirs), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != theirs {
		t.Errorf("%v, the file is\n%s", err, got)
	}
}

func TestAStoreRefusesWhatItsFileCannotHold(t *testing.T) {
	s, _ := open(t, "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\a]\n")
	for name, err := range map[string]error{
		"a name outside the code page":  s.Set(`HKLM\a`, registry.NewDWORD("日本", 1)),
		"text outside the code page":    s.Set(`HKLM\a`, registry.NewSZ("x", "日本")),
		"a zero in a name":              s.Set(`HKLM\a`, registry.NewDWORD("a\x00b", 1)),
		"a key outside the code page":   s.Create(`HKLM\日本`),
		"a key with a line end":         s.Create("HKLM\\a\nb"),
		"a key below no root":           s.Create(`SYSTEM\Select`),
		"a value of the key above all":  s.Set("", registry.NewDWORD("x", 1)),
		"text of an odd number of byte": s.Set(`HKLM\a`, registry.Value{Name: "x", Type: registry.ExpandSZ, Data: []byte{1, 0, 2}}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := s.Flush(); err != nil || s.dirty {
		t.Errorf("refused changes remain: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.reg")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open no file: %v", err)
	}
}

func TestANewFileReplacesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup.reg")
	var f File
	f.Set(`HKEY_LOCAL_MACHINE\a`, registry.NewDWORD("x", 1))
	f.Delete(`HKEY_LOCAL_MACHINE\a`, "y")
	f.DeleteKey(`HKEY_LOCAL_MACHINE\b`)
	f.Create(`HKEY_LOCAL_MACHINE\c`)
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\a]\r\n\"x\"=dword:00000001\r\n\"y\"=-\r\n\r\n[-HKEY_LOCAL_MACHINE\\b]\r\n\r\n[HKEY_LOCAL_MACHINE\\c]\r\n\r\n"
	if got, _, err := text(b); got != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
