package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
