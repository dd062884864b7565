package emit_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/portroom/portroom/remedy/emit"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// files writes what is emitted into a folder.
func files(t *testing.T, f emit.Format, c int) string {
	t.Helper()
	list, err := emit.Files(f, cases[c].to, cases[c].plan)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range list {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, map[bool]os.FileMode{false: 0o644, true: 0o755}[file.Executable]); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const ofLinux = 0 // in cases

// values are what the parameters of the plan for Linux are in a namespace.
func values(t *testing.T, n *load.Netns) map[string]string {
	t.Helper()
	got := make(map[string]string)
	for _, s := range linux.Steps[:3] {
		err := n.Do(func() error {
			b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.Object, ".", "/"))
			got[s.Object] = strings.Join(strings.Fields(string(b)), " ")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// sysctl(8) and systemd-sysctl(8) read the files and do what the plan would have
// done, and what takes it back.
func TestTheFilesOfSysctlAreCarriedOut(t *testing.T) {
	before, after := make(map[string]string), make(map[string]string)
	for _, s := range linux.Steps[:3] {
		before[s.Object], after[s.Object] = s.From.Data, s.To.Data
	}
	for program, get := range map[string]string{"sysctl -p": "procps", "/usr/lib/systemd/systemd-sysctl": "systemd"} {
		words := strings.Fields(program)
		_, err := exec.LookPath(words[0])
		need.That(t, err == nil, words[0], "apt-get install "+get)
		n := load.ForTest(t)
		dir := files(t, emit.Sysctl, ofLinux)
		for _, turn := range []struct {
			file string
			want map[string]string
		}{{"60-portroom.conf", after}, {"restore/60-portroom.conf", before}} {
			var said bytes.Buffer
			cmd := exec.Command(words[0], append(words[1:], filepath.Join(dir, turn.file))...)
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := n.Start(cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s %s: %v: %s", program, turn.file, err, &said)
			}
			if d := cmp.Diff(turn.want, values(t, n)); d != "" {
				t.Errorf("%s %s (-want +got):\n%s", program, turn.file, d)
			}
		}
	}
}

// The shell hands docker every value as one argument.
func TestTheScriptOfDockerIsCarriedOut(t *testing.T) {
	dir := files(t, emit.Docker, ofLinux)
	fake := filepath.Join(dir, "docker")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, to := range map[string]bool{"docker-run.sh": true, "restore/docker-run.sh": false} {
		cmd := exec.Command(filepath.Join(dir, file), "--rm", "my image")
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var want []string
		for _, s := range linux.Steps[:3] {
			if to {
				want = append(want, "--sysctl", s.Object+"="+s.To.Data)
			} else {
				want = append([]string{"--sysctl", s.Object + "=" + s.From.Data}, want...)
			}
		}
		want = append(append([]string{"run"}, want...), "--rm", "my image")
		if d := cmp.Diff(want, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")); d != "" {
			t.Errorf("%s (-want +got):\n%s", file, d)
		}
	}
}

// systemd takes every directive of the units.
func TestTheUnitsOfSystemdAreVerified(t *testing.T) {
	_, err := exec.LookPath("systemd-analyze")
	need.That(t, err == nil, "systemd-analyze(1)", "apt-get install systemd")
	dir := files(t, emit.Systemd, ofLinux)
	for _, sub := range []string{"", "restore"} {
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, sub, "portroom-sysctl.service")).CombinedOutput()
		if err != nil || strings.Contains(string(out), "portroom-sysctl") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

type item struct{ Name, Value string }

// A YAML parser finds the values as texts, where the readers look for them.
func TestYAMLHoldsTheValuesAsTexts(t *testing.T) {
	read := func(file string, v any) {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(v); err != nil {
			t.Errorf("%s: %v\n%s", file, err, b)
		}
	}
	var want []item
	for _, s := range linux.Steps[:3] {
		want = append(want, item{s.Object, s.To.Data})
	}
	var pod struct {
		Spec struct {
			Template struct {
				Spec struct {
					SecurityContext struct{ Sysctls []item } `yaml:"securityContext"`
				}
			}
		}
	}
	read(filepath.Join(files(t, emit.Kubernetes, ofLinux), "portroom-patch.yaml"), &pod)
	if d := cmp.Diff(want, pod.Spec.Template.Spec.SecurityContext.Sysctls); d != "" {
		t.Error(d)
	}
	var compose struct {
		Services map[string]struct{ Sysctls map[string]yaml.Node }
	}
	read(filepath.Join(files(t, emit.Docker, ofLinux), "compose.portroom.yaml"), &compose)
	for _, w := range want {
		if n := compose.Services["app"].Sysctls[w.Name]; n.Value != w.Value || n.Tag != "!!str" {
			t.Errorf("%s is %s %q", w.Name, n.Tag, n.Value)
		}
	}
	for i, c := range cases {
		if !emit.Suits(emit.Ansible, c.to.System) || c.only != nil && c.name != "later" {
			continue
		}
		dir := files(t, emit.Ansible, i)
		for _, file := range []string{"portroom.yml", "restore/portroom.yml"} {
			var plays []struct {
				Name, Hosts string
				Become      bool
				Tasks       []map[string]any
			}
			read(filepath.Join(dir, file), &plays)
			if len(plays) != 1 || len(plays[0].Tasks) < len(c.plan.Steps)-1 {
				t.Errorf("%s: %+v", c.name, plays)
			}
			for _, task := range plays[0].Tasks {
				if len(task) != 2 || task["name"] == nil {
					t.Errorf("%s: %+v is not a name and a module", c.name, task)
				}
			}
		}
	}
}

// What launchd reads is well-formed.
func TestThePropertyListIsWellFormed(t *testing.T) {
	dir := files(t, emit.Sysctl, 3)
	for _, sub := range []string{"", "restore"} {
		f, err := os.Open(filepath.Join(dir, sub, "com.github.portroom.sysctl.plist"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := xml.NewDecoder(f); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}
