package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// refuse is a program that connects so many times, keeps what it is granted, says
// how many were granted and refused, and ends when its input does:
// refuse ATTEMPTS ADDRESS:PORT
func refuse() {
	attempts, err := strconv.Atoi(os.Args[1])
	to, err2 := netip.ParseAddrPort(os.Args[2])
	if err := errors.Join(err, err2); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	granted, refused := 0, 0
	for range attempts {
		switch err := connectTo(to); {
		case err == nil:
			granted++
		case errors.Is(err, unix.EADDRNOTAVAIL):
			refused++
		default:
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println(granted, refused)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func connectTo(to netip.AddrPort) error {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
	if to.Addr().Is4() {
		family = unix.AF_INET
		sa = &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, sa); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

// tightHost is a namespace of ten ports with a listener on 127.0.0.1:7000 and
// [::1]:7000, and its inode number.
func tightHost(t *testing.T) (*load.Netns, uint64) {
	t.Helper()
	need.Root(t)
	ns, err := load.NewNetns(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := ns.Sysctl("net.ipv4.ip_local_port_range", "40000 40009"); err != nil {
		t.Fatal(err)
	}
	for _, sa := range []unix.Sockaddr{&unix.SockaddrInet4{Port: 7000}, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16(), Port: 7000}} {
		err := ns.Do(func() error {
			family := unix.AF_INET
			if _, ok := sa.(*unix.SockaddrInet6); ok {
				family = unix.AF_INET6
			}
			fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			t.Cleanup(func() { unix.Close(fd) })
			return errors.Join(unix.Bind(fd, sa), unix.Listen(fd, 4096))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := netns.Find(ns.Name)
	if err != nil {
		t.Fatal(err)
	}
	return ns, found.ID
}

// A refuser is a running refuse.
type refuser struct{ pid, granted, refused int }

func refuseIn(t *testing.T, ns *load.Netns, attempts int, to string) refuser {
	t.Helper()
	cmd := exec.Command("refuse", strconv.Itoa(attempts), to)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	r := refuser{pid: cmd.Process.Pid}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscan(line, &r.granted, &r.refused); err != nil {
		t.Fatalf("refuse said %q", line)
	}
	return r
}

// A watch is a running portroom watch that has begun to watch.
type watch struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    strings.Builder
	errs   *bufio.Reader
	stderr strings.Builder
}

// startWatch runs portroom and returns when it says on stderr what matches.
func startWatch(t *testing.T, started string, name string, args ...string) *watch {
	t.Helper()
	return startWatchIn(t, nil, started, name, args...)
}

func startWatchIn(t *testing.T, ns *load.Netns, started string, name string, args ...string) *watch {
	t.Helper()
	w := &watch{t: t, cmd: exec.Command(name, args...)}
	w.cmd.Env = append(os.Environ(), "TZ=UTC")
	w.cmd.Stdout = &w.out
	errs, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := w.cmd.Start
	if ns != nil {
		start = func() error { return ns.Start(w.cmd) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	w.errs = bufio.NewReader(errs)
	for {
		line, err := w.errs.ReadString('\n')
		w.stderr.WriteString(line)
		if strings.Contains(line, started) {
			return w
		}
		if err != nil {
			t.Fatalf("it ended: %s", w.stderr.String())
		}
	}
}

// end interrupts it and returns what it printed. It must end well.
func (w *watch) end() (stdout, stderr string) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Fatal(err)
	}
	return w.wait()
}

func (w *watch) wait() (stdout, stderr string) {
	w.t.Helper()
	_, _ = io.Copy(&w.stderr, w.errs)
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("watch: %v: %s", err, w.stderr.String())
	}
	return w.out.String(), w.stderr.String()
}

type refusedLine struct {
	Time, Proto, Src, Dst, Command, Cgroup, Errno, Reason string
	Netns, Count                                          uint64
	PID                                                   int
	Held, Capacity                                        *int
}

func TestTheCountsOfWatchAddUpToTheRefusals(t *testing.T) {
	ns, id := tightHost(t)
	w := startWatch(t, "watching connects in network namespace "+ns.Name, "portroom", "watch", "--json", "--netns", ns.Name)
	want := make(map[int]int)
	for _, r := range []refuser{
		refuseIn(t, ns, 10+3000, "127.0.0.1:7000"),
		refuseIn(t, ns, 7, "127.0.0.1:7000"),
		refuseIn(t, ns, 10+5, "[::1]:7000"),
	} {
		want[r.pid] = r.refused
	}
	out, _ := w.end()
	got := make(map[int]int)
	held := 0
	for line := range strings.Lines(out) {
		var r refusedLine
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got[r.PID] += int(r.Count)
		ours := r.Src == "127.0.0.1" && r.Dst == "127.0.0.1:7000" || r.Src == "::1" && r.Dst == "[::1]:7000"
		if !ours || r.Netns != id || r.Proto != "tcp" || r.Command != "refuse" || r.Errno != "EADDRNOTAVAIL" || r.Reason != "no-port" ||
			!regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`).MatchString(r.Time) {
			t.Errorf("the line is %s", line)
		}
		if r.Held != nil && *r.Held == 10 && *r.Capacity == 10 {
			held++
		}
	}
	for pid, n := range want {
		if got[pid] != n {
			t.Errorf("of process %d %d refusals were counted, want %d", pid, got[pid], n)
		}
	}
	if len(got) != len(want) || held == 0 {
		t.Errorf("lines of %d processes, want %d; the pool was called full in %d", len(got), len(want), held)
	}
}

func TestWatchWritesOneLineForManyRefusals(t *testing.T) {
	ns, _ := tightHost(t)
	w := startWatch(t, "watching", "portroom", "watch", "--netns", ns.Name)
	r := refuseIn(t, ns, 10+500, "127.0.0.1:7000")
	out, stderr := w.end()
	pattern := regexp.MustCompile(fmt.Sprintf(`^\d\d:\d\d:\d\d  refuse\[%d\] (in \S+ (\S+ )*)?127\.0\.0\.1 → 127\.0\.0\.1:7000: (\d+) connects? refused \(EADDRNOTAVAIL\)(, 10 of 10 held)?\n$`, r.pid))
	sum, lines := 0, 0
	for line := range strings.Lines(out) {
		m := pattern.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("the line is %q", line)
			continue
		}
		n, _ := strconv.Atoi(m[3])
		sum += n
		lines++
	}
	if sum != 500 || lines > 5 || !strings.Contains(out, "10 of 10 held") {
		t.Errorf("%d refusals in %d lines:\n%s", sum, lines, out)
	}
	if !strings.Contains(stderr, "portroom: 500 connects refused of 510 in ") {
		t.Errorf("the summary is %q", stderr)
	}
}

func TestWatchEndsByItselfAfterItsTime(t *testing.T) {
	need.Root(t)
	w := startWatch(t, "watching connects in all network namespaces", "portroom", "watch", "--json", "--for", "100ms")
	w.wait()
}

func TestWatchRunsACommandOnceForAPool(t *testing.T) {
	ns, _ := tightHost(t)
	file := filepath.Join(t.TempDir(), "refused")
	w := startWatch(t, "watching", "portroom", "watch", "--netns", ns.Name, "--quiet-period", "1h",
		"--exec", `echo "$PORTROOM_PROTO $PORTROOM_SRC $PORTROOM_DST $PORTROOM_COMMAND $PORTROOM_PID $PORTROOM_ERRNO" >>`+file)
	first := refuseIn(t, ns, 10+3, "127.0.0.1:7000")
	refuseIn(t, ns, 3, "127.0.0.1:7000")
	other := refuseIn(t, ns, 10+3, "[::1]:7000")
	w.end()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		got[line]++
	}
	for _, want := range []string{
		fmt.Sprintf("tcp 127.0.0.1 127.0.0.1:7000 refuse %d EADDRNOTAVAIL\n", first.pid),
		fmt.Sprintf("tcp ::1 [::1]:7000 refuse %d EADDRNOTAVAIL\n", other.pid),
	} {
		if got[want] != 1 || len(got) != 2 {
			t.Errorf("the command said\n%s, want once %q", text, want)
		}
	}
}

func TestWatchWithoutPrivilegePollsAndSaysWhatItCannotSee(t *testing.T) {
	ns, id := tightHost(t)
	refuseIn(t, ns, 10, "127.0.0.1:7000") // full, and nobody is refused
	w := startWatchIn(t, ns, "to trace connections needs root, or CAP_BPF and CAP_PERFMON", "nocaps", "portroom", "watch", "--json", "--for", "3s")
	out, stderr := w.wait()
	if !strings.Contains(stderr, "not how many connects are refused, nor whose") {
		t.Errorf("it said %q", stderr)
	}
	if out == "" {
		t.Error("the full pool was not seen")
	}
	for line := range strings.Lines(out) {
		var r refusedLine
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Netns != id || r.Dst != "127.0.0.1:7000" || r.Count != 0 || r.Reason != "full" || r.PID != 0 || *r.Held != 10 {
			t.Errorf("the line is %s", line)
		}
	}
}
