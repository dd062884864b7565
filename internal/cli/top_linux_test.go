package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// A terminal is one of tmux, with a program in it.
type terminal struct {
	*testing.T
	server string // the socket
}

// openTerminal runs a shell command in a terminal, which says afterwards with which
// status it ended.
func openTerminal(t *testing.T, w, h int, command string) *terminal {
	t.Helper()
	_, err := exec.LookPath("tmux")
	need.That(t, err == nil, "tmux(1)", "apt-get install tmux")
	dir, err := os.MkdirTemp("", "portroom-tmux-") // short: the path of a socket has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t, filepath.Join(dir, "s")}
	config := filepath.Join(dir, "conf")
	if err := os.WriteFile(config, []byte("set -g status off\nset -s escape-time 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", term.server, "kill-server").Run() // it may have ended
		os.RemoveAll(dir)
	})
	term.tmux("-u", "-f", config, "new-session", "-d", "-x", strconv.Itoa(w), "-y", strconv.Itoa(h),
		"env LANG=C.UTF-8 "+command+"; echo status $?; exec sleep 600")
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.server}, args...)...).CombinedOutput()
	if err != nil {
		term.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (term *terminal) keys(keys ...string) {
	term.Helper()
	for _, k := range keys {
		term.tmux("send-keys", k)
	}
}

// What differs from run to run on the screen, and how it is written instead.
var variesOnScreen = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`portroom-load[-\d]*`), "HOST"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d`), "12:00:00"},
	{regexp.MustCompile(`(hold|refuse)\[\d*[\]…]*( [1-9]\d*)?`), "$1[PID]$2"},
	{regexp.MustCompile(`[\d<]+% of a core  `), ""},
	{regexp.MustCompile(`every \d+(\.\d)? (s|min)`), "every 1 s"},
	{regexp.MustCompile(`(\[PID\])(  /\S*| in .*?(  \d+ refused))`), "$1$3"},
	{regexp.MustCompile(`(\S)  +(every|12:)`), "$1  $2"},
	{regexp.MustCompile(`; last 12:00:00 .*`), "; last"},
	{regexp.MustCompile(` *│?\n`), "\n"},
}

// screen is what the terminal shows, what varies made the same.
func (term *terminal) screen() string {
	term.Helper()
	text := term.tmux("capture-pane", "-p")
	for _, v := range variesOnScreen {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return strings.TrimRight(text, "\n") + "\n"
}

// wait waits until the screen is right and returns it.
func (term *terminal) wait(right func(screen string) bool) string {
	term.Helper()
	var text string
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(100 * time.Millisecond) {
		if text = term.screen(); right(text) {
			return text
		}
	}
	term.Fatalf("a minute later the screen is\n%s", text)
	return ""
}

func (term *terminal) waitFor(want string) string {
	term.Helper()
	return term.wait(func(text string) bool { return strings.Contains(text, want) })
}

// settled waits until the screen has been the same for so long.
func (term *terminal) settled(long time.Duration) string {
	term.Helper()
	var last string
	since := time.Now()
	return term.wait(func(text string) bool {
		if text != last {
			last, since = text, time.Now()
		}
		return time.Since(since) > long
	})
}

// A busyHost is a namespace of a hundred ports with one pool that has five left, one that
// has forty, and one for UDP.
func busyHost(t *testing.T) *load.Netns {
	t.Helper()
	need.Root(t)
	ns, err := load.NewNetns(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	for _, addr := range []string{"10.77.0.1/32", "10.77.0.2/32"} {
		if out, err := exec.Command("ip", "-n", ns.Name, "addr", "add", addr, "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("add %s: %v: %s", addr, err, out)
		}
	}
	if err := ns.Sysctl("net.ipv4.ip_local_port_range", "40000 40099"); err != nil {
		t.Fatal(err)
	}
	startIn(t, ns, "hold", "listen=10.77.0.1:443", "listen=10.77.0.2:5432", "connect=60@10.77.0.1:443", "connect=95@10.77.0.2:5432", "udp=4@10.77.0.1:53")
	return ns
}

// startIn runs a program in a namespace until the test ends, and returns the first line
// that it says.
func startIn(t *testing.T, ns *load.Netns, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
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
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said %q: %v", name, line, err)
	}
	return line
}

// The screens at three sizes, over a host where connects are refused.
func TestTopScreens(t *testing.T) {
	for _, size := range [][2]int{{30, 10}, {80, 24}, {200, 50}} {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			ns := busyHost(t)
			term := openTerminal(t, size[0], size[1], "portroom top --netns "+ns.Name)
			term.waitFor("10.77.0.2:5432")
			if got := startIn(t, ns, "refuse", "20", "10.77.0.2:5432"); got != "5 15\n" {
				t.Fatalf("granted and refused are %q", got)
			}
			term.waitFor("15 connects refused")
			got := &txtar.Archive{}
			add := func(name, screen string) {
				got.Files = append(got.Files, txtar.File{Name: name, Data: []byte(screen)})
			}
			add("pools", term.settled(7*time.Second)) // rates are of the last five
			term.keys("/", "443")
			add("filter", term.wait(func(text string) bool { return strings.HasSuffix(text, "/443\n") && !strings.Contains(text, "5432") }))
			term.keys("Escape") // alone: with a key after it at once it were Alt
			term.wait(func(text string) bool { return !strings.Contains(text, "/443") })
			term.keys("s", "s", "s", "s", "s", "s", "End")
			add("by destination, the last chosen", term.settled(1500*time.Millisecond))
			term.keys("Enter")
			term.wait(func(text string) bool {
				return !strings.Contains(text, "measuring") && strings.Contains(text, "esc back")
			})
			add("the pool", term.settled(1500*time.Millisecond))
			term.keys("End")
			add("the pool, its end", term.settled(1500*time.Millisecond))
			term.keys("?")
			add("help", term.wait(func(text string) bool {
				return strings.Contains(text, "what it shows") && !strings.Contains(text, "5432")
			}))
			term.keys("q")
			if text := term.waitFor("status "); text != "status 0\n" {
				t.Errorf("after q the terminal shows\n%s", text)
			}
			compare(t, filepath.Join("testdata", "top", name+".txt"), got)
		})
	}
}

// compare holds screens against those of a file.
func compare(t *testing.T, path string, got *txtar.Archive) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); diff != "" {
		t.Errorf("the screens differ from %s (-want +got); -update writes them:\n%s", path, diff)
	}
}

func TestTopDrawsAnewWhenTheTerminalChangesItsSize(t *testing.T) {
	ns := busyHost(t)
	term := openTerminal(t, 200, 50, "portroom top --netns "+ns.Name)
	term.waitFor("never")
	for _, size := range [][2]int{{30, 10}, {100, 12}, {80, 24}} {
		term.tmux("resize-window", "-x", strconv.Itoa(size[0]), "-y", strconv.Itoa(size[1]))
		text := term.wait(func(text string) bool {
			return strings.Count(text, "\n") == size[1] && strings.Contains(text, "? help")
		})
		for _, want := range []string{"portroom top", "DESTINATION", "10.77.0.2:5432"} {
			if strings.Count(text, want) > 1 {
				t.Errorf("at %v there is more than one %q:\n%s", size, want, text)
			}
		}
	}
}

func TestTopIsEndedBySignalsAndCtrlC(t *testing.T) {
	ns := busyHost(t)
	for name, end := range map[string]func(term *terminal){
		"Ctrl-C": func(term *terminal) { term.keys("C-c") },
		"SIGTERM": func(term *terminal) {
			shell := strings.TrimSpace(term.tmux("display-message", "-p", "#{pane_pid}"))
			out, err := exec.Command("pgrep", "-P", shell).Output()
			if err != nil {
				t.Fatalf("the child of %s: %v", shell, err)
			}
			if err := exec.Command("kill", "-TERM", strings.TrimSpace(string(out))).Run(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			term := openTerminal(t, 80, 24, "portroom top --netns "+ns.Name)
			term.waitFor("never")
			end(term)
			if text := term.waitFor("status "); !strings.HasSuffix(text, "status 0\n") || strings.Contains(text, "DESTINATION") {
				t.Errorf("the terminal shows\n%s", text)
			}
			if got := term.tmux("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"); got != "0 0 1\n" {
				t.Errorf("alternate screen, mouse and cursor are %q, want them as they were", got)
			}
		})
	}
}

func TestTopWithoutPrivilegeSaysWhatItCannotSee(t *testing.T) {
	ns := busyHost(t)
	term := openTerminal(t, 120, 24, "ip netns exec "+ns.Name+" nocaps portroom top")
	text := term.waitFor("10.77.0.2:5432")
	for _, want := range []string{"refusals are not seen: to trace connections needs root, or CAP_BPF and CAP_PERFMON", "≥ "} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen lacks %q:\n%s", want, text)
		}
	}
}

func TestTopWithNoColorHasNone(t *testing.T) {
	ns := busyHost(t)
	for env, want := range map[string]bool{"": true, "NO_COLOR=1": false} {
		term := openTerminal(t, 80, 24, env+" portroom top --netns "+ns.Name)
		term.waitFor("never")
		text := term.tmux("capture-pane", "-p", "-e")
		if got := regexp.MustCompile("\x1b\\[[0-9;]*3[1-7]").MatchString(text); got != want {
			t.Errorf("with %q the colours are %t, want %t:\n%q", env, got, want, text)
		}
	}
}

func TestTopOfAllNamespacesAndOfAnother(t *testing.T) {
	one, other := busyHost(t), busyHost(t)
	term := openTerminal(t, 160, 50, "portroom top --all-namespaces")
	term.waitFor("NAMESPACE")
	term.keys("n")
	term.waitFor("which network namespace?")
	text := term.tmux("capture-pane", "-p")
	lines := strings.Split(text, "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.TrimSpace(l) == other.Name })
	if at < 0 || !strings.Contains(text, one.Name) {
		t.Fatalf("the choice is\n%s", text)
	}
	for range at - 2 { // below the title and the question; the first is chosen
		term.keys("Down")
	}
	term.keys("Enter")
	term.wait(func(text string) bool {
		return strings.Contains(text, "portroom top  HOST") && strings.Contains(text, "4 pools") && !strings.Contains(text, "NAMESPACE")
	})
}
