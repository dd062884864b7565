package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// One run holds the lock; another says whose it is, and does nothing.
func TestOfTwoChangesAtOnceOneWinsAndTheOtherSaysSo(t *testing.T) {
	h := newPrivate(t, nil, "tcp_tw_reuse=0", "ip_local_port_range=64000 64063", "ip_unprivileged_port_start=64000")
	set := []string{"set", "tcp_tw_reuse=1", "ip_local_port_range=64000-65535", "--yes"}
	at := 0
	for _, p := range h.operations(set) {
		if strings.HasSuffix(p.op, "ip_local_port_range") {
			at = p.at
		}
	}
	h.run(0, "undo", "--yes", "--state-dir", h.state)
	begin := h.snapshot()

	first := exec.Command("cut", h.flags(set)...)
	// One operation less: the directory is there now.
	first.Env = append(os.Environ(), fmt.Sprintf("CUT=%d:%s", at-4, pause))
	var out bytes.Buffer
	first.Stdout, first.Stderr = &out, &out
	if err := h.net.Start(first); err != nil {
		t.Fatal(err)
	}
	for stopped := false; !stopped; {
		var status unix.WaitStatus
		if _, err := unix.Wait4(first.Process.Pid, &status, unix.WUNTRACED, nil); err != nil {
			t.Fatal(err)
		}
		if status.Exited() {
			t.Fatalf("the first run ended: %s", out.String())
		}
		stopped = status.Stopped()
	}
	for _, args := range [][]string{set, {"fix", "even-range", "--yes"}, {"undo", "--yes"}, {"confirm"}} {
		_, problems := h.run(3, h.flags(args)...)
		want := fmt.Sprintf("portroom: another portroom (process %d) is changing settings now (it has the lock %s): nothing was done, try again when it has finished\n",
			first.Process.Pid, filepath.Join(h.state, "lock"))
		if problems != want {
			t.Errorf("%s says %q, want %q", args[0], problems, want)
		}
	}
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("the first run: %v: %s", err, out.String())
	}
	if h.sysctl("tcp_tw_reuse") != "1\n" || h.last() != "in force" {
		t.Error("the first run did not win")
	}

	// Many at once, without any order: each is done, or says why not; one change
	// comes of it.
	h.run(0, "undo", "--yes", "--state-dir", h.state)
	for round := range 5 {
		was := len(h.log())
		const n = 6
		var outs [n]bytes.Buffer
		var cmds [n]*exec.Cmd
		for i := range cmds {
			cmds[i] = h.command(h.flags(set)...)
			cmds[i].Stdout, cmds[i].Stderr = &outs[i], &outs[i]
			if err := h.net.Start(cmds[i]); err != nil {
				t.Fatal(err)
			}
		}
		won := 0
		for i := range cmds {
			_ = cmds[i].Wait()
			text := outs[i].String()
			switch code := cmds[i].ProcessState.ExitCode(); {
			case code == 0 && strings.Contains(text, " done; portroom undo"):
				won++
			case code == 0 && strings.Contains(text, "nothing to change"):
			case code == 3 && (strings.Contains(text, "is changing settings now") || strings.Contains(text, "was expected to be")):
			default:
				t.Errorf("round %d: status %d: %s", round, code, text)
			}
		}
		if won != 1 || len(h.log()) != was+1 {
			t.Errorf("round %d: %d won and %d changes were made", round, won, len(h.log())-was)
		}
		h.run(0, "undo", "--yes", "--state-dir", h.state)
		if diff := cmp.Diff(begin, h.snapshot()); diff != "" {
			t.Errorf("round %d:\n%s", round, diff)
		}
	}
}

// A directory that a change made stays when others have put files into it, in an
// undo as in a rolling back.
func TestADirectoryThatOthersUseStays(t *testing.T) {
	set := []string{"set", "tcp_tw_reuse=1", "--yes"}
	for _, how := range []string{"undo", "rolling back"} {
		t.Run(how, func(t *testing.T) {
			h := newPrivate(t, map[string]string{"etc/hostname": "x\n"}, "tcp_tw_reuse=0")
			other := filepath.Join(h.root, "etc/sysctl.d/70-other.conf")
			if how == "undo" {
				h.run(0, h.flags(set)...)
			} else {
				begin, files, at := h.snapshot(), h.save(), 0
				for _, p := range h.operations(set) {
					if p.op == "rename 60-portroom.conf" {
						at = p.at
					}
				}
				h.reset(begin, files)
				h.cut(fmt.Sprintf("CUT=%d:after", at), set...)
			}
			if err := os.WriteFile(other, []byte("vm.swappiness = 1\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			var said string
			if how == "undo" {
				said, _ = h.run(0, h.flags([]string{"undo", "--yes"})...)
			} else {
				_, said = h.run(3, "confirm", "--state-dir", h.state)
			}
			if !strings.Contains(said, "etc/sysctl.d stays, since it holds other files, such as 70-other.conf") {
				t.Errorf("it says %s", said)
			}
			left, err := os.ReadDir(filepath.Dir(other))
			if err != nil || len(left) != 1 || h.sysctl("tcp_tw_reuse") != "0\n" {
				t.Errorf("left: %v, %v; tcp_tw_reuse is %q", left, err, h.sysctl("tcp_tw_reuse"))
			}
		})
	}
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: not within a minute", what)
}

// watchdogs are the processes that wait to undo changes of this host.
func (h *private) watchdogs() (pids []int) {
	h.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte("\x00watchdog\x00")) && bytes.Contains(b, []byte(h.state)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestAChangeThatNobodyConfirmsIsUndoneByItself(t *testing.T) {
	setup := func(t *testing.T) (*private, map[string]string) {
		h := newPrivate(t, map[string]string{"etc/sysctl.d/10-x.conf": "vm.swappiness = 1\n"}, "tcp_tw_reuse=0")
		t.Cleanup(func() {
			for _, pid := range h.watchdogs() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		return h, h.snapshot()
	}
	changed := func(h *private) bool { return h.sysctl("tcp_tw_reuse") == "1\n" }
	t.Run("also when the shell and all that is in its session are killed", func(t *testing.T) {
		h, was := setup(t)
		sh := exec.Command("sh", append([]string{"-c", `portroom "$@"; echo $?; sleep 1000`, "sh"}, h.here("set", "tcp_tw_reuse=1", "--yes", "--rollback-after", "3s")...)...)
		sh.Env = h.command().Env
		sh.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := sh.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.net.Start(sh); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		b := make([]byte, 1024)
		for !strings.Contains(text.String(), "\n0\n") {
			n, err := out.Read(b)
			if err != nil {
				t.Fatalf("%v: %s", err, text.String())
			}
			text.Write(b[:n])
		}
		if !strings.Contains(text.String(), "unless portroom confirm is run before") {
			t.Errorf("it says %s", text.String())
		}
		_ = syscall.Kill(-sh.Process.Pid, syscall.SIGHUP)
		_ = syscall.Kill(-sh.Process.Pid, syscall.SIGKILL)
		_ = sh.Wait()
		eventually(t, "undone", func() bool { return !changed(h) })
		eventually(t, "the watchdog ends", func() bool { return len(h.watchdogs()) == 0 })
		if diff := cmp.Diff(was, h.snapshot()); diff != "" {
			t.Errorf("not all was undone:\n%s", diff)
		}
		if got := h.last(); got != "undo" {
			t.Errorf("the last change is %q", got)
		}
	})
	t.Run("but not when it was confirmed", func(t *testing.T) {
		h, _ := setup(t)
		h.run(0, h.here("set", "tcp_tw_reuse=1", "--yes", "--rollback-after", "1h")...)
		out, _ := h.run(0, "undo", "--list", "--state-dir", h.state)
		if !strings.Contains(out, "until ") {
			t.Errorf("the list says %s", out)
		}
		kept := h.snapshot()
		if out, _ := h.run(0, "confirm", "--state-dir", h.state); out != "kept: change 1\n" {
			t.Errorf("confirm says %q", out)
		}
		eventually(t, "the watchdog ends", func() bool { return len(h.watchdogs()) == 0 })
		if diff := cmp.Diff(kept, h.snapshot()); diff != "" || !changed(h) || h.last() != "in force" {
			t.Errorf("it was not kept:\n%s", diff)
		}
		if _, err := h.run(3, "confirm", "--state-dir", h.state); !strings.Contains(err, "nothing to confirm") {
			t.Errorf("a second confirm says %q", err)
		}
	})
	t.Run("by the next run, when whoever was to undo it is gone", func(t *testing.T) {
		h, was := setup(t)
		h.run(0, h.here("set", "tcp_tw_reuse=1", "--yes", "--rollback-after", "1s")...)
		for _, pid := range h.watchdogs() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		eventually(t, "the next run undoes it", func() bool {
			_, said := h.run(3, "undo", "99", "--yes", "--state-dir", h.state)
			return strings.Contains(said, "was not confirmed by") && strings.Contains(said, "and has been undone")
		})
		if diff := cmp.Diff(was, h.snapshot()); diff != "" {
			t.Errorf("not all was undone:\n%s", diff)
		}
	})
	t.Run("unless somebody else changed it, who is told apart", func(t *testing.T) {
		h, _ := setup(t)
		h.run(0, h.here("set", "tcp_tw_reuse=1", "--yes", "--rollback-after", "1s")...)
		if err := h.net.Sysctl("net.ipv4.tcp_tw_reuse", "2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the watchdog ends", func() bool { return len(h.watchdogs()) == 0 })
		_, said := h.run(3, "undo", "--yes", "--state-dir", h.state)
		if !strings.Contains(said, "was not confirmed in time and cannot be undone") || !strings.Contains(said, "portroom confirm keeps it as it is") {
			t.Errorf("the next run says %s", said)
		}
		if got := h.sysctl("tcp_tw_reuse"); got != "2\n" {
			t.Errorf("somebody else's value became %q", got)
		}
		h.run(0, "confirm", "--state-dir", h.state)
	})
}
