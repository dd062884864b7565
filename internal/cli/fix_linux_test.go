package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// private is a host of a test's own: a network namespace, a tree of files that it
// starts with, and a state directory.
type private struct {
	t     *testing.T
	net   *load.Netns
	root  string
	state string
}

// newPrivate makes a host with these parameters, in the order given, and files
// under its root.
func newPrivate(t *testing.T, files map[string]string, sysctls ...string) *private {
	t.Helper()
	need.Root(t)
	n, err := load.NewNetns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	dir := memory(t)
	h := &private{t, n, filepath.Join(dir, "root"), filepath.Join(dir, "state")}
	for _, s := range sysctls {
		name, value, _ := strings.Cut(s, "=")
		if err := n.Sysctl("net.ipv4."+name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(h.root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(h.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// memory is a temporary folder that is not on a disk, where there is one: these
// tests wait for the disk some ten thousand times.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "portroom-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// command is portroom inside the namespace.
func (h *private) command(args ...string) *exec.Cmd {
	cmd := exec.Command("portroom", args...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "SSH_CONNECTION=")
	return cmd
}

// run runs portroom inside the namespace and wants a status.
func (h *private) run(status int, args ...string) (stdout, stderr string) {
	h.t.Helper()
	cmd := h.command(args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := h.net.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != status {
		h.t.Fatalf("portroom %q ended with %v, want status %d\n%s%s", args, err, status, out.String(), problems.String())
	}
	return out.String(), problems.String()
}

// here are the flags that keep everything inside the private host.
func (h *private) here(args ...string) []string {
	return append(args, "--state-dir", h.state, "--root", h.root)
}

// snapshot is every byte that the private host has: files with their owners and
// modes, and parameters.
func (h *private) snapshot() map[string]string {
	h.t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(h.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		text := ""
		if fi.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(b)
		}
		st := fi.Sys().(*syscall.Stat_t)
		all[strings.TrimPrefix(path, h.root)] = fmt.Sprintf("%v %d:%d %q", fi.Mode(), st.Uid, st.Gid, text)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range h.sysctls("ip_local_port_range", "ip_local_reserved_ports", "tcp_tw_reuse", "tcp_tw_reuse_delay", "tcp_timestamps") {
		all[name] = value
	}
	return all
}

func (h *private) sysctl(name string) string {
	h.t.Helper()
	return h.sysctls(name)[name]
}

func (h *private) sysctls(names ...string) map[string]string {
	h.t.Helper()
	values := make(map[string]string)
	b := make([]byte, 256<<10) // the kernel answers the first read only
	err := h.net.Do(func() error {
		for _, name := range names {
			f, err := os.Open("/proc/sys/net/ipv4/" + name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			n, err := f.Read(b)
			f.Close()
			if err != nil {
				return err
			}
			values[name] = string(b[:n])
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return values
}

// The server of these tests is outside every range.
var server = netip.MustParseAddrPort("127.0.0.1:900")

// clients connects to the server until a connect fails, most times at most, and
// returns the source ports. Both ends stay open.
func (h *private) clients(most int) (ports []uint16, failed error) {
	h.t.Helper()
	err := h.net.Do(func() error {
		for len(ports) < most {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			h.t.Cleanup(func() { unix.Close(fd) })
			if failed = unix.Connect(fd, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}); failed != nil {
				return nil
			}
			own, err := unix.Getsockname(fd)
			if err != nil {
				return err
			}
			ports = append(ports, uint16(own.(*unix.SockaddrInet4).Port))
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return ports, failed
}

// listen opens a server's socket. It takes what comes into its backlog.
func (h *private) listen(typ int, at netip.AddrPort) (fd int) {
	h.t.Helper()
	err := h.net.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
			return fmt.Errorf("bind %s: %w", at, err)
		}
		if typ == unix.SOCK_STREAM {
			return unix.Listen(fd, 4096)
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return fd
}

type proposal struct {
	Status string
	Change int
	Steps  []struct{ Remedy, Object string }
	Gains  []struct {
		Pool          string
		Before, After struct {
			Headroom int
			Exact    bool
		}
	}
	Risks []struct{ Name, Text string }
	Notes []string
}

func parse[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// A pool is exhausted for real; check says so; fix widens the range; as many
// connects succeed as it promised, and not one more; undo puts everything back.
func TestFixGivesAsManyConnectsAsItPromises(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		sysctls []string
		servers []int // TCP, in the new part of the range
		udp     []int
	}{
		"nothing else on the host": {},
		"servers in the new part of the range": {
			servers: []int{64100, 64101, 64999, 65535}, udp: []int{64500},
		},
		"a range of odd length, some ports reserved": {
			sysctls: []string{"ip_local_port_range=64001 64051", "ip_local_reserved_ports=64010-64019,65000-65099"},
			servers: []int{65000},
		},
		"files that say otherwise, and portroom's own": {
			files: map[string]string{
				"etc/sysctl.d/10-first.conf":     "net.ipv4.ip_local_port_range = 50000 50999\n",
				"etc/sysctl.d/60-portroom.conf":  "# mine\nvm.swappiness=1\nnet/ipv4/ip_local_port_range=1 2",
				"etc/sysctl.d/99-zz-last.conf":   "net.ipv4.ip_local_port_range = 51000 51999\n",
				"usr/lib/sysctl.d/50-some.conf":  "net.ipv4.tcp_tw_reuse = 0\n",
				"etc/sysctl.d/README":            "no file of parameters\n",
				"usr/lib/sysctl.d/zz-other.conf": "net.ipv4.* = 1\n",
			},
		},
		"no sysctl.d": {files: map[string]string{"etc/hostname": "x\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			// Small enough to be filled: the wide range begins where ports may be
			// had without privilege.
			h := newPrivate(t, c.files, append([]string{
				"tcp_tw_reuse=0", "ip_local_port_range=64000 64063", "ip_unprivileged_port_start=64000",
			}, c.sysctls...)...)
			fds := []int{h.listen(unix.SOCK_STREAM, server)}
			servers := make(map[uint16]int)
			for _, p := range c.servers {
				servers[uint16(p)] = h.listen(unix.SOCK_STREAM, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(p)))
				fds = append(fds, servers[uint16(p)])
			}
			for _, p := range c.udp {
				fds = append(fds, h.listen(unix.SOCK_DGRAM, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(p))))
			}
			t.Cleanup(func() {
				for _, fd := range fds {
					unix.Close(fd)
				}
			})
			before := h.snapshot()

			if _, failed := h.clients(100000); !errors.Is(failed, unix.EADDRNOTAVAIL) {
				t.Fatalf("the pool is not exhausted: %v", failed)
			}
			out, _ := h.run(2, "check", "--json")
			if got := parse[struct{ Status string }](t, out).Status; got != "critical" {
				t.Fatalf("check says %s", got)
			}
			h.run(0, h.here("fix", "--dry-run")...)
			if diff := cmp.Diff(before, h.snapshot()); diff != "" {
				t.Fatalf("--dry-run changed something:\n%s", diff)
			}

			out, _ = h.run(0, h.here("fix", "--yes", "--json")...)
			p := parse[proposal](t, out)
			if p.Status != "done" || len(p.Gains) != 1 || p.Gains[0].Before.Headroom != 0 || !p.Gains[0].After.Exact {
				t.Fatalf("fix says %s", out)
			}
			promise := p.Gains[0].After.Headroom
			if want := 1536 - len(fds) - 200; promise < want-64 {
				t.Errorf("the promise is %d: little", promise)
			}
			out, _ = h.run(0, "room", server.String(), "--json")
			if got := parse[struct{ Headroom int }](t, out).Headroom; got != promise {
				t.Errorf("%d connects were promised, and room says %d", promise, got)
			}
			ports, failed := h.clients(100000)
			if len(ports) != promise || !errors.Is(failed, unix.EADDRNOTAVAIL) {
				t.Errorf("%d connects were promised, %d succeeded, then %v", promise, len(ports), failed)
			}
			for _, p := range ports {
				if _, ok := servers[p]; ok {
					t.Errorf("a connect was given the server's port %d", p)
				}
			}
			// Every port is taken now. A server that restarts gets its own back.
			for p, fd := range servers {
				unix.Close(fd)
				servers[p] = h.listen(unix.SOCK_STREAM, netip.AddrPortFrom(netip.IPv4Unspecified(), p))
			}
			for _, fd := range servers {
				fds = append(fds, fd)
			}

			h.run(0, "undo", "--yes", "--state-dir", h.state)
			if diff := cmp.Diff(before, h.snapshot()); diff != "" {
				t.Errorf("undo did not put everything back (-before +after):\n%s", diff)
			}
			t.Logf("%d of %d connects", len(ports), promise)
		})
	}
}
