package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/test/need"
	"github.com/portroom/portroom/test/samba"
)

// A private Samba stands in for a Windows 2000 (SMB1) and for a later host (SMB3).
// Its own tool judges what is in its registry.
func TestARemoteRegistryIsSetAndUndone(t *testing.T) {
	need.Root(t)
	for version, product := range map[string]string{samba.NT1: "2000-advanced-server", samba.SMB3: "2003-standard"} {
		t.Run(version, func(t *testing.T) {
			s := samba.Start(t, version)
			for _, file := range []string{"system.reg", "software.reg"} {
				s.Fill(t, read(t, filepath.Join("testdata/windows", product, file)))
			}
			set := "ControlSet001"
			if version == samba.NT1 {
				set = "ControlSet002"
			}
			value := func(name string) string {
				t.Helper()
				out, err := s.Judge(t.Context(), "getvalueraw", `HKLM\SYSTEM\`+set+`\Services\Tcpip\Parameters`, name)
				if err != nil {
					return ""
				}
				return strings.TrimSpace(out)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "password"), []byte(samba.Password+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			host := forward(t, s)
			connect := []string{"--user", samba.User, "--password-file", "password", "--state-dir", filepath.Join(dir, "state")}
			if version == samba.NT1 {
				connect = append(connect, "--smb1")
			}
			run := func(status int, args ...string) string {
				t.Helper()
				out, problems, got := portroom(t, dir, append(args, connect...)...)
				if got != status {
					t.Fatalf("%q: status %d, want %d: %s%s", args, got, status, out, problems)
				}
				return out + problems
			}
			before := []string{value("MaxUserPort"), value("TcpTimedWaitDelay"), value("ReservedPorts")}
			out := run(0, "set", "MaxUserPort=65533", "TcpTimedWaitDelay=31", "--target", "remote:"+host, "--yes", "--accept-risk=ignored-value")
			if value("MaxUserPort") != "65533" || value("TcpTimedWaitDelay") != "31" {
				t.Errorf("%q, %q: %s", value("MaxUserPort"), value("TcpTimedWaitDelay"), out)
			}
			for _, name := range []string{"1-backup.reg", "1-restore.reg"} {
				if _, err := os.Stat(filepath.Join(dir, "state", name)); err != nil {
					t.Error(err)
				}
			}
			if text := run(64, "set", "MaxUserPort=4999", "--target", "remote:"+host, "--yes"); !strings.Contains(text, "want 5000 to 65534") {
				t.Error(text)
			}
			run(0, "undo", "--yes")
			after := []string{value("MaxUserPort"), value("TcpTimedWaitDelay"), value("ReservedPorts")}
			if strings.Join(before, "|") != strings.Join(after, "|") {
				t.Errorf("after undo %q, before %q", after, before)
			}
			// A host that is gone: the change is not undone, and the journal keeps it.
			run(0, "set", "TcpTimedWaitDelay=32", "--target", "remote:"+host, "--yes")
			s.Pause()
			connect = append(connect, "--timeout", "1s")
			if text := run(3, "undo", "--yes"); strings.Count(text, "\n") != 1 {
				t.Error(text)
			}
			s.Resume()
			connect = connect[:len(connect)-2]
			run(0, "undo", "--yes")
			if got := value("TcpTimedWaitDelay"); got != before[1] {
				t.Errorf("TcpTimedWaitDelay is %q, was %q", got, before[1])
			}
		})
	}
}
