package vm

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/need"
)

// write puts a file into dir and returns its path.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Texts of every length modulo four, for everything is padded to four bytes.
func TestInitrdIsAnArchiveThatCpioReads(t *testing.T) {
	_, err := exec.LookPath("cpio")
	need.That(t, err == nil, "cpio", "apt-get install cpio")
	dir := t.TempDir()
	for name, c := range map[string]struct {
		program string
		args    []string
		modules map[string]string
	}{
		"no arguments, no modules": {"\x7fELF", nil, nil},
		"an odd program":           {"\x7fELF1", []string{"-test.v"}, map[string]string{"a.ko": "module a"}},
		"several of everything": {
			strings.Repeat("p", 1<<16+2), []string{"-test.run=^TestX$", "with a blank", "-v"},
			map[string]string{"b.ko": "b", "inet_diag.ko": "12345", "c.ko": "123", "empty.ko": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Binary: write(t, dir, "program", c.program, 0o600), Args: c.args}
			files := map[string]string{"init": c.program, "args": strings.Join(c.args, "\n")}
			for _, n := range []string{"dev", "proc", "sys", "tmp", "run", "modules"} {
				files[n] = "directory"
			}
			for n, text := range c.modules {
				o.Modules = append(o.Modules, write(t, dir, n, text, 0o600))
				files["modules/"+n] = text
			}
			initrd := filepath.Join(t.TempDir(), "initrd.gz")
			if err := writeInitrd(initrd, o); err != nil {
				t.Fatal(err)
			}
			archive := unzip(t, initrd)

			listed := make(map[string]bool)
			for _, n := range strings.Fields(string(cpio(t, t.TempDir(), archive, "-it"))) {
				listed[n] = true
			}
			want := make(map[string]bool)
			for n := range files {
				want[n] = true
			}
			if diff := cmp.Diff(want, listed); diff != "" {
				t.Errorf("what is in the archive (-want +got):\n%s", diff)
			}

			out := t.TempDir()
			cpio(t, out, archive, "-i")
			got := make(map[string]string)
			for n := range listed {
				got[n] = content(t, filepath.Join(out, n))
			}
			if diff := cmp.Diff(files, got); diff != "" {
				t.Errorf("what the files hold (-want +got):\n%s", diff)
			}
			if st, err := os.Stat(filepath.Join(out, "init")); err != nil || st.Mode().Perm()&0o111 != 0o111 {
				t.Errorf("init cannot be executed: %v, %v", st.Mode(), err)
			}
		})
	}
}

func unzip(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func cpio(t *testing.T, dir string, archive []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("cpio", append(args, "--quiet", "--format=newc")...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(archive)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil || complaint.Len() > 0 {
		t.Fatalf("cpio %v: %v\n%s", args, err, complaint.Bytes())
	}
	return out
}

func content(t *testing.T, name string) string {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st.IsDir() {
		return "directory"
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// machine puts a script in the place of qemu, which leaves a mark when it runs.
func machine(t *testing.T, script string) (o Options, mark string) {
	t.Helper()
	dir := t.TempDir()
	mark = filepath.Join(dir, "mark")
	write(t, dir, "qemu-system-x86_64", "#!/bin/sh\necho run >> '"+mark+"'\n"+script, 0o755)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return Options{Kernel: "none", Binary: write(t, dir, "program", "\x7fELF", 0o755), Memory: 64}, mark
}

func TestNoMachineIsStartedForWhatIsMissing(t *testing.T) {
	o, mark := machine(t, "echo 'portroom-vm: exit 0'\n")
	noProgram, noModule := o, o
	noProgram.Binary = filepath.Join(t.TempDir(), "missing")
	noModule.Modules = []string{filepath.Join(t.TempDir(), "missing.ko")}
	for name, o := range map[string]Options{"program": noProgram, "module": noModule} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(t.Context(), o); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v, want one that the file does not exist", err)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("the machine was started")
			}
		})
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatalf("with everything there: %v", err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("with everything there the machine was not started: %v", err)
	}
}

func TestRunSaysHowTheProgramEnded(t *testing.T) {
	for name, c := range map[string]struct{ script, out, err string }{
		"well":                     {"printf 'PASS\\r\\nportroom-vm: exit 0\\r\\n'", "PASS\nportroom-vm: exit 0\n", ""},
		"with a failure":           {"printf 'FAIL\\r\\nportroom-vm: exit 1\\r\\n'", "FAIL\nportroom-vm: exit 1\n", "the program ended with status 1"},
		"with two digits":          {"echo 'portroom-vm: exit 10'", "portroom-vm: exit 10\n", "the program ended with status 10"},
		"the last status counts":   {"echo 'portroom-vm: exit 0'; echo 'portroom-vm: exit 2'", "portroom-vm: exit 0\nportroom-vm: exit 2\n", "the program ended with status 2"},
		"not at all":               {"echo 'Kernel panic'", "Kernel panic\n", "the machine ended before the program did"},
		"the machine fails":        {"echo 'no such kernel' >&2; exit 1", "no such kernel\n", "qemu: exit status 1"},
		"failure after the status": {"echo 'portroom-vm: exit 0'; exit 1", "portroom-vm: exit 0\n", "qemu: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := machine(t, c.script)
			var copied bytes.Buffer
			o.Output = &copied
			out, err := Run(t.Context(), o)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if out != c.out || message != c.err {
				t.Errorf("%q, %q\nwant %q, %q", out, message, c.out, c.err)
			}
			if got := strings.ReplaceAll(copied.String(), "\r", ""); got != c.out {
				t.Errorf("Output got %q, want %q", got, c.out)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	o, mark := machine(t, "exec sleep 30")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := Run(ctx, o)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 10*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begun))
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the machine was not started: %v", err)
	}
}
