package samba

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// conf is a server of its own in every directory. It has no shares but IPC$,
// through which the registry is reached.
const conf = `[global]
	workgroup = WORKGROUP
	netbios name = PORTROOM
	server role = standalone server
	disable netbios = yes
	interfaces = lo
	bind interfaces only = yes
	smb ports = %[2]d
	server min protocol = %[3]s
	server max protocol = %[4]s
	passdb backend = tdbsam:%[1]s/private/passdb.tdb
	private dir = %[1]s/private
	lock directory = %[1]s/lock
	state directory = %[1]s/state
	cache directory = %[1]s/cache
	pid directory = %[1]s/pid
	ncalrpc dir = %[1]s/ncalrpc
	log file = %[1]s/log/%%m
	load printers = no
	printing = bsd
	unix charset = UTF-8
	usershare path =
`

// top is the last dialect of each version.
var top = map[string]string{NT1: "NT1", SMB2: "SMB2_10", SMB3: "SMB3_11"}

// Start starts a server that speaks one version of SMB. It ends with the test.
func Start(t testing.TB, version string) *Server {
	t.Helper()
	Need(t)
	// Not t.TempDir: its name may be too long for the sockets in it.
	dir, err := os.MkdirTemp("", "samba")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{"private", "lock", "state", "cache", "pid", "ncalrpc", "log"} {
		mode := os.FileMode(0o755)
		if d == "private" {
			mode = 0o700
		}
		if err := os.Mkdir(filepath.Join(dir, d), mode); err != nil {
			t.Fatal(err)
		}
	}
	s := &Server{Host: "127.0.0.1", Port: freePort(t), dir: dir, conf: filepath.Join(dir, "smb.conf")}
	text := fmt.Sprintf(conf, dir, s.Port, version, top[version])
	if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	add := exec.Command("smbpasswd", "-c", s.conf, "-a", "-s", User)
	add.Stdin = strings.NewReader(Password + "\n" + Password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("add user %s: %v\n%s", User, err, out)
	}
	s.start(t)
	t.Cleanup(s.Stop)
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	var said bytes.Buffer
	s.cmd = exec.Command("smbd", "--foreground", "--no-process-group", "--configfile="+s.conf, "--debug-stdout", "--debuglevel=0")
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	// smbd ends its whole process group when it is told to end.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func() { s.cmd.Wait(); close(s.done) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-s.done:
			t.Fatalf("smbd ended at its start:\n%s", &said)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Stop()
			t.Fatalf("smbd does not listen: %v\n%s", err, &said)
		}
	}
}

// Pause stops the server's processes without ending them: connections are taken
// by the kernel, and nobody answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) { syscall.Kill(-s.cmd.Process.Pid, sig) }

// Stop ends the server as if its power had been cut. To stop it twice is fine.
func (s *Server) Stop() {
	select {
	case <-s.done:
	default:
		s.signal(syscall.SIGKILL)
		<-s.done
	}
	// The helper that serves the winreg pipe left smbd's group for one of its own.
	text, err := os.ReadFile(filepath.Join(s.dir, "pid", "samba-dcerpcd.pid"))
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.Trim(string(text), "\x00")))
	if err != nil || pid <= 1 {
		return
	}
	os.Remove(filepath.Join(s.dir, "pid", "samba-dcerpcd.pid"))
	// The number may have been given to another since: only what names our
	// configuration file is ours.
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && bytes.Contains(line, []byte(s.conf)) {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
}
