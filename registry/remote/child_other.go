//go:build !windows

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxPassword is what Samba reads from PASSWD_FD; the rest would be cut off
	// without a word (auth/credentials: a buffer of 128 bytes).
	maxPassword = 127
	// maxOutput bounds what one call may print; a key's values are far below it.
	maxOutput = 64 << 20
	// maxStderr is enough for every sentence that is looked for.
	maxStderr = 64 << 10
)

// client runs net(8) for one host.
type client struct {
	ctx  context.Context
	host string
	o    Options
	net  string // path of net(8)
	dir  string // private; holds smb.conf and what Samba writes
}

// smbConf keeps Samba off the system's configuration and databases, and off the
// network but for the host itself. Registry values and names come as UTF-8.
const smbConf = `[global]
	client min protocol = %[2]s
	client max protocol = %[3]s
	client ipc min protocol = %[2]s
	client ipc max protocol = %[3]s
	client use kerberos = %[4]s
%[5]s	unix charset = UTF-8
	name resolve order = host
	private dir = %[1]s
	lock directory = %[1]s
	state directory = %[1]s
	cache directory = %[1]s
	pid directory = %[1]s
	log file = %[1]s/log
`

// smb1Conf lets hosts of SMB1's time in: outside domain controllers Windows 2000
// and XP do not sign, which Samba else insists on for IPC$ (smb.conf(5)).
const smb1Conf = "\tclient ipc signing = desired\n"

func newClient(ctx context.Context, host string, o Options) (*client, error) {
	if err := checkAccount(o); err != nil {
		return nil, err
	}
	path, err := exec.LookPath("net")
	if err != nil {
		return nil, &Error{Op: "open", Host: host, Err: ErrNotInstalled, Hint: hintInstall}
	}
	// os.MkdirTemp makes it 0700.
	dir, err := os.MkdirTemp("", "portroom-remote-")
	if err != nil {
		return nil, fmt.Errorf("open the registry of %s: %w", host, err)
	}
	kerberos, smb1 := "off", ""
	if o.Kerberos {
		kerberos = "required"
	}
	if o.minProtocol() == NT1 {
		smb1 = smb1Conf
	}
	text := fmt.Sprintf(smbConf, dir, o.minProtocol(), o.maxProtocol(), kerberos, smb1)
	c := &client{ctx: ctx, host: host, o: o, net: path, dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "smb.conf"), []byte(text), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the registry of %s: %w", host, err), c.close())
	}
	return c, nil
}

// checkAccount refuses what Samba would read in another way than it is meant.
func checkAccount(o Options) error {
	for _, p := range []Protocol{o.MinProtocol, o.MaxProtocol} {
		switch p {
		case "", NT1, SMB2, SMB3:
		default:
			return fmt.Errorf("SMB version %q: want NT1, SMB2 or SMB3", p)
		}
	}
	switch {
	case strings.ContainsAny(o.User, "%\x00\n"):
		// What follows a percent sign is a password to Samba.
		return errors.New("the user's name holds a percent sign or a line break, which Samba cannot take")
	case strings.ContainsAny(o.Password, "\x00\n"):
		return errors.New("the password holds a line break or a zero, which Samba cannot take")
	case len(o.Password) > maxPassword:
		return fmt.Errorf("the password is longer than %d bytes, which Samba would cut off", maxPassword)
	case o.User == "" && o.Password != "":
		return errors.New("a password without a user: name one with --user")
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("port %d: want 1 to 65535", o.Port)
	}
	return nil
}

func (c *client) close() error { return os.RemoveAll(c.dir) }

// args are those of every call. What follows them is never taken for an option.
func (c *client) args() []string {
	args := []string{"--configfile=" + filepath.Join(c.dir, "smb.conf"), "--debuglevel=1", "--server=" + c.host}
	if c.o.Port != 0 {
		args = append(args, "--port="+strconv.Itoa(c.o.Port))
	}
	if c.o.User != "" {
		args = append(args, "--user="+c.o.User)
	}
	if c.o.Password == "" && !c.o.Kerberos {
		args = append(args, "--no-pass")
	}
	return append(args, "--", "rpc", "registry")
}

// env is the whole environment of the child: English and UTF-8, and none of the
// variables from which Samba would take a user or a password (USER, PASSWD, …).
func (c *client) env() []string {
	env := []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"HOME", "TMPDIR", "KRB5CCNAME", "KRB5_CONFIG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// result is what a call left behind.
type result struct {
	stderr string
	err    error // how the child ended, nil for status 0
}

// run runs one subcommand of `net rpc registry`. read, if set, is given what the
// child prints; when it returns with enough read, the child is ended and its
// status does not count. run returns an error only if the call could not be made
// or was cut short; what went wrong in the call is for the caller to see.
func (c *client) run(op, key string, stdin string, read func(io.Reader) (enough bool, err error), args ...string) (result, error) {
	if err := c.ctx.Err(); err != nil {
		return result{}, &Error{Op: op, Key: key, Host: c.host, Err: err}
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.o.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.net, append(c.args(), args...)...)
	cmd.Env = c.env()
	cmd.Dir = c.dir
	cmd.Stdin = strings.NewReader(stdin)
	// A group of its own, so that all of it is ended, not just its leader.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var stderr limited
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return result{}, fmt.Errorf("%s the registry of %s: %w", op, c.host, err)
	}
	hand, err := c.password(cmd)
	if err != nil {
		return result{}, fmt.Errorf("%s the registry of %s: %w", op, c.host, err)
	}
	err = cmd.Start()
	hand(err == nil)
	if err != nil {
		return result{}, &Error{Op: op, Key: key, Host: c.host, Err: err}
	}
	if read == nil {
		read = func(r io.Reader) (bool, error) { _, err := io.Copy(io.Discard, r); return false, err }
	}
	enough, readErr := read(io.LimitReader(stdout, maxOutput))
	if enough || readErr != nil {
		_ = cmd.Cancel() // it may have ended by itself
	}
	err = cmd.Wait()
	switch {
	case enough:
		return result{stderr: stderr.String()}, nil
	case ctx.Err() != nil:
		return result{}, cutShort(c.ctx, Error{Op: op, Key: key, Host: c.host}, c.o.Timeout)
	case readErr != nil && err == nil:
		return result{}, &Error{Op: op, Key: key, Host: c.host, Err: readErr}
	}
	return result{stderr: stderr.String(), err: err}, nil
}

// password makes the pipe from which the child takes the password (PASSWD_FD, of
// which Samba's programs read a line). The function it returns fills it once the
// child runs, and closes it.
func (c *client) password(cmd *exec.Cmd) (func(started bool), error) {
	if c.o.Password == "" {
		return func(bool) {}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{r} // descriptor 3 of the child
	cmd.Env = append(cmd.Env, "PASSWD_FD=3")
	return func(started bool) {
		r.Close()
		if started {
			// A child that ended at once gives EPIPE, and says why by itself. The
			// pipe takes 127 bytes without anyone reading.
			_, _ = io.WriteString(w, c.o.Password+"\n")
		}
		w.Close()
	}, nil
}

// limited keeps the first bytes that are written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxStderr - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
