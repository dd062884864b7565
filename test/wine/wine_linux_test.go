package wine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/test/load"
)

func TestAGoProgramRuns(t *testing.T) {
	p := New(t)
	hello := Build(t, "./testdata/hello")

	t.Run("with arguments, input, outputs and a status", func(t *testing.T) {
		got := p.RunWith(t, Input{Stdin: "input", Env: []string{"HELLO_STATUS=3"}}, hello, "a b", `"quoted"`, `c:\`)
		want := Result{`windows ["a b" "\"quoted\"" "c:\\"] "input" true` + "\n", "to stderr\n", 3}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("in place of a program of the system", func(t *testing.T) {
		p.Install(t, hello, "netsh.exe")
		if got := p.Must(t, "netsh", "int"); !strings.Contains(got, `["int"]`) {
			t.Errorf("netsh says %q", got)
		}
	})
}

func TestTheVersionIsWhatWasSet(t *testing.T) {
	p := New(t)
	const key = `HKLM\Software\Microsoft\Windows NT\CurrentVersion`
	for version, want := range map[string]string{
		"winxp64": "5.2.3790",
		"win2003": "5.2.3790",
		"win2k":   "5.0.2195",
		"win7":    "6.1.7601",
		"win10":   "10.0.",
	} {
		p.SetVersion(t, version)
		if got := p.Must(t, "cmd", "/c", "ver"); !strings.Contains(got, want) {
			t.Errorf("%s: ver says %q, want %s", version, got, want)
		}
	}
	p.SetVersion(t, "win2003")
	if got := p.Reg(t, "query", key, "/v", "ProductName"); !strings.Contains(got, "2003") {
		t.Errorf("the product is %q", got)
	}
}

func TestACopyIsApart(t *testing.T) {
	p := New(t)
	p.Reg(t, "add", `HKLM\Software\portroom`, "/v", "x", "/d", "before")
	q := p.Copy(t)
	q.Reg(t, "add", `HKLM\Software\portroom`, "/v", "x", "/d", "after", "/f")
	for want, of := range map[string]*Prefix{"before": p, "after": q} {
		if got := of.Reg(t, "query", `HKLM\Software\portroom`, "/v", "x"); !strings.Contains(got, want) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
}

func TestFilesOfThisMachineAreOnZ(t *testing.T) {
	p := New(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.Must(t, "cmd", "/c", "type", Path(file)); !strings.Contains(got, "text") {
		t.Errorf("type says %q", got)
	}
}

func TestAPrefixLivesInANamespace(t *testing.T) {
	ns := load.ForTest(t)
	p := NewIn(t, ns)
	inside := func() (ids []string) {
		procs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, f := range procs {
			env, _ := os.ReadFile(f)
			if !strings.Contains(string(env), "WINEPREFIX="+p.dir+"\x00") {
				continue
			}
			if id, err := os.Readlink(filepath.Join(filepath.Dir(f), "ns/net")); err == nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	var want string
	if err := ns.Do(func() (err error) { want, err = os.Readlink("/proc/thread-self/ns/net"); return err }); err != nil {
		t.Fatal(err)
	}
	hello := Build(t, "./testdata/hello")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := p.Command(t.Context(), hello)
	cmd.Stdin = r // it waits for the end of its input
	if err := p.Start(cmd); err != nil {
		t.Fatal(err)
	}
	ids := inside()
	w.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if len(ids) < 2 {
		t.Errorf("%d processes, want the server and the program at least", len(ids))
	}
	for _, id := range ids {
		if id != want {
			t.Errorf("a process is in %s, want %s", id, want)
		}
	}
}
