package sysctld_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/internal/sysctld"
	"github.com/portroom/portroom/test/need"
)

const systemd = "/lib/systemd/systemd-sysctl"

// The parameters that the trees of this test assign, with their defaults in a new
// namespace and two more values each.
var params = []struct {
	name   string
	values []string
}{
	{"tcp_tw_reuse", []string{"2", "0", "1"}},
	{"tcp_timestamps", []string{"1", "0", "2"}},
	{"ip_autobind_reuse", []string{"0", "1"}},
	{"ip_local_reserved_ports", []string{"", "8080", "9000-9100"}},
	{"ip_local_port_range", []string{"32768 60999", "10240 65535", "20000 50001"}},
}

// boot runs systemd-sysctl over a tree, in a mount and network namespace of its
// own, and returns what the parameters are afterwards.
func boot(root string) (map[string]string, error) {
	const script = `
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /usr/local/lib
mkdir /run/sysctl.d /usr/local/lib/sysctl.d
for d in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d; do
	mount --bind "$1$d" $d
done
mount --bind "$1/etc/sysctl.conf" /etc/sysctl.conf
` + systemd + ` || :
shift
for p; do echo "$p=$(cat /proc/sys/net/ipv4/$p)"; done`
	args := []string{"--mount", "--net", "--propagation", "private", "sh", "-c", script, "sh", root}
	for _, p := range params {
		args = append(args, p.name)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("unshare", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	got := make(map[string]string)
	for l := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimSpace(l), "=")
		got[k] = strings.Join(strings.Fields(v), " ")
	}
	return got, nil
}

func TestTheDecidingFileIsThatOfSystemdSysctl(t *testing.T) {
	need.Root(t)
	_, err := os.Stat(systemd)
	need.That(t, err == nil, systemd, "apt-get install systemd")
	_, err = os.Stat("/etc/sysctl.conf")
	need.That(t, err == nil, "/etc/sysctl.conf", "touch /etc/sysctl.conf")
	var decided, linked, masked int
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "sysctld")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		write := func(p, text string) {
			p = filepath.Join(root, p)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		line := rapid.Custom(func(t *rapid.T) string {
			p := rapid.SampledFrom(params).Draw(t, "parameter")
			key := rapid.SampledFrom([]string{"net.ipv4." + p.name, "net/ipv4/" + p.name, "net.ipv4." + p.name[:len(p.name)-1] + "*", "net.ipv4.[" + p.name[:1] + "]" + p.name[1:], "net//ipv4/" + p.name, "/net/ipv4/" + p.name}).Draw(t, "key")
			minus := rapid.SampledFrom([]string{"", "", "-"}).Draw(t, "minus")
			value := rapid.SampledFrom(p.values).Draw(t, "value")
			form := rapid.SampledFrom([]string{"%s%s = %s", "%s%s=%s", "  %s%s\t=   %s  ", "# %s%s = %s", "; %s%s = %s", "-%[2]s", "%[2]s"}).Draw(t, "form")
			return strings.TrimSuffix(fmt.Sprintf(form, minus, key, value), "%!(EXTRA string="+minus+")")
		})
		text := rapid.Custom(func(t *rapid.T) string {
			lines := rapid.SliceOfN(line, 0, 4).Draw(t, "lines")
			for i, l := range lines {
				lines[i], _, _ = strings.Cut(l, "%!(EXTRA")
			}
			return strings.Join(lines, "\n") + rapid.SampledFrom([]string{"", "\n", "\r\n"}).Draw(t, "end")
		})
		for _, dir := range []string{"/etc", "/run", "/usr/local/lib", "/usr/lib"} {
			if err := os.MkdirAll(filepath.Join(root, dir, "sysctl.d"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"10-a.conf", "60-portroom.conf", "99-z.conf", "Z.conf", ".hidden.conf", "50-no.txt"} {
				if rapid.IntRange(0, 2).Draw(t, "there") == 0 {
					write(dir+"/sysctl.d/"+name, text.Draw(t, dir+name))
				}
			}
		}
		write("/etc/sysctl.conf", text.Draw(t, "sysctl.conf"))
		if rapid.Bool().Draw(t, "linked") {
			linked++
			if err := os.Symlink("../sysctl.conf", filepath.Join(root, "etc/sysctl.d/99-sysctl.conf")); err != nil {
				t.Fatal(err)
			}
		}
		for _, to := range []string{"/dev/null", "/nowhere"} {
			if rapid.IntRange(0, 3).Draw(t, "mask") == 0 && os.Symlink(to, filepath.Join(root, "etc/sysctl.d/99-z.conf")) == nil {
				masked++
			}
		}
		c, err := sysctld.Read(root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := boot(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			want := p.values[0]
			a, ok := c.Deciding("net.ipv4." + p.name)
			// A value that the kernel refuses leaves the former one.
			if ok && (a.Value != "" || p.name == "ip_local_reserved_ports") {
				want = a.Value
				decided++
			}
			if got[p.name] != want {
				t.Fatalf("%s is %q at boot, want %q of %v (%v)", p.name, got[p.name], want, a, ok)
			}
		}
	})
	t.Logf("%d parameters decided, %d trees with the link, %d masks", decided, linked, masked)
}

func TestAnEditKeepsWhatIsNotItsOwn(t *testing.T) {
	text := "# mine\nnet.ipv4.tcp_tw_reuse=0\n\nvm.swappiness = 1\n-net/ipv4/ip_local_port_range = 1 2"
	got := sysctld.Edit(text, "# head\n", []sysctld.Pair{{"net.ipv4.ip_local_port_range", "10240 65535"}, {"net.ipv4.tcp_tw_reuse", "1"}})
	want := "# mine\n\nvm.swappiness = 1\nnet.ipv4.ip_local_port_range = 10240 65535\nnet.ipv4.tcp_tw_reuse = 1\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := sysctld.Edit("", "# head\n", nil); got != "# head\n" {
		t.Errorf("a new file is %q", got)
	}
}
