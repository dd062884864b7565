package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/term"
)

// Ask shows prompt on the terminal and reads a line from it without echo. It
// uses the terminal itself, so that standard input and output may be redirected.
// Without a terminal it is [ErrNone]. When ctx is done it gives up, with the echo
// as it was.
func Ask(ctx context.Context, prompt string) (string, error) {
	tty, err := terminal()
	if err != nil {
		return "", ErrNone
	}
	defer tty.Close()
	fd := int(tty.Fd())
	if !term.IsTerminal(fd) {
		return "", ErrNone
	}
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	fmt.Fprint(tty, prompt)
	type answer struct {
		text []byte
		err  error
	}
	// A read from the terminal cannot be ended; it ends with the process, which
	// does not go on after this.
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		err := errors.Join(ctx.Err(), term.Restore(fd, before))
		fmt.Fprintln(tty)
		return "", err
	case a := <-typed:
		fmt.Fprintln(tty)
		if a.err != nil {
			return "", fmt.Errorf("ask for the password: %w", a.err)
		}
		return string(a.text), nil
	}
}

func terminal() (*os.File, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.ErrUnsupported // no command takes a password there: the system connects by itself
	}
	return os.OpenFile("/dev/tty", os.O_RDWR, 0)
}
