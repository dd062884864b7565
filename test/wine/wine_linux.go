// Package wine runs Windows programs in tests, under Wine on Linux.
//
// What Windows itself is to a program, a [Prefix] is here: a C: drive, a registry
// and the processes that serve them. Each is its test's own and ends with it.
//
//	p := wine.New(t)
//	p.SetVersion(t, "win7")
//	r := p.Run(t, wine.Build(t, "./cmd/portroom"), "settings")
//
// Making a prefix takes Wine some ten seconds, so it is done once for each
// machine, in the user's cache directory, and copied from there.
package wine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

const (
	// patience is how long a Windows program may take.
	patience = 3 * time.Minute
	// linger is how long, in seconds, the server waits for the next program.
	// It is ended by its test; if the test is killed, it ends by itself.
	linger = "30"
)

// A Prefix is a Windows of the test's own.
type Prefix struct {
	dir string
	ns  *load.Netns // nil for the namespace of the test
}

// New makes a prefix that goes away with the test. If Wine is missing, the test
// is skipped, or fails in CI.
func New(t testing.TB) *Prefix {
	t.Helper()
	return NewIn(t, nil)
}

// NewIn makes a prefix whose processes all live in a network namespace, so that
// its programs see the sockets of that namespace. Nil stands for the namespace of
// the test.
func NewIn(t testing.TB, ns *load.Netns) *Prefix {
	t.Helper()
	Need(t)
	from, err := template(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := &Prefix{dir: filepath.Join(t.TempDir(), "prefix"), ns: ns}
	if err := clone(from, p.dir); err != nil {
		t.Fatal(err)
	}
	p.serve(t)
	return p
}

// Copy makes another prefix that is as this one is now, in the same namespace.
// It ends this one's processes, for a registry is written to its files only then,
// and starts its server anew.
func (p *Prefix) Copy(t testing.TB) *Prefix {
	t.Helper()
	p.stop(t)
	q := &Prefix{dir: filepath.Join(t.TempDir(), "prefix"), ns: p.ns}
	if err := clone(p.dir, q.dir); err != nil {
		t.Fatal(err)
	}
	p.warm(t)
	q.serve(t)
	return q
}

// Need skips the test, or fails it in CI, when Wine or the compiler of its shim
// is missing.
func Need(t testing.TB) {
	t.Helper()
	const get = "apt-get install --no-install-recommends wine wine64 gcc-mingw-w64-x86-64-win32"
	need.That(t, runtime.GOARCH == "amd64", "an amd64 processor", "Wine runs amd64 programs only there")
	for _, tool := range []string{"wine", "wineserver", compiler} {
		_, err := exec.LookPath(tool)
		need.That(t, err == nil, tool, get)
	}
}

// Dir is the folder that is C: to the prefix's programs.
func (p *Prefix) Dir() string { return filepath.Join(p.dir, "drive_c") }

// System32 is the folder of the prefix's system programs. A file there must be
// replaced by [Prefix.Install], never written over: it may be one with others.
func (p *Prefix) System32() string { return filepath.Join(p.Dir(), "windows", "system32") }

// Install puts a program into System32 under a name, such as "netsh.exe", in
// place of the one that is there.
func (p *Prefix) Install(t testing.TB, file, name string) {
	t.Helper()
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(p.System32(), name)
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, program, 0o755); err != nil {
		t.Fatal(err)
	}
	// Wine would go on to run its own program of this name.
	p.Reg(t, "add", `HKCU\Software\Wine\DllOverrides`, "/v", name, "/d", "native", "/f")
}

// Path is what a file or folder of this machine is called in the prefix: Z: is
// its root.
func Path(file string) string {
	return `Z:` + strings.ReplaceAll(file, "/", `\`)
}

// Command is a Windows program, to be started by [Prefix.Start]. The name is the
// path of a file of this machine, or one that Windows finds, such as "reg".
func (p *Prefix) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "wine", append([]string{name}, args...)...)
	cmd.Env = env(p.dir)
	// Processes that Wine leaves behind may hold on to the outputs.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Start starts a command in the prefix's namespace.
func (p *Prefix) Start(cmd *exec.Cmd) error {
	if p.ns == nil {
		return cmd.Start()
	}
	return p.ns.Start(cmd)
}

// stop ends the prefix's processes, which writes its registry to its files.
func (p *Prefix) stop(t testing.TB) {
	t.Helper()
	if err := stop(p.dir); err != nil {
		t.Error(err)
	}
}

// serve starts the prefix's server until the end of the test.
func (p *Prefix) serve(t testing.TB) {
	t.Helper()
	t.Cleanup(func() { p.stop(t) })
	p.warm(t)
}

// warm starts the prefix's server, and the services with it, so that the programs
// find them ready and hand them none of their files.
func (p *Prefix) warm(t testing.TB) {
	t.Helper()
	server := exec.CommandContext(t.Context(), "wineserver", "-p"+linger)
	server.Env = env(p.dir)
	first := p.Command(t.Context(), "cmd", "/c", "exit")
	for _, cmd := range []*exec.Cmd{server, first} {
		if err := p.Start(cmd); err != nil {
			t.Fatalf("start %s: %v", cmd.Args[0], err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
		}
	}
}

// env is the environment of the prefix's processes: no display, no messages of
// Wine's own, no offers to install Mono or Gecko, no entries in the user's menus.
func env(dir string) []string {
	return append(os.Environ(),
		"WINEPREFIX="+dir,
		"WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree,mshtml=;winemenubuilder.exe=d",
		"DISPLAY=",
		"HOME="+filepath.Dir(dir),
	)
}
