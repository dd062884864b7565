package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asker is what this test binary is when a test starts it on a terminal.
const asker = "PORTROOM_TEST_ASK"

func TestMain(m *testing.M) {
	if os.Getenv(asker) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p, err := Ask(ctx, "Password of admin: ")
	fmt.Printf("%q %v %v\n", p, errors.Is(err, context.Canceled), errors.Is(err, ErrNone))
}

// pair makes a pair of pseudo-terminals (pts(4)).
func pair(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// ask runs asker on a terminal, waits for the prompt, types what is given, and
// returns what the terminal showed and what asker printed.
func ask(t *testing.T, typed string) (shown, printed string, echo bool) {
	t.Helper()
	master, slave := pair(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asker+"=1")
	var out strings.Builder
	cmd.Stdout = &out
	cmd.Stdin = slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	buf := make([]byte, 4096)
	read := func() {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(buf[:n])
	}
	for !strings.Contains(shown, "admin: ") {
		read()
	}
	for i := 0; ; i++ { // the echo goes off after the prompt
		if a, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil || a.Lflag&unix.ECHO == 0 {
			break
		}
		if i == 10_000 {
			t.Fatal("the echo stays on")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := master.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	read() // the line's end that follows the answer
	a, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return shown, out.String(), a.Lflag&unix.ECHO != 0
}

func TestThePasswordIsAskedForWithoutEcho(t *testing.T) {
	shown, printed, echo := ask(t, "geheim 1\n")
	if strings.Contains(shown, "geheim") || printed != "\"geheim 1\" false false\n" || !echo {
		t.Errorf("the terminal showed %q, echo %v; the answer is %q", shown, echo, printed)
	}
}

func TestCtrlCEndsTheQuestionAndBringsTheEchoBack(t *testing.T) {
	_, printed, echo := ask(t, "gehe\x03")
	if printed != "\"\" true false\n" || !echo {
		t.Errorf("%q, echo %v", printed, echo)
	}
}

func TestWithoutATerminalThereIsNobodyToAsk(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asker+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.Output()
	if err != nil || string(out) != "\"\" false true\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestAPasswordFileThatOthersMayReadIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		name := write(t, "geheim", 0o600)
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := FromFile(name); err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("geheim\n")
	w.Close()
	if got, err := FromFile(fmt.Sprintf("/dev/fd/%d", r.Fd())); got != "geheim" || err != nil {
		t.Errorf("from a pipe: %q, %v", got, err)
	}
}
