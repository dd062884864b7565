package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/hivex"
	"github.com/portroom/portroom/test/need"
)

// article are the thirteen products of KB 196271.
var article = []string{
	"2000-professional", "2000-server", "2000-advanced-server",
	"xp-home", "xp-professional", "xp-media-center", "xp-tablet-pc",
	"2003-web", "2003-standard", "2003-enterprise", "2003-standard-x64", "2003-enterprise-x64", "2003-datacenter-x64",
}

// disk is a folder with the two hives of a product in the places where Windows has
// them, and a state directory.
type disk struct {
	t                *testing.T
	dir, hive, state string
}

func newDisk(t *testing.T, product string) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{t, dir, filepath.Join(dir, "WINDOWS/system32/config/system"), filepath.Join(t.TempDir(), "state")}
	from := filepath.Join("testdata/windows", product)
	hivex.Fill(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, read(t, filepath.Join(from, "system.reg")))
	hivex.Fill(t, filepath.Join(filepath.Dir(d.hive), "software"), `HKEY_LOCAL_MACHINE\SOFTWARE`, read(t, filepath.Join(from, "software.reg")))
	return d
}

// run runs portroom in the folder of the hives and wants a status.
func (d *disk) run(status int, args ...string) (stdout, stderr string) {
	d.t.Helper()
	out, problems, got := portroom(d.t, filepath.Dir(d.hive), append(args, "--state-dir", d.state)...)
	if got != status {
		d.t.Fatalf("portroom %q: status %d, want %d: %s%s", args, got, status, out, problems)
	}
	return out, problems
}

// judge runs a program of hivex.
func judge(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	_, err := exec.LookPath(name)
	need.That(t, err == nil, name+"(1)", "apt-get install libhivex-bin")
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	return strings.TrimSpace(string(out)), err
}

// value is what hivexget prints of a value of Tcpip\Parameters, "" for none.
func (d *disk) value(set, name string) string {
	d.t.Helper()
	out, err := judge(d.t, "hivexget", d.hive, set+`\Services\Tcpip\Parameters`, name)
	if err != nil {
		return ""
	}
	return out
}

// content is everything that a hive holds, as hivexregedit exports it.
func (d *disk) content() string {
	d.t.Helper()
	return hivex.Export(d.t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`)
}

func TestEveryProductOfTheArticleIsFixedAndUndone(t *testing.T) {
	if len(article) != 13 {
		t.Fatal(len(article))
	}
	for _, product := range article {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t, product)
			current, err := judge(t, "hivexget", d.hive, "Select", "Current")
			if err != nil {
				t.Fatal(err)
			}
			set := "ControlSet00" + current
			begin := d.content()
			was := d.value(set, "MaxUserPort")
			stated := parse[gainOfTarget](t, d.checked()).widening()
			out, _ := d.run(0, "fix", "--target", "system:"+d.dir, "--yes", "--json")
			if was == "65534" {
				if !strings.Contains(out, `"status": "nothing"`) || d.content() != begin {
					t.Errorf("%s", out)
				}
			} else {
				if got := d.value(set, "MaxUserPort"); got != "65534" || !strings.Contains(out, `"status": "done"`) {
					t.Errorf("MaxUserPort is %q: %s", got, out)
				}
				if p := parse[gainOfFix](t, out); len(p.Gains) == 0 || stated == nil || p.Gains[0].After != *stated {
					t.Errorf("check states %+v, fix promises %s", stated, out)
				}
				if d.content() == begin {
					t.Error("hivexregedit sees no change")
				}
				d.run(0, "undo", "--yes")
			}
			if diff := cmp.Diff(begin, d.content()); diff != "" {
				t.Fatalf("undo does not lead back (-want +got):\n%s", diff)
			}
			// The contract for scripts, and each value that the article knows.
			d.run(0, "set", "MaxUserPort=0xFFFD", "TcpTimedWaitDelay=31", "ReservedPorts=8081,9000-9001", "--target", "hive:system", "--yes")
			for name, want := range map[string]string{"MaxUserPort": "65533", "TcpTimedWaitDelay": "31", "ReservedPorts": "8081-8081\n9000-9001"} {
				if got := d.value(set, name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			d.backups(begin)
			d.run(0, "undo", "--yes")
			if diff := cmp.Diff(begin, d.content()); diff != "" {
				t.Errorf("undo does not lead back (-want +got):\n%s", diff)
			}
		})
	}
}

// backups lets hivexregedit restore what the last change found from the .reg file
// beside the journal, in a copy of the hive.
func (d *disk) backups(begin string) {
	d.t.Helper()
	out, _ := d.run(0, "undo", "--list", "--json")
	id := len(parse[struct{ Changes []struct{} }](d.t, out).Changes)
	c := &disk{t: d.t, hive: filepath.Join(d.t.TempDir(), "copy")}
	if err := os.WriteFile(c.hive, []byte(read(d.t, d.hive)), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if c.content() == begin {
		d.t.Fatal("nothing is there to be restored")
	}
	hivex.Merge(d.t, c.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, utf8(d.t, filepath.Join(d.state, fmt.Sprintf("%d-restore.reg", id))))
	if diff := cmp.Diff(begin, c.content()); diff != "" {
		d.t.Errorf("restore.reg does not lead back (-want +got):\n%s", diff)
	}
	backup := utf8(d.t, filepath.Join(d.state, fmt.Sprintf("%d-backup.reg", id)))
	if !strings.Contains(backup, `Services\Tcpip\Parameters]`) {
		d.t.Errorf("the backup is\n%s", backup)
	}
}

// utf8 reads a .reg file of version 5.
func utf8(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "iconv", "-f", "UTF-16", "-t", "UTF-8", path).Output()
	if err != nil {
		t.Fatalf("iconv: %v", err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

func TestAHiveWithNothingButTheKeyIsSetAndUndone(t *testing.T) {
	d := &disk{t: t, hive: filepath.Join(t.TempDir(), "SYSTEM"), state: filepath.Join(t.TempDir(), "state")}
	hivex.Fill(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, bad)
	begin := d.content()
	out, _ := d.run(0, "set", "MaxUserPort=65534", "--target", "hive:SYSTEM", "--yes")
	if !strings.Contains(out, "which Windows this is cannot be told") || d.value("ControlSet001", "MaxUserPort") != "65534" {
		t.Errorf("%s", out)
	}
	d.run(0, "undo", "--yes")
	if d.value("ControlSet001", "MaxUserPort") != "" || d.content() != begin {
		t.Error("undo does not lead back")
	}
}

// refuse wants one sentence, and every byte as it was.
func (d *disk) refuse(cmd *exec.Cmd, status int, want string) {
	d.t.Helper()
	was := read(d.t, d.hive)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	_ = cmd.Run()
	text := problems.String()
	if got := cmd.ProcessState.ExitCode(); got != status || strings.Count(text, "\n") != 1 || !strings.Contains(text, want) {
		d.t.Errorf("status %d, want %d and one line with %q:\n%s%s", got, status, want, out.String(), text)
	}
	if read(d.t, d.hive) != was {
		d.t.Error("the hive was changed")
	}
	if list, err := os.ReadDir(filepath.Dir(d.hive)); err != nil || len(list) != 2 {
		d.t.Errorf("left behind: %v, %v", list, err)
	}
}

func (d *disk) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.t.Context(), "portroom", append(args, "--state-dir", d.state)...)
	cmd.Dir = filepath.Dir(d.hive)
	return cmd
}

// mounted is a command in a mount namespace of its own, after a script that mounts.
func (d *disk) mounted(script string, args ...string) *exec.Cmd {
	cmd := d.command(args...)
	cmd.Path = "/usr/bin/unshare"
	cmd.Args = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-ec", script + "\ncd .\nexec portroom \"$@\"", "sh"}, cmd.Args[1:]...)
	return cmd
}

func TestARegistryThatCannotBeChangedIsLeftAsItIs(t *testing.T) {
	need.Root(t)
	_, err := exec.LookPath("/usr/bin/unshare")
	need.That(t, err == nil, "unshare(1)", "apt-get install util-linux")
	set := []string{"set", "MaxUserPort=65534", "--target", "hive:system", "--yes"}
	for value, name := range map[string]string{"4999": "too low", "65535": "too high", "-1": "below zero", "0x10000": "beyond 16 bits", "many": "no number"} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, "xp-home")
			d.refuse(d.command("set", "MaxUserPort="+value, "--target", "hive:system", "--yes"), 64, "want 5000 to 65534 (0x1388 to 0xfffe) or absent, as KB 196271 documents it")
		})
	}
	t.Run("a value of another type", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		hivex.Merge(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters]\n\"MaxUserPort\"=\"65534\"\n")
		d.refuse(d.command(set...), 3, `ControlSet001\Services\Tcpip\Parameters\MaxUserPort is of type REG_SZ`)
	})
	t.Run("a dirty hive", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		b := []byte(read(t, d.hive))
		b[508] ^= b[4] ^ (b[4] + 1) // the checksum knows
		b[4]++                      // the first sequence number
		if err := os.WriteFile(d.hive, b, 0o644); err != nil {
			t.Fatal(err)
		}
		d.refuse(d.command(set...), 3, "sequence numbers")
	})
	t.Run("a later system, which does not go by it", func(t *testing.T) {
		d := newDisk(t, "2022")
		out, problems := d.run(3, set...)
		if !strings.Contains(problems, "goes by its dynamic port range, not by MaxUserPort (KB 929851)") || !strings.Contains(problems, "--accept-risk=ignored-value") {
			t.Errorf("%s%s", out, problems)
		}
		d.run(0, append(set, "--accept-risk=ignored-value")...)
		if d.value("ControlSet001", "MaxUserPort") != "65534" {
			t.Error("it is not set")
		}
	})
	t.Run("a file that is read-only", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		if err := os.Chmod(d.hive, 0o444); err != nil {
			t.Fatal(err)
		}
		d.refuse(d.command(set...), 3, "is read-only (mode 0444): make it writable first")
	})
	t.Run("a file system that is read-only", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		dir := filepath.Dir(d.hive)
		d.refuse(d.mounted("mount --bind "+dir+" "+dir+"; mount -o remount,bind,ro "+dir+"; cd "+dir, set...), 3, "read-only file system; everything is as it was before")
	})
	t.Run("a disk that is full", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		dir := filepath.Dir(d.hive)
		script := fmt.Sprintf("cp -a %[1]s %[1]s.copy; mount -t tmpfs -o size=64k tmpfs %[1]s; cp -a %[1]s.copy/. %[1]s; rm -r %[1]s.copy; cd %[1]s; dd if=/dev/zero of=full bs=4k count=99 2>/dev/null || :", dir)
		d.refuse(d.mounted(script, set...), 3, "no space left on device; everything is as it was before")
	})
	t.Run("a disk that is full under the journal", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		if err := os.Mkdir(d.state, 0o700); err != nil {
			t.Fatal(err)
		}
		d.refuse(d.mounted("mount -t tmpfs -o size=8k,mode=700 tmpfs "+d.state+"; dd if=/dev/zero of="+d.state+"/full bs=4k count=2 2>/dev/null || :", set...), 3, "no space left on device")
	})
	t.Run("somebody without privilege", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		for _, path := range []string{filepath.Dir(d.hive), d.hive} {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		dir, err := os.MkdirTemp("/tmp", "portroom")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		path, err := exec.LookPath("portroom")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-L", path, filepath.Join(dir, "portroom")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		// The hives lie where only root comes: a folder of root's that all may read.
		config := filepath.Join(dir, "config")
		if out, err := exec.Command("cp", "-r", filepath.Dir(d.hive), config).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		d.hive, d.state = filepath.Join(config, "system"), filepath.Join(dir, "state")
		cmd := d.command(set...)
		cmd.Path = filepath.Join(dir, "portroom")
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		d.refuse(cmd, 3, "permission denied")
	})
	t.Run("a hive that was changed while the plan was being read", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		h := newPrivate(t, nil)
		p := h.terminal("set", "MaxUserPort=65534", "--target", "hive:"+d.hive, "--state-dir", d.state)
		p.until("[y/N] ")
		hivex.Merge(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters]\n\"MaxUserPort\"=dword:00001770\n")
		was := read(t, d.hive)
		p.write("y\n")
		text, status := p.wait()
		if status != 3 || !strings.Contains(text, `MaxUserPort is "6000" now, and was expected to be absent: somebody changed it`) {
			t.Errorf("status %d: %s", status, text)
		}
		if read(t, d.hive) != was {
			t.Error("the hive was changed")
		}
	})
	t.Run("undo of what somebody changed since", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		d.run(0, set...)
		hivex.Merge(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters]\n\"MaxUserPort\"=dword:00001770\n")
		d.refuse(d.command("undo", "--yes"), 3, `change 1 is not undone: ControlSet001\Services\Tcpip\Parameters\MaxUserPort is "6000" now, and was expected to be "65534"`)
		d.run(0, "undo", "--yes", "--force")
		if d.value("ControlSet001", "MaxUserPort") != "" {
			t.Error("it is not taken away")
		}
	})
	t.Run("a time to undo it by itself", func(t *testing.T) {
		d := newDisk(t, "xp-home")
		d.refuse(d.command(append(set, "--rollback-after", "60s")...), 64, "--rollback-after is for the running system")
	})
}
