package hives

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/test/hivex"
)

// blank writes a blank hive.
func blank(t *testing.T, minor uint32) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(path, hivex.Blank(minor), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// read holds our reader's view of a hive against what was put into it, and changes
// the hive. Reged and regshell do not count the keys of a security descriptor, so
// that not every such hive passes our own check.
func read(t *testing.T, path string, want []Key) {
	t.Helper()
	f := open(t, path)
	Equal(t, f, want)
	if err := f.Unclean(); err != nil {
		t.Errorf("unclean: %v", err)
	}
	added := Key{Names: []string{"added"}, Values: []registry.Value{registry.NewSZ("x", "y")}}
	for _, err := range []error{f.Create("added"), f.Set("added", added.Values[0]), f.Flush(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want = append(slices.Clone(want), added)
	want[0].Subkeys = append(slices.Clone(want[0].Subkeys), "added")
	again := open(t, path)
	Equal(t, again, want)
	Hivex.Compare(t, path, want)
	if err := errors.Join(again.DeleteKey(""), again.Flush(), again.Close()); err != nil {
		t.Fatal(err)
	}
	Hivex.Compare(t, path, []Key{{}})
}

func TestHivesOfHivexregeditAreRead(t *testing.T) {
	seed := seed(t)
	for i := range uint64(6) {
		for _, minor := range []uint32{3, 5} {
			want := newSource(seed+i, minor, true).population(120)
			path := blank(t, minor)
			hivex.Merge(t, path, "HKLM", Reg("HKLM", want))
			read(t, path, want)
		}
	}
}

func TestHivesOfRegedAreRead(t *testing.T) {
	program(t, "reged", "chntpw")
	seed := seed(t)
	for i := range uint64(6) {
		for _, minor := range []uint32{3, 5} {
			r := newSource(seed+i, minor, false)
			r.plain = true
			want := r.population(60)
			path := blank(t, minor)
			reg := filepath.Join(t.TempDir(), "tree.reg")
			if err := os.WriteFile(reg, []byte(strings.ReplaceAll(Reg("HKLM", want), "\n", "\r\n")), 0o644); err != nil {
				t.Fatal(err)
			}
			// Its status is 2 when it has changed a hive.
			out, err := exec.CommandContext(t.Context(), "reged", "-C", "-I", path, "HKLM", reg).CombinedOutput()
			if !strings.Contains(string(out), "SUCCEEDED") {
				t.Fatalf("reged: %v: %s", err, out)
			}
			read(t, path, want)
		}
	}
}

// Regshell writes only what is changed first, so it is started for each change.
func TestHivesOfRegshellAreRead(t *testing.T) {
	program(t, "regshell", "registry-tools")
	for _, minor := range []uint32{3, 5} {
		path := blank(t, minor)
		shell := func(lines ...string) {
			t.Helper()
			run(t, strings.NewReader(strings.Join(append(lines, "exit"), "\n")+"\n"), "regshell", "-F", path)
		}
		want := []Key{{Subkeys: []string{"first", "second key"}}, {Names: []string{"first"}}, {Names: []string{"second key"}}}
		shell("mkkey first")
		shell("mkkey 'second key'")
		for i := range 12 {
			sub := fmt.Sprintf("sub%d", 11-i)
			shell("ck first", "mkkey "+sub)
			want[1].Subkeys = append(want[1].Subkeys, sub)
			want = append(want, Key{Names: []string{"first", sub}})
		}
		for i := range uint32(8) {
			name := fmt.Sprintf("value %d", i)
			shell("ck 'second key'", fmt.Sprintf("set '%s' REG_DWORD 0x%x", name, i*0x01020304))
			want[2].Values = append(want[2].Values, registry.Value{Name: name, Type: registry.DWORD, Data: binary.LittleEndian.AppendUint32(nil, i*0x01020304)})
		}
		for i, text := range []string{"a", "hello there", strings.Repeat("long ", 150)} {
			name := fmt.Sprintf("text %d", i)
			shell("ck 'second key'", fmt.Sprintf("set '%s' REG_SZ '%s'", name, text))
			want[2].Values = append(want[2].Values, registry.NewSZ(name, text))
		}
		shell("ck 'second key'", "rmval 'value 3'")
		want[2].Values = append(want[2].Values[:3], want[2].Values[4:]...)
		read(t, path, want)
	}
}
