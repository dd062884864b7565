package wine

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Result is what became of a program that has ended.
type Result struct {
	Stdout, Stderr string // with the line ends that the program wrote
	Exit           int    // the low 8 bits of its exit status
}

// Run runs a Windows program to its end and returns what it said. The test fails
// if it could not be started or takes longer than three minutes.
func (p *Prefix) Run(t testing.TB, name string, args ...string) Result {
	t.Helper()
	return p.RunWith(t, Input{}, name, args...)
}

// Input is what a program is given beside its arguments.
type Input struct {
	Stdin string
	Env   []string // name=value, added to the test's own
}

// RunWith runs a Windows program as [Prefix.Run] does.
func (p *Prefix) RunWith(t testing.TB, in Input, name string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := p.Command(ctx, name, args...)
	cmd.Env = append(cmd.Env, in.Env...)
	cmd.Stdin = strings.NewReader(in.Stdin)
	// Files, for a pipe would be waited on while any process of Wine holds it.
	var outs [2]*os.File
	for i, name := range []string{"stdout", "stderr"} {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		outs[i] = f
	}
	cmd.Stdout, cmd.Stderr = outs[0], outs[1]
	err := p.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	var text [2]string
	for i, f := range outs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		text[i] = string(b)
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		t.Fatalf("run %s %q under Wine: %v\n%s", name, args, err, text[1])
	}
	return Result{text[0], text[1], cmd.ProcessState.ExitCode()}
}

// Must runs a Windows program that has to end with status 0, and returns its
// standard output.
func (p *Prefix) Must(t testing.TB, name string, args ...string) string {
	t.Helper()
	r := p.Run(t, name, args...)
	if r.Exit != 0 {
		t.Fatalf("%s %q under Wine: status %d\n%s%s", name, args, r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Reg runs Wine's reg(1), such as Reg(t, "query", `HKLM\System`), which has to
// succeed. It answers in CRLF lines.
func (p *Prefix) Reg(t testing.TB, args ...string) string {
	t.Helper()
	return p.Must(t, "reg", args...)
}

// SetVersion makes programs that start from now on see another Windows. It takes
// the names of winecfg -v: winxp64, win2003, vista, win2008, win2008r2, win7,
// win8, win81, win10, win11. "win2k" and "winxp" change what RtlGetVersion says,
// but not the version in the registry, for no 64-bit system is called so.
func (p *Prefix) SetVersion(t testing.TB, version string) {
	t.Helper()
	if version == "win2k" || version == "winxp" {
		p.Reg(t, "add", `HKCU\Software\Wine`, "/v", "Version", "/d", version, "/f")
		return
	}
	// A version set as above would win over that of the registry.
	p.Run(t, "reg", "delete", `HKCU\Software\Wine`, "/v", "Version", "/f")
	p.Must(t, "winecfg", "-v", version)
}

// Build builds a Go program for Windows on amd64 and returns its path. The
// package is named as for go build, from the folder of the test.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	return compile(t, "build", pkg)
}

// BuildTest builds the tests of a package for Windows on amd64 and returns the
// path of the program. It should be run with the package's folder as its own, if
// it has testdata.
func BuildTest(t testing.TB, pkg string) string {
	t.Helper()
	return compile(t, "test", "-c", pkg)
}

// Passes runs the tests of the package that the test is in, under Wine, and wants
// those that are named to pass and none to be skipped.
func (p *Prefix) Passes(t testing.TB, names ...string) {
	t.Helper()
	r := p.RunWith(t, Input{Env: []string{"CI=true"}}, BuildTest(t, "."), "-test.v")
	t.Logf("%s%s", r.Stdout, r.Stderr)
	if r.Exit != 0 || strings.Contains(r.Stdout, "--- SKIP") {
		t.Errorf("status %d", r.Exit)
	}
	for _, name := range names {
		if !strings.Contains(r.Stdout, "--- PASS: "+name) {
			t.Errorf("%s did not pass", name)
		}
	}
}

func compile(t testing.TB, verb string, args ...string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "program.exe")
	cmd := exec.CommandContext(t.Context(), "go", append([]string{verb, "-o", exe}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s %s for windows: %v\n%s", verb, strings.Join(args, " "), err, out)
	}
	return exe
}
