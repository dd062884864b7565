package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/portroom/portroom/test/need"
)

type demoed struct {
	First     int `json:"first_connects"`
	Error     string
	Status    string
	Promised  int
	Connected int
	Undone    bool
}

// The demo keeps its promises, as root and as nobody in particular, and leaves
// nothing on the host.
func TestTheDemoKeepsItsPromisesAndLeavesNothing(t *testing.T) {
	need.Root(t)
	dir, err := os.MkdirTemp("/tmp", "portroom")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	temp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, temp} {
		if err := os.Chown(d, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	path, err := exec.LookPath("portroom")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "portroom")
	if out, err := exec.Command("cp", "-L", path, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	host, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	for name, attr := range map[string]*syscall.SysProcAttr{
		"root":       {},
		"a stranger": {Credential: &syscall.Credential{Uid: nobody, Gid: nobody}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program, "demo", "--json")
			cmd.Env, cmd.Dir, cmd.SysProcAttr = append(os.Environ(), "TMPDIR="+temp), dir, attr
			var out, problems bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &problems
			err := cmd.Run()
			if err != nil && strings.Contains(problems.String(), "user namespaces") {
				need.That(t, false, "user namespaces for everybody", "sysctl kernel.unprivileged_userns_clone=1")
			}
			if err != nil {
				t.Fatalf("%v: %s", err, problems.String())
			}
			got := parse[demoed](t, out.String())
			want := demoed{1000, "cannot assign requested address (EADDRNOTAVAIL)", "critical", 4536, 4536, true}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if now, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err != nil || !bytes.Equal(now, host) {
		t.Errorf("the host's range was %q and is %q, %v", host, now, err)
	}
}
