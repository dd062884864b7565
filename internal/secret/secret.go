// Package secret finds the password that a command needs, where it can be given
// without being on a command line: in a file, in the environment, or typed.
package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unicode/utf8"
)

// Variable is the environment variable that holds a password.
const Variable = "PORTROOM_PASSWORD"

// maxFile is more than any password; a longer file is not one.
const maxFile = 4096

// ErrNone says that there is no password and nobody to ask.
var ErrNone = errors.New("no password: give it with --password-file FILE or in " + Variable + ", or run this on a terminal to be asked")

// Password returns the password from file, if one is named, else from the
// environment, else from the terminal, where prompt is shown.
func Password(ctx context.Context, file, prompt string) (string, error) {
	if file != "" {
		return FromFile(file)
	}
	if p, ok := os.LookupEnv(Variable); ok {
		return p, nil
	}
	return Ask(ctx, prompt)
}

// FromFile reads the first line of a file. As ssh does with keys, it refuses a
// file of one's own that others may read; "-" is standard input.
func FromFile(name string) (string, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return "", fmt.Errorf("password file: %w", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return "", fmt.Errorf("password file: %w", err)
		}
		// Modes mean nothing on Windows, and a pipe, such as that of <(…), is not
		// read by others.
		if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			return "", fmt.Errorf("password file %s: others may read it (mode %04o): chmod 600 %s", name, mode.Perm(), name)
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("password file %s: %w", name, err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) > maxFile:
		return "", fmt.Errorf("password file %s: its first line is longer than %d bytes: it is no password", name, maxFile)
	case len(line) == 0:
		return "", fmt.Errorf("password file %s: its first line is empty", name)
	case !utf8.Valid(line):
		return "", fmt.Errorf("password file %s: it is not UTF-8 text", name)
	}
	return string(line), nil
}
