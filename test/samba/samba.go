// Package samba starts a private Samba server that speaks one version of SMB, as
// the stand-in for a Windows host whose registry is read from afar.
package samba

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// The versions of SMB that a server can be pinned to, by the names that smb.conf
// gives them.
const (
	NT1  = "NT1"  // Windows NT 4.0 to Server 2003; SMB1 elsewhere
	SMB2 = "SMB2" // Vista, 7, Server 2008
	SMB3 = "SMB3" // 8, Server 2012 and later
)

// The account that may read and write the registry of every [Server]. The blank
// and the percent sign are there because both are special to Samba's tools.
const (
	User     = "root"
	Password = "geheim 100%"
)

// A Server is a running smbd. It listens on Host alone.
type Server struct {
	Host string
	Port int

	conf string // path of its smb.conf, absolute as smbd's helpers need it
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when smbd has ended
}

// Need skips the test, or fails it in CI, where a server cannot be started.
func Need(t testing.TB) {
	t.Helper()
	need.Root(t)
	for _, tool := range []string{"smbd", "smbpasswd", "net"} {
		_, err := exec.LookPath(tool)
		need.That(t, err == nil, tool, "install samba, smbclient and samba-common-bin (Debian, Ubuntu)")
	}
}

// Judge runs Samba's own tool on the server's registry database, not over the
// network, and returns what it prints: `net registry ARGS`.
func (s *Server) Judge(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"--configfile=" + s.conf, "registry"}, args...)
	cmd := exec.CommandContext(ctx, "net", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Fill writes the keys and values of a .reg file's text to the registry, through
// [Server.Judge].
func (s *Server) Fill(t testing.TB, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fill.reg")
	// Samba takes a value in when it has seen the line after it.
	if err := os.WriteFile(file, []byte(text+"\n;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// UTF-8 text; hex(7) and hex(2) hold UTF-16, as in a file of version 5.
	if out, err := s.Judge(t.Context(), "import", file, "fileenc=UTF-8,strenc=UTF-16LE"); err != nil {
		t.Fatalf("fill the registry: %v\n%s", err, out)
	}
}
