package sysctl_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/sysctld"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/sysctl"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

func placeOf(t *testing.T, n *load.Netns) sysctl.Place {
	t.Helper()
	ns, err := netns.Find(n.Name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sysctl.PlaceOf(ns)
	if err != nil {
		t.Fatal(err)
	}
	if p.First {
		t.Fatal("a new namespace is taken for the first one")
	}
	return p
}

func target(t *testing.T, p sysctl.Place) remedy.Target {
	t.Helper()
	to, err := p.Target()
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func newNetns(t *testing.T) *load.Netns {
	t.Helper()
	need.Root(t)
	n, err := load.NewNetns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const object = "net.ipv4.tcp_tw_reuse"

func TestANamespaceIsFoundAgainAsLongAsItLives(t *testing.T) {
	n := newNetns(t)
	place := placeOf(t, n)
	to := target(t, place)
	d, err := sysctl.Open(to, remedy.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write(sysctl.Parameter, object, remedy.State{Data: "1"}); err != nil {
		t.Fatal(err)
	}
	if s, err := place.Driver(remedy.Disk{}).Read(sysctl.Parameter, object); err != nil || s.Data != "1" {
		t.Errorf("the namespace has %v, %v", s, err)
	}
	if s, err := d.Read(sysctl.Parameter, "net.ipv4.no_such_thing"); err != nil || !s.Absent {
		t.Errorf("what is not there reads as %v, %v", s, err)
	}
	if err := d.Write(sysctl.Parameter, object, remedy.State{Data: "7"}); !strings.Contains(fmt.Sprint(err), "the kernel refuses it") {
		t.Errorf("the kernel took 7: %v", err)
	}

	// The number of the namespace is given to another one. That is not the same.
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	again := false
	for range 200 {
		other := newNetns(t)
		same := placeOf(t, other)
		again = same.Namespace.ID == place.Namespace.ID
		if again {
			d, err := sysctl.Open(to, remedy.Disk{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Read(sysctl.Parameter, object); !errors.Is(err, remedy.ErrGone) {
				t.Errorf("another namespace with the number %d is taken for the former: %v", place.Namespace.ID, err)
			}
			if err := d.Write(sysctl.Parameter, object, remedy.State{Data: "1"}); !errors.Is(err, remedy.ErrGone) {
				t.Errorf("and written to: %v", err)
			}
			if !same.First && target(t, same).Same(to) {
				t.Error("their targets are the same")
			}
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if again {
			break
		}
	}
	if !again {
		t.Log("the number of the namespace was not given away again")
	}
	d, err = sysctl.Open(to, remedy.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(sysctl.Parameter, object); !errors.Is(err, remedy.ErrGone) {
		t.Errorf("a namespace that is no more: %v", err)
	}
	// Its files are.
	file := filepath.Join(t.TempDir(), "x")
	if s, err := d.Read(remedy.KindFile, file); err != nil || !s.Absent {
		t.Errorf("a file: %v, %v", s, err)
	}
	// Another start of the system has other namespaces.
	to.Boot = "another"
	if d, err = sysctl.Open(to, remedy.Disk{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(sysctl.Parameter, object); !errors.Is(err, remedy.ErrGone) {
		t.Errorf("after a restart: %v", err)
	}
}

const systemd = "/lib/systemd/systemd-sysctl"

// started lets systemd-sysctl set up a new namespace from the files under a root,
// and returns parameters.
func started(t *testing.T, root string, names ...string) string {
	t.Helper()
	const script = `
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /usr/local/lib
mkdir /run/sysctl.d /usr/local/lib/sysctl.d
for d in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d; do
	mkdir -p "$1$d"
	mount --bind "$1$d" $d
done
touch "$1/etc/sysctl.conf"
mount --bind "$1/etc/sysctl.conf" /etc/sysctl.conf
` + systemd + ` || :
shift
for p; do tr '\t' ' ' </proc/sys/net/ipv4/$p; done`
	out, err := exec.Command("unshare", append([]string{"--mount", "--net", "--propagation", "private", "sh", "-ec", script, "sh", root}, names...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// systemd-sysctl goes by what a plan writes, whatever else is there.
func TestWhatIsPermanentIsSetAtTheNextStart(t *testing.T) {
	n := newNetns(t)
	t.Cleanup(func() { _ = n.Close() })
	_, err := os.Stat(systemd)
	need.That(t, err == nil, systemd, "apt-get install systemd")
	_, err = os.Stat("/etc/sysctl.conf")
	need.That(t, err == nil, "/etc/sysctl.conf", "touch /etc/sysctl.conf")
	place := placeOf(t, n)
	for name, c := range map[string]struct {
		files map[string]string
		file  string // the one that is written
		notes []string
	}{
		"an empty system": {nil, "60-portroom.conf", nil},
		"an earlier file": {map[string]string{"etc/sysctl.d/10-a.conf": "net.ipv4.tcp_tw_reuse=0\n"}, "60-portroom.conf",
			[]string{`/etc/sysctl.d/10-a.conf line 1 sets net.ipv4.tcp_tw_reuse to "0": portroom's file is read after it, and wins`}},
		"later files": {map[string]string{
			"etc/sysctl.d/70-a.conf":     "net.ipv4.ip_local_port_range=20000 20001\n",
			"usr/lib/sysctl.d/99-x.conf": "net/ipv4/tcp_tw_reuse = 0\n",
		}, "zz-portroom.conf", []string{"70-a.conf line 1", "99-x.conf line 1"}},
		"the link to sysctl.conf": {map[string]string{
			"etc/sysctl.conf":              "net.ipv4.tcp_tw_reuse=0\n",
			"etc/sysctl.d/99-sysctl.conf":  "-> ../sysctl.conf",
			"usr/lib/sysctl.d/50-pid.conf": "kernel.pid_max = 4194304\n",
		}, "zz-portroom.conf", []string{"(a link to /etc/sysctl.conf) line 1"}},
		"sysctl.conf, which systemd does not read": {map[string]string{"etc/sysctl.conf": "net.ipv4.tcp_tw_reuse=0\n"}, "60-portroom.conf",
			[]string{"/etc/sysctl.conf line 1", "sysctl --system does, after all others"}},
		"patterns and a line that takes one out": {map[string]string{
			"etc/sysctl.d/zzzz.conf": "net.ipv4.tcp_* = 0\n-net.ipv4.ip_local_port_range\n", "etc/sysctl.d/99-b.conf": "net.ipv4.tcp_tw_reuse = 0\n",
		}, "", nil},
		"portroom's own file of before": {map[string]string{
			"etc/sysctl.d/zz-portroom.conf": "# mine\nnet.ipv4.tcp_tw_reuse=0\nnet.ipv4.tcp_fin_timeout=30\n",
		}, "zz-portroom.conf", nil},
		"a name that another directory has too": {map[string]string{"usr/lib/sysctl.d/60-portroom.conf": "net.ipv4.tcp_tw_reuse=0\n"}, "60-portroom.conf", nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "etc/sysctl.d"), 0o755); err != nil {
				t.Fatal(err)
			}
			for path, text := range c.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if to, ok := strings.CutPrefix(text, "-> "); ok {
					err = os.Symlink(to, path)
				} else {
					err = os.WriteFile(path, []byte(text), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			d := place.Driver(remedy.Disk{})
			set := []sysctl.Assignment{
				{Name: sysctl.Reserved, Value: "15000"}, {Name: sysctl.Range, Value: "10240 65535"}, {Name: sysctl.TWReuse, Value: "1"},
			}
			steps, notes, err := d.Steps(set, sysctl.Scope{Root: root})
			if c.file == "" {
				if err == nil || !strings.Contains(err.Error(), "zzzz.conf line 2 would override whatever portroom writes") {
					t.Fatalf("%v, %v", steps, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) != 1 || steps[0].Object != filepath.Join(root, sysctld.Dir, c.file) {
				t.Fatalf("the steps are %v", steps)
			}
			text := strings.Join(notes, "\n")
			for _, w := range c.notes {
				if !strings.Contains(text, w) {
					t.Errorf("%q is not in %q", w, text)
				}
			}
			if len(c.notes) == 0 && text != "" && c.files["usr/lib/sysctl.d/60-portroom.conf"] == "" {
				t.Errorf("it says %q", text)
			}
			if err := d.Write(steps[0].Kind, steps[0].Object, steps[0].To); err != nil {
				t.Fatal(err)
			}
			if got, want := started(t, root, sysctl.Reserved, sysctl.Range, sysctl.TWReuse), "15000\n10240 65535\n1\n"; got != want {
				t.Errorf("after a start it is %q, want %q", got, want)
			}
			if steps, _, err := d.Steps(set, sysctl.Scope{Root: root}); err != nil || len(steps) > 0 {
				t.Errorf("and again: %v, %v", steps, err)
			}
		})
	}
}
