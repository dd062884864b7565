package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/test/hivex"
	"github.com/portroom/portroom/test/need"
)

// A volume is an NTFS image, and the folder that it is mounted on.
type volume struct{ image, dir string }

func newVolume(t *testing.T) volume {
	t.Helper()
	need.Root(t)
	for _, tool := range []string{"mkntfs", "ntfs-3g"} {
		_, err := exec.LookPath(tool)
		need.That(t, err == nil, tool, "apt-get install ntfs-3g")
	}
	_, err := os.Stat("/dev/fuse")
	need.That(t, err == nil, "/dev/fuse", "modprobe fuse")
	v := volume{filepath.Join(t.TempDir(), "image"), t.TempDir()}
	f, err := os.Create(v.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(16<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkntfs", "-F", "-q", "-f", v.image).CombinedOutput(); err != nil {
		t.Fatalf("mkntfs: %v: %s", err, out)
	}
	return v
}

// run mounts the volume, runs a program and unmounts it. Mount and driver are in
// namespaces of their own, which take them along however this ends.
func (v volume) run(t *testing.T, options string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	const script = `ntfs-3g -o "$1" "$2" "$3" || exit 99; shift 3; "$@"; status=$?; umount "$0" || exit 98; exit $status`
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{
		"--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
		"sh", "-c", script, v.dir, options, v.image, v.dir,
	}, args...)...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() >= 98 {
		t.Fatalf("%q on a mounted volume: %v: %s", args, err, problems.String())
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// write copies files to paths on the volume.
func (v volume) write(t *testing.T, files map[string]string) {
	t.Helper()
	for to, from := range files {
		to = filepath.Join(v.dir, to)
		if _, problems, status := v.run(t, "rw", "sh", "-c", `mkdir -p "$(dirname "$1")" && cp "$0" "$1"`, from, to); status != 0 {
			t.Fatalf("write %s: %s", to, problems)
		}
	}
}

// On a volume of Windows names are found whatever their case, which the driver is
// strict about.
func TestWindowsIsFoundOnAnNTFSVolume(t *testing.T) {
	hives := t.TempDir()
	for _, name := range []string{"system", "software"} {
		hivex.Fill(t, filepath.Join(hives, name), `HKEY_LOCAL_MACHINE\`+strings.ToUpper(name), read(t, "testdata/windows/2000-server/"+name+".reg"))
	}
	system, software := filepath.Join(hives, "system"), filepath.Join(hives, "software")
	asleep := filepath.Join(t.TempDir(), "hiberfil.sys")
	if err := os.WriteFile(asleep, append([]byte("hibr"), make([]byte, 8188)...), 0o644); err != nil {
		t.Fatal(err)
	}
	const product = "Windows 2000 Server (5.0 build 2195, Service Pack 4, x86, ControlSet001)"
	for name, c := range map[string]struct {
		files  map[string]string
		below  string // what system: names on the volume
		status int
		want   string
		not    string
	}{
		"as Windows 2000 has it": {map[string]string{"WINNT/system32/config/system": system, "WINNT/system32/config/software": software}, "", 0, product, "SOFTWARE is not at hand"},
		"as later ones have it":  {map[string]string{"Windows/System32/config/SYSTEM": system, "Windows/System32/config/SOFTWARE": software}, "", 0, product, ""},
		"in odd cases":           {map[string]string{"wInDoWs/SYSTEM32/Config/sYsTeM": system, "wInDoWs/SYSTEM32/Config/SofTware": software}, "", 0, product, ""},
		"by its system root":     {map[string]string{"WINNT/SYSTEM32/CONFIG/SYSTEM": system, "WINNT/SYSTEM32/CONFIG/SOFTWARE": software}, "WINNT", 0, product, ""},
		"two of them":            {map[string]string{"WINNT/system32/config/system": system, "WINDOWS/system32/config/system": system}, "", 3, "there is more than one Windows in it", ""},
		"one of two":             {map[string]string{"WINNT/system32/config/system": system, "WINNT/system32/config/software": software, "WINDOWS/system32/config/system": software}, "WINNT", 0, product, ""},
		"none":                   {map[string]string{"Users/notes": software}, "", 3, "there is no Windows in it", ""},
		"asleep":                 {map[string]string{"WINNT/system32/config/system": system, "WINNT/system32/config/software": software, "Hiberfil.sys": asleep}, "", 0, "Hiberfil.sys holds a hibernated Windows", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolume(t)
			v.write(t, c.files)
			for _, options := range []string{"ro", "rw"} {
				if name == "asleep" && options == "rw" {
					continue // ntfs-3g itself refuses that
				}
				out, problems, status := v.run(t, options, "portroom", "settings", "--target", "system:"+filepath.Join(v.dir, c.below))
				if status != c.status || !strings.Contains(out+problems, c.want) || c.not != "" && strings.Contains(out, c.not) {
					t.Errorf("mounted %s: status %d, want %d and %q:\n%s%s", options, status, c.status, c.want, out, problems)
				}
			}
		})
	}
}

// A hive on a volume of Windows is changed and brought back, with the attributes of
// its file; a Windows that sleeps is left alone.
func TestAHiveOnAnNTFSVolumeIsSetAndUndone(t *testing.T) {
	hives := t.TempDir()
	for _, name := range []string{"system", "software"} {
		hivex.Fill(t, filepath.Join(hives, name), `HKEY_LOCAL_MACHINE\`+strings.ToUpper(name), read(t, "testdata/windows/xp-home/"+name+".reg"))
	}
	v := newVolume(t)
	const hive = "WINDOWS/system32/config/system"
	v.write(t, map[string]string{hive: filepath.Join(hives, "system"), "WINDOWS/system32/config/software": filepath.Join(hives, "software")})
	state := filepath.Join(t.TempDir(), "state")
	const parametersKey = `ControlSet001\Services\Tcpip\Parameters`
	run := func(status int, want string, args ...string) {
		t.Helper()
		out, problems, got := v.run(t, "rw,permissions", args...)
		if got != status || !strings.Contains(out+problems, want) {
			t.Fatalf("%q: status %d, want %d and %q:\n%s%s", args, got, status, want, out, problems)
		}
	}
	path := filepath.Join(v.dir, hive)
	run(0, "", "chmod", "640", path)
	run(0, "", "chown", "1234:4321", path)
	run(0, "change 1 done", "portroom", "set", "MaxUserPort=65534", "--target", "system:"+v.dir, "--state-dir", state, "--yes")
	run(0, "65534", "hivexget", path, parametersKey, "MaxUserPort")
	run(0, "640 1234 4321", "stat", "-c", "%a %u %g", path)
	run(0, "change 1 is undone", "portroom", "undo", "--state-dir", state, "--yes")
	run(1, "", "hivexget", path, parametersKey, "MaxUserPort")
	run(0, "640 1234 4321", "stat", "-c", "%a %u %g", path)

	asleep := filepath.Join(t.TempDir(), "hiberfil.sys")
	if err := os.WriteFile(asleep, append([]byte("hibr"), make([]byte, 8188)...), 0o644); err != nil {
		t.Fatal(err)
	}
	v.write(t, map[string]string{"hiberfil.sys": asleep})
	out, problems, status := v.run(t, "ro", "portroom", "set", "MaxUserPort=65534", "--target", "system:"+v.dir, "--state-dir", state, "--yes")
	if status != 3 || !strings.Contains(problems, "holds a hibernated Windows") {
		t.Errorf("status %d: %s%s", status, out, problems)
	}
}
