package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/hivex"
)

func TestAPlanIsWrittenAsFilesAndNothingIsChanged(t *testing.T) {
	h := newPrivate(t, nil, "tcp_tw_reuse=0")
	was := h.snapshot()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	for _, format := range []string{"sysctl", "ansible", "kubernetes", "docker", "systemd"} {
		out, _ := h.run(0, "set", "tcp_tw_reuse=1", "--state-dir", h.state, "--json", "--emit", format, dir)
		p := parse[struct {
			Status string
			Files  []string
		}](t, out)
		if p.Status != "planned" || len(p.Files) < 2 {
			t.Errorf("%s: %s", format, out)
		}
		for _, f := range p.Files {
			if text := read(t, f); !strings.Contains(text, "tcp_tw_reuse") {
				t.Errorf("%s:\n%s", f, text)
			}
		}
	}
	if _, stderr := h.run(3, "set", "tcp_tw_reuse=1", "--emit", "sysctl", dir); !strings.Contains(stderr, "60-portroom.conf is there already") {
		t.Error(stderr)
	}
	if _, stderr := h.run(3, "set", "tcp_tw_reuse=1", "--emit", "reg", dir); !strings.Contains(stderr, "reg files are not for Linux") {
		t.Error(stderr)
	}
	for _, args := range [][]string{{"--emit", "chef", dir}, {"--emit", "sysctl"}, {"--emit", "sysctl", dir, "--yes"}, {"--emit", "sysctl", dir, "--only", "permanent"}} {
		h.run(64, append([]string{"set", "tcp_tw_reuse=1"}, args...)...)
	}
	for name, now := range h.snapshot() {
		if was[name] != now {
			t.Errorf("%s is %s", name, now)
		}
	}
	if _, err := os.Stat(h.state); !os.IsNotExist(err) {
		t.Errorf("there is a state directory: %v", err)
	}
}

func TestAPlanForAHiveIsWrittenAsFiles(t *testing.T) {
	d := newDisk(t, "nt4")
	dir := t.TempDir()
	out, _ := d.run(0, "fix", "timed-wait-delay", "--target", "hive:system", "--emit", "reg", dir)
	if !strings.Contains(out, "wrote "+filepath.Join(dir, "portroom.reg")) || !strings.HasPrefix(read(t, filepath.Join(dir, "portroom.reg")), "REGEDIT4\r\n") {
		t.Errorf("%s", out)
	}
	if !strings.Contains(read(t, filepath.Join(dir, "restore", "portroom.reg")), `"TcpTimedWaitDelay"=`) {
		t.Errorf("%s", out)
	}
}

// hivexregedit carries out what is written for a hive, and the way back.
func TestARegFileForAHiveIsMergedByHivexregedit(t *testing.T) {
	d := newDisk(t, "xp-professional")
	begin := d.content()
	current, err := judge(t, "hivexget", d.hive, "Select", "Current")
	if err != nil {
		t.Fatal(err)
	}
	set, dir := "ControlSet00"+current, t.TempDir()
	d.run(0, "set", "MaxUserPort=65533", "ReservedPorts=8080,9000-9001", "TcpTimedWaitDelay=31", "--target", "hive:system", "--emit", "reg", dir)
	if d.content() != begin {
		t.Fatal("the hive was changed")
	}
	hivex.Merge(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, utf8(t, filepath.Join(dir, "portroom.reg")))
	for name, want := range map[string]string{"MaxUserPort": "65533", "ReservedPorts": "8080-8080\n9000-9001", "TcpTimedWaitDelay": "31"} {
		if got := d.value(set, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	hivex.Merge(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, utf8(t, filepath.Join(dir, "restore", "portroom.reg")))
	if diff := cmp.Diff(begin, d.content()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
