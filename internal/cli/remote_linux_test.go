package cli_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/portroom/portroom/test/need"
	"github.com/portroom/portroom/test/samba"
)

// forward lets a server answer on SMB's own port of another loopback address, since
// a target names no port.
func forward(t *testing.T, s *samba.Server) string {
	t.Helper()
	const host = "127.0.77.1"
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", host+":445")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
			if err != nil {
				in.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				running.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					in.Close()
					out.Close()
				})
			}
		}
	})
	return host
}

// A private Samba, pinned to the SMB1 of Windows 2000 to Server 2003, stands in for
// one. It answers CurrentVersion itself, as of a release 6.1; all else is ours.
func TestARemoteRegistryIsReadThroughSMB1(t *testing.T) {
	need.Root(t)
	s := samba.Start(t, samba.NT1)
	for _, file := range []string{"system.reg", "software.reg"} {
		s.Fill(t, read(t, filepath.Join("testdata/windows/2000-advanced-server", file)))
	}
	host := forward(t, s)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(samba.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"settings", "--target", "remote:" + host, "--user", samba.User, "--password-file", "password"}
	out, problems, status := portroom(t, dir, append(args, "--smb1")...)
	if status != 0 || !strings.HasPrefix(out, "Windows Server 2008 R2 (6.1, Service Pack 3, x86, ControlSet002)\n") ||
		!strings.Contains(out, "\nMaxUserPort        32768 ") || !strings.Contains(out, "\nTcpTimedWaitDelay  60 ") {
		t.Errorf("status %d: %s%s", status, out, problems)
	}
	_, problems, status = portroom(t, dir, args...)
	if status != 3 || !strings.Contains(problems, "--smb1") {
		t.Errorf("without SMB1: status %d: %s", status, problems)
	}
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems, status = portroom(t, dir, append(args, "--smb1")...)
	if status != 3 || strings.Count(problems, "\n") != 1 || strings.Contains(problems, "wrong\n") || !strings.Contains(problems, "--user") {
		t.Errorf("wrong password: status %d: %s", status, problems)
	}
}
