package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// In the system's own network namespace the files of /etc are the ones that count,
// and socket units claim their ports. The running kernel is only looked at.
func TestOnTheHostItselfTheFilesAreThoseOfEtc(t *testing.T) {
	need.Root(t)
	_, err := exec.LookPath("go")
	need.That(t, err == nil, "go(1)", "put it into PATH")
	root := t.TempDir()
	program := filepath.Join(root, "portroom")
	build := exec.Command("go", "build", "-o", program, "github.com/portroom/portroom/cmd/portroom")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // it finds no libraries there
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, text := range map[string]string{
		"etc/systemd/system/a.socket": "[Socket]\nListenStream=19090\n",
		"etc/sysctl.d/70-old.conf":    "net.ipv4.ip_local_port_range = 1024 65000\n",
		"proc/x":                      "",
		"tmp/x":                       "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := read(t, "/proc/sys/net/ipv4/ip_local_port_range")
	in := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-ec",
			`mount -t proc proc "$0/proc"; exec chroot "$0" /portroom "$@"`, root}, args...)...)
		cmd.Env = append(os.Environ(), "SSH_CONNECTION=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
		return string(out)
	}
	// A range that no host has, so that there is something to plan.
	set := []string{"set", "ip_local_port_range=10242-65533", "--dry-run"}
	out := in(set...)
	for _, want := range []string{
		"this host: ", "net.ipv4.ip_local_port_range (now, until the next start)", "/etc/sysctl.d/99-portroom.conf (at each start)",
		"configured, and not running now: 19090 (a.socket)", "/etc/sysctl.d/70-old.conf line 1 sets",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the plan:\n%s", want, out)
		}
	}
	in("set", "ip_local_port_range=10242-65533", "--only", "permanent", "--yes")
	file := filepath.Join(root, "etc/sysctl.d/99-portroom.conf")
	if text := read(t, file); !strings.Contains(text, "net.ipv4.ip_local_reserved_ports = ") || !strings.Contains(text, "19090") || !strings.HasSuffix(text, "net.ipv4.ip_local_port_range = 10242 65533\n") {
		t.Errorf("the file holds %q", text)
	}
	if out := in("undo", "--list"); !strings.Contains(out, "this host") {
		t.Errorf("the list is %s", out)
	}
	in("undo", "--yes")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/portroom/journal.jsonl")); err != nil {
		t.Errorf("the journal is elsewhere: %v", err)
	}
	if now := read(t, "/proc/sys/net/ipv4/ip_local_port_range"); now != before {
		t.Errorf("the host's range was %q and is %q", before, now)
	}

	// In a container that shares the host's network /etc is not the host's.
	if err := os.WriteFile(filepath.Join(root, ".dockerenv"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := in(set...); strings.Contains(out, "at each start") || !strings.Contains(out, "/.dockerenv says that this is a container") {
		t.Errorf("in a container it says\n%s", out)
	}
	if out := in(append(set, "--root", "/")...); !strings.Contains(out, "/etc/sysctl.d/99-portroom.conf (at each start)") {
		t.Errorf("with --root / it says\n%s", out)
	}
}
