package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/need"
)

// refuse runs a change that cannot be done and wants one sentence and everything
// as it was.
func (h *private) refuse(cmd *exec.Cmd, status int, want ...string) {
	h.t.Helper()
	was := h.snapshot()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := h.net.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	_ = cmd.Wait()
	text := problems.String()
	if got := cmd.ProcessState.ExitCode(); got != status || strings.Count(text, "\n") != 1 {
		h.t.Errorf("status %d, want %d and one line:\n%s%s", got, status, out.String(), text)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			h.t.Errorf("the sentence is %q, want %q in it", text, w)
		}
	}
	if diff := cmp.Diff(was, h.snapshot()); diff != "" {
		h.t.Errorf("something was changed:\n%s", diff)
	}
}

// mounted is a command in a mount namespace of its own, after a shell script that
// mounts.
func (h *private) mounted(script string, args ...string) *exec.Cmd {
	cmd := h.command()
	return &exec.Cmd{
		Path: "/usr/bin/unshare", Env: cmd.Env,
		Args: append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-ec", script + "\nexec portroom \"$@\"", "sh"}, args...),
	}
}

func TestWhatCannotBeDoneLeavesEverythingAsItWas(t *testing.T) {
	_, err := exec.LookPath("/usr/bin/unshare")
	need.That(t, err == nil, "unshare(1)", "apt-get install util-linux")
	set := []string{"set", "ip_local_port_range=20000-60001", "tcp_tw_reuse=1", "--yes"}
	setup := func(t *testing.T) *private {
		return newPrivate(t, map[string]string{"etc/sysctl.d/60-portroom.conf": "# mine\n"}, "tcp_tw_reuse=0")
	}
	t.Run("a file system that is read-only", func(t *testing.T) {
		h := setup(t)
		dir := filepath.Join(h.root, "etc/sysctl.d")
		h.refuse(h.mounted("mount --bind "+dir+" "+dir+"; mount -o remount,bind,ro "+dir, h.here(set...)...),
			3, "read-only file system", "everything is as it was before")
	})
	t.Run("a disk that is full", func(t *testing.T) {
		h := setup(t)
		dir := filepath.Join(h.root, "etc/sysctl.d")
		h.refuse(h.mounted("mount -t tmpfs -o size=8k tmpfs "+dir+"; dd if=/dev/zero of="+dir+"/full bs=4k count=2 2>/dev/null; : >"+dir+"/60-portroom.conf",
			h.here(set...)...), 3, "no space left on device", "everything is as it was before")
	})
	t.Run("a disk that is full under the journal", func(t *testing.T) {
		h := setup(t)
		if err := os.Mkdir(h.state, 0o700); err != nil {
			t.Fatal(err)
		}
		h.refuse(h.mounted("mount -t tmpfs -o size=8k,mode=700 tmpfs "+h.state+"; dd if=/dev/zero of="+h.state+"/full bs=4k count=2 2>/dev/null",
			h.here(set...)...), 3, "no space left on device")
	})
	t.Run("a disk that is full after some records", func(t *testing.T) {
		// 4 KiB for the lock and 4 for the journal: the longer the list, which the
		// plan has three times, the fewer records fit after it.
		full := 0
		for n := 90; n < 240; n += 5 {
			h := setup(t)
			if err := os.Mkdir(h.state, 0o700); err != nil {
				t.Fatal(err)
			}
			list := "10001"
			for i := range n {
				list += "," + itoa(10003+2*i)
			}
			was := h.snapshot()
			cmd := h.mounted("mount -t tmpfs -o size=8k,mode=700 tmpfs "+h.state, h.here("set", "ip_local_reserved_ports="+list, "tcp_tw_reuse=1", "--yes")...)
			var problems bytes.Buffer
			cmd.Stderr = &problems
			if err := h.net.Start(cmd); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			text := problems.String()
			if cmd.ProcessState.ExitCode() == 0 {
				continue // all fitted
			}
			if !strings.Contains(text, "no space left on device") || strings.Count(text, "\n") != 1 {
				t.Errorf("%d ports: %s", n, text)
			}
			if diff := cmp.Diff(was, h.snapshot()); diff != "" {
				t.Errorf("%d ports: something was changed, though it says %s:\n%s", n, text, diff)
			}
			if strings.HasSuffix(text, "; everything is as it was before, and the next run will note that in the journal, which cannot be written now\n") {
				full++
			}
		}
		if full < 3 {
			t.Errorf("the disk was full after the plan was written %d times: the test shows little", full)
		}
	})
	t.Run("parameters that are read-only, as in a container", func(t *testing.T) {
		h := setup(t)
		h.refuse(h.mounted("mount -o bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys", append(set, "--state-dir", h.state)...),
			3, "read-only here, as in most containers", "everything is as it was before")
	})
	t.Run("somebody without privilege", func(t *testing.T) {
		h := setup(t)
		dir, err := os.MkdirTemp("/tmp", "portroom")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		// The program itself lies where only root comes.
		path, err := exec.LookPath("portroom")
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "portroom")
		if out, err := exec.Command("cp", "-L", path, program).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		as := func(args ...string) *exec.Cmd {
			return &exec.Cmd{
				Path: program, Args: append([]string{"portroom"}, args...), Dir: dir, Env: append(os.Environ(), "TMPDIR="+dir),
				SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}},
			}
		}
		h.refuse(as(append(set, "--state-dir", filepath.Join(dir, "state"))...), 3, "only root of the system that the namespace belongs to may", "everything is as it was before")
		h.refuse(as(set...), 3, "state directory: ", "/var/lib/portroom", "permission denied; --state-dir names another")
	})
	t.Run("a value that was changed while the plan was being read", func(t *testing.T) {
		h := setup(t)
		p := h.terminal(h.here("set", "tcp_tw_reuse=1")...)
		p.until("[y/N] ")
		if err := h.net.Sysctl("net.ipv4.tcp_tw_reuse", "2"); err != nil {
			t.Fatal(err)
		}
		was := h.snapshot()
		p.write("y\n")
		text, status := p.wait()
		if status != 3 || !strings.Contains(text, `net.ipv4.tcp_tw_reuse is "2" now, and was expected to be "0": somebody changed it`) {
			t.Errorf("status %d: %s", status, text)
		}
		if diff := cmp.Diff(was, h.snapshot()); diff != "" {
			t.Errorf("something was changed:\n%s", diff)
		}
	})
	t.Run("an answer that is not yes", func(t *testing.T) {
		h := setup(t)
		was := h.snapshot()
		for _, answer := range []string{"n\n", "\n", "maybe\n", "\x04"} {
			p := h.terminal(h.here("set", "tcp_tw_reuse=1")...)
			p.until("[y/N] ")
			p.write(answer)
			if text, status := p.wait(); status != 3 || !strings.Contains(text, "nothing was changed: the answer was not yes") {
				t.Errorf("%q: status %d: %s", answer, status, text)
			}
		}
		if diff := cmp.Diff(was, h.snapshot()); diff != "" {
			t.Errorf("something was changed:\n%s", diff)
		}
		p := h.terminal(h.here("set", "tcp_tw_reuse=1")...)
		p.until("[y/N] ")
		p.write("\x03") // Ctrl-C
		if text, status := p.wait(); status != 3 || !strings.Contains(text, "portroom: interrupted") {
			t.Errorf("Ctrl-C: status %d: %s", status, text)
		}
		p = h.terminal(h.here("set", "tcp_tw_reuse=1")...)
		p.until("[y/N] ")
		p.write("y\n")
		if text, status := p.wait(); status != 0 || !strings.Contains(text, "change 1 done") || h.sysctl("tcp_tw_reuse") != "1\n" {
			t.Errorf("yes: status %d: %s", status, text)
		}
	})
}

// pty is a command on a terminal.
type pty struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	seen   strings.Builder
}

func (h *private) terminal(args ...string) *pty {
	h.t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer slave.Close()
	p := &pty{t: h.t, cmd: h.command(args...), master: os.NewFile(uintptr(fd), "ptmx")}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := h.net.Start(p.cmd); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// until reads what is printed up to some text.
func (p *pty) until(text string) {
	p.t.Helper()
	b := make([]byte, 1024)
	for !strings.Contains(p.seen.String(), text) {
		n, err := p.master.Read(b)
		p.seen.Write(b[:n])
		if err != nil {
			p.t.Fatalf("%v before %q: %s", err, text, p.seen.String())
		}
	}
}

func (p *pty) write(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// wait reads to the end and returns all that was printed.
func (p *pty) wait() (text string, status int) {
	b := make([]byte, 1024)
	for {
		n, err := p.master.Read(b)
		p.seen.Write(b[:n])
		if err != nil {
			break // EIO: nobody has the terminal open any more
		}
	}
	_ = p.cmd.Wait()
	p.master.Close()
	return p.seen.String(), p.cmd.ProcessState.ExitCode()
}
