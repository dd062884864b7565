package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/portroom/portroom/internal/loopback"
)

// The namespace of the demo. Ports from demoFirst on only are to be had, so that
// what fix makes of the range is filled in a second or two: past the knee each
// connect searches half of it.
const (
	demoFirst  = 60000
	demoRange  = "60000 60999"
	demoServer = "127.0.0.1:443"
)

// demo runs itself again inside a new namespace and removes what that leaves.
func (a *app) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "portroom-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"demo", "--inside", dir}
	if a.json {
		args = append(args, "--json")
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		// Whoever makes a user namespace is root of the networks that it makes there.
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return statusError(exit.ExitCode())
	case err != nil:
		return fmt.Errorf("demo needs root or user namespaces: a namespace of its own cannot be made: %w", err)
	}
	return nil
}

// demoInside is the demo, in a namespace that is its own.
func (a *app) demoInside(ctx context.Context, dir string) error {
	begun := time.Now()
	server, err := demoSetup(dir)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	s := demoSession{a, server, a.stdout}
	if a.json {
		s.out = io.Discard
	}
	var j demoJSON
	s.say("A network namespace of its own: nothing of this host is touched. It chooses source ports from\n" +
		demoRange + ", and a closed connection keeps its port for 60 s, as everywhere but on loopback.")
	s.say("\nConnecting to " + demoServer + " and closing, until it fails …")
	n, failed := s.connects(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j.First, j.Error = n, errorText(failed)
	s.say(fmt.Sprintf("%d connects succeeded. The next one: %s", n, j.Error))

	s.show(ctx, "check")
	var check checkJSON
	if err := s.ask(ctx, &check, "check"); err != nil {
		return err
	}
	j.Status = check.Status
	if s.has("explain") {
		s.show(ctx, "explain", "cannot assign requested address")
	}
	where := []string{"--state-dir", filepath.Join(dir, "state"), "--root", filepath.Join(dir, "root")}
	var plan changeJSON
	if err := s.ask(ctx, &plan, append([]string{"fix", "--dry-run"}, where...)...); err != nil {
		return err
	}
	if len(plan.Gains) != 1 {
		return fmt.Errorf("the plan of the demo promises nothing: %v", plan.Notes)
	}
	j.Promised = plan.Gains[0].After.Headroom
	if s.show(ctx, append([]string{"fix", "--yes"}, where...)...) != exitOK {
		return errors.New("the fix of the demo failed")
	}
	s.say("\nConnecting again, until it fails …")
	n, failed = s.connects(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j.Connected = n
	s.say(fmt.Sprintf("%d connects were promised, %d succeeded. The next one: %s", j.Promised, n, errorText(failed)))
	if s.show(ctx, append([]string{"undo", "--yes"}, where[:2]...)...) != exitOK {
		return errors.New("the undo of the demo failed")
	}
	r, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return err
	}
	j.Undone = flat(string(r)) == demoRange
	j.Seconds = round1(time.Since(begun).Seconds())
	s.say(fmt.Sprintf("\nThe range is %s again. That took %.1f s; the namespace ends with this command.", flat(string(r)), j.Seconds))
	if a.json {
		if err := printJSON(a.stdout, j); err != nil {
			return err
		}
	}
	if j.Promised != j.Connected || !j.Undone {
		return errors.New("a promise of the demo was not kept: please report it, with what uname -r prints")
	}
	return nil
}

// demoSetup makes the namespace's settings, its files and its server.
func demoSetup(dir string) (net.Listener, error) {
	if err := loopback.Up(); err != nil {
		return nil, err
	}
	for _, p := range [][2]string{
		{"ip_local_port_range", demoRange}, {"ip_unprivileged_port_start", fmt.Sprint(demoFirst)}, {"tcp_tw_reuse", "0"},
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+p[0], []byte(p[1]), 0); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "root/etc/sysctl.d"), 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", demoServer)
	if err != nil {
		return nil, err
	}
	return l, nil
}

type demoSession struct {
	a      *app
	server net.Listener
	out    io.Writer
}

func (s *demoSession) say(text string) { fmt.Fprintln(s.out, text) }

// connects connects, and closes on this side first, until a connect fails.
func (s *demoSession) connects(ctx context.Context) (n int, failed error) {
	d := net.Dialer{KeepAlive: -1}
	for {
		c, err := d.DialContext(ctx, "tcp", demoServer)
		if err != nil {
			return n, err
		}
		peer, err := s.server.Accept()
		if err != nil {
			return n, errors.Join(err, c.Close())
		}
		err = c.Close()
		_, copyErr := io.Copy(io.Discard, peer) // to its end
		if err := errors.Join(err, copyErr, peer.Close()); err != nil {
			return n, err
		}
		n++
	}
}

// errorText is the innermost error, with its name.
func errorText(err error) string {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return err.Error()
	}
	if no == syscall.EADDRNOTAVAIL {
		return no.Error() + " (EADDRNOTAVAIL)"
	}
	return no.Error()
}

// show runs a command and prints it like a shell would.
func (s *demoSession) show(ctx context.Context, args ...string) int {
	line := "$ portroom"
	for _, arg := range args {
		if strings.Contains(arg, " ") {
			arg = strconv.Quote(arg)
		}
		line += " " + arg
	}
	s.say("\n" + s.a.paint(bold, line))
	sub := &app{stdout: s.out, stderr: s.out, width: s.a.width, color: s.a.color, ascii: s.a.ascii, engine: s.a.engine}
	return sub.run(ctx, args)
}

// ask runs a command for its JSON.
func (s *demoSession) ask(ctx context.Context, to any, args ...string) error {
	var out, problems bytes.Buffer
	sub := &app{stdout: &out, stderr: &problems, engine: s.a.engine}
	if status := sub.run(ctx, append(args, "--json")); status >= exitFailed {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(problems.String()), "portroom: "))
	}
	return json.Unmarshal(out.Bytes(), to)
}

// has reports whether this portroom has a command.
func (*demoSession) has(name string) bool {
	for _, c := range Command().Commands() {
		if c.Name() == name {
			return true
		}
	}
	return false
}
