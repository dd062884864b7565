package host

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/test/need"
)

func reserved(t *testing.T, s string) port.Set {
	t.Helper()
	set, err := port.ParseSet(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestReadTreesOfOtherKernels(t *testing.T) {
	usual := port.Range{First: 32768, Last: 60999}
	for kernel, want := range map[string]Settings{
		"4.19": {
			Kernel: Release{4, 19, 0, "4.19.0-27-amd64"}, Range: usual, TWReuse: 2, TWReuseDelay: time.Second,
			Timestamps: 1, MaxTWBuckets: 16384, UnprivilegedPortStart: 1024,
		},
		"5.10": {
			Kernel: Release{5, 10, 0, "5.10.0-35-cloud-amd64"}, Range: port.Range{First: 1024, Last: 65535},
			Reserved: reserved(t, "8080,30000-32767"), TWReuse: 1, TWReuseDelay: time.Second, Timestamps: 1,
			MaxTWBuckets: 131072, UnprivilegedPortStart: 1024,
		},
		"6.1": {
			Kernel: Release{6, 1, 0, "6.1.0-18-cloud-amd64"}, Range: usual, TWReuse: 2, TWReuseDelay: time.Second,
			Timestamps: 1, MaxTWBuckets: 65536, UnprivilegedPortStart: 0,
		},
		"6.18": {
			Kernel: Release{6, 18, 44, "6.18.44"}, Range: usual, TWReuse: 2, TWReuseDelay: time.Second,
			Timestamps: 1, MaxTWBuckets: 131072, UnprivilegedPortStart: 1024,
		},
	} {
		t.Run(kernel, func(t *testing.T) {
			got, err := Read(filepath.Join("testdata", kernel))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&want, got, cmpopts.IgnoreFields(Settings{}, "Values"), cmp.AllowUnexported(port.Set{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAbsentSettingsAreShownWithTheirDefault(t *testing.T) {
	got, err := Read("testdata/4.19")
	if err != nil {
		t.Fatal(err)
	}
	absent := make(map[string]string)
	for _, v := range got.Values {
		if !v.Present {
			absent[v.Name] = v.Default
		}
	}
	want := map[string]string{
		"net.ipv4.tcp_tw_reuse_delay": "1000", "net.ipv4.ip_autobind_reuse": "0", "net.ipv4.ip_local_port_step_width": "0",
	}
	if d := cmp.Diff(want, absent); d != "" {
		t.Error(d)
	}
}

// A tree that differs from a good one in one file.
func TestMalformedFilesAreNamedWithWhatIsAccepted(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"net/ipv4/ip_local_port_range", "60999\t32768", `is "60999\t32768": the range 60999 to 32768 is the wrong way round: the first port must not be above the last`},
		{"net/ipv4/ip_local_port_range", "32768", `is "32768": "32768" is no range of ports: want two numbers such as 32768 60999`},
		{"net/ipv4/ip_local_port_range", "0 100", `is "0 100": port 0 cannot be in the range: want 1 to 65535`},
		{"net/ipv4/ip_local_reserved_ports", "80,x", `is "80,x": "x" is neither a port nor a range: want a list such as 8080,9000-9100 with numbers from 0 to 65535`},
		{"net/ipv4/tcp_tw_reuse", "3", `is "3": want a number from 0 to 2`},
		{"net/ipv4/tcp_tw_reuse_delay", "70000", `is "70000": want a number from 0 to 60000`},
		{"net/ipv4/tcp_timestamps", "yes", `is "yes": want a number from 0 to 2`},
		{"net/ipv4/tcp_max_tw_buckets", "-1", `is "-1": want a number from 0 to 2147483647`},
		{"net/ipv4/ip_autobind_reuse", "", `is "": want a number from 0 to 1`},
		{"net/ipv4/ip_unprivileged_port_start", "70000", `is "70000": want a number from 0 to 65536`},
		{"net/ipv4/ip_local_port_step_width", "x", `is "x": want a number from 0 to 65535`},
		{"net/ipv4/tcp_fin_timeout", "sixty", `is "sixty": want a number from 0 to 2147483647`},
		{"kernel/osrelease", "Linux", `"Linux" is no kernel release: want one such as 6.1.0-18-cloud-amd64`},
	} {
		t.Run(c.file+" "+c.text, func(t *testing.T) {
			root := t.TempDir()
			if err := os.CopyFS(root, os.DirFS("testdata/6.18")); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(root, "proc/sys", c.file)
			if err := os.WriteFile(name, []byte(c.text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Read(root)
			if err == nil || !strings.HasPrefix(err.Error(), name) || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s … %s", err, name, c.want)
			}
		})
	}
}

func TestATreeWithoutARangeIsNoTree(t *testing.T) {
	root := t.TempDir()
	if _, err := Read(root); !os.IsNotExist(err) {
		t.Errorf("got %v, want that a file does not exist", err)
	}
}

func TestLiveSettingsAreThoseOfTheKernel(t *testing.T) {
	need.That(t, runtime.GOOS == "linux", "/proc/sys", "run the tests on Linux")
	s, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range s.Values {
		text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(v.Name, ".", "/"))
		if v.Present != (err == nil) || v.Text != strings.TrimSpace(string(text)) {
			t.Errorf("%s is %q, present %v; the file holds %q, %v", v.Name, v.Text, v.Present, text, err)
		}
	}
}

func TestParseRelease(t *testing.T) {
	for in, want := range map[string]Release{
		"6.18.44-fc-v595\n":     {6, 18, 44, "6.18.44-fc-v595"},
		"5.10.0-35-cloud":       {5, 10, 0, "5.10.0-35-cloud"},
		"6.1":                   {6, 1, 0, "6.1"},
		"7.2.0-rc1+":            {7, 2, 0, "7.2.0-rc1+"},
		"4.18.0-553.el8.x86_64": {4, 18, 0, "4.18.0-553.el8.x86_64"},
	} {
		if got, err := ParseRelease(in); got != want || err != nil {
			t.Errorf("ParseRelease(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "6", "6.", "x.1", ".1", "99999999999999999999.1"} {
		if got, err := ParseRelease(in); err == nil {
			t.Errorf("ParseRelease(%q) = %+v, want an error", in, got)
		}
	}
	r := Release{Major: 6, Minor: 8}
	if !r.AtLeast(6, 8) || !r.AtLeast(5, 19) || r.AtLeast(6, 14) || r.AtLeast(7, 0) {
		t.Error("6.8 compares wrongly")
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add("6.18.44-fc")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRelease(s)
		if err == nil && (r.Major < 0 || r.Minor < 0 || r.Patch < 0) {
			t.Errorf("%q: %+v", s, r)
		}
	})
}

// Whatever the files hold, Read answers or says what is wrong.
func FuzzValues(f *testing.F) {
	f.Add("32768\t60999")
	f.Add("8080,9000-9100")
	f.Add("2")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range definitions {
			var s Settings
			if err := d.set(&s, text); err == nil && s.Range.First > s.Range.Last {
				t.Errorf("%s %q: range %v", d.file, text, s.Range)
			}
		}
	})
}
