package emit_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/text/encoding/unicode"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/emit"
	"github.com/portroom/portroom/remedy/sysctl"
	"github.com/portroom/portroom/remedy/winreg"
)

var update = flag.Bool("update", false, "write what is emitted into testdata")

func data(s string) remedy.State { return remedy.State{Data: s} }

func parameter(name, from, to, why string) remedy.Step {
	return remedy.Step{Kind: sysctl.Parameter, Object: name, From: data(from), To: data(to), Effect: remedy.Now, Why: why}
}

// linux is a plan for a Linux host, with the file that it writes itself.
var linux = remedy.Plan{
	Title: "ip_local_port_range=10240-65535, tcp_tw_reuse=1",
	Steps: []remedy.Step{
		parameter("net.ipv4.ip_local_port_range", "32768 60999", "10240 65535", "55296 ports to each destination instead of 28232"),
		parameter("net.ipv4.ip_local_reserved_ports", "", "11211,30000-32767", ""),
		parameter("net.ipv4.tcp_tw_reuse", "2", "1", "connects take over their own TIME_WAIT entries"),
		{Kind: remedy.KindFile, Object: "/etc/sysctl.d/60-portroom.conf", From: remedy.Absent, To: remedy.NewFile("x\n"), Effect: remedy.Permanent},
	},
}

var bsd = remedy.Plan{
	Title: "portrange=32768-65535",
	Steps: []remedy.Step{
		parameter("net.inet.ip.portrange.first", "49152", "32768", "32768 ports instead of 16384"),
		parameter("net.inet.ip.portrange.hifirst", "49152", "32768", ""),
	},
}

const parametersKey = `ControlSet001\Services\Tcpip\Parameters\`

func value(name string, from, to remedy.State) remedy.Step {
	return remedy.Step{Kind: winreg.KindValue, Object: parametersKey + name, From: from, To: to, Effect: remedy.Restart}
}

func dword(n uint32) remedy.State { return winreg.State(registry.NewDWORD("", n)) }

// legacy is a plan for a Windows up to Server 2003, with a key that it makes.
var legacy = remedy.Plan{
	Title: "MaxUserPort=65534, TcpTimedWaitDelay=30, ReservedPorts=1433-1434,8080",
	Steps: []remedy.Step{
		{Kind: winreg.KindKey, Object: `ControlSet001\Services\Tcpip\Parameters`, From: remedy.Absent, Effect: remedy.Restart},
		value("MaxUserPort", remedy.Absent, dword(65534)),
		value("TcpTimedWaitDelay", dword(0xffffffff), dword(30)),
		value("ReservedPorts", winreg.State(registry.NewMultiSZ("", "4000-4010")), winreg.State(registry.NewMultiSZ("", "1433-1434", "8080-8080"))),
	},
}

// odd takes values away that are of other types than they should be.
var odd = remedy.Plan{
	Title: "MaxUserPort=absent, ReservedPorts=absent, TcpTimedWaitDelay=absent",
	Steps: []remedy.Step{
		value("MaxUserPort", winreg.State(registry.NewSZ("", `100% of them\`)), remedy.Absent),
		value("ReservedPorts", winreg.State(registry.Value{Type: registry.Binary, Data: []byte{0, 0x12, 0xff}}), remedy.Absent),
		value("TcpTimedWaitDelay", winreg.State(registry.Value{Type: registry.ExpandSZ, Data: registry.NewSZ("", "it's %PATH%").Data}), remedy.Absent),
	},
}

// later is a plan for a running Windows 10.
var later = remedy.Plan{
	Title: "dynamicport.tcp4=10240-65535, AutoReusePortRange=10240-59999",
	Steps: []remedy.Step{
		{Kind: winreg.KindDynamic, Object: "tcp4", From: data("49152-65535"), To: data("10240-65535"), Effect: remedy.Lasting},
		{
			Kind: winreg.KindAutoReuse, Object: winreg.AutoReuse, Effect: remedy.Lasting,
			From: data("DatacenterCustom=off InternetCustom=10000-10999"), To: data("DatacenterCustom=10240-59999 InternetCustom=10240-59999"),
		},
	},
}

var cases = []struct {
	name string
	to   emit.For
	plan remedy.Plan
	only []emit.Format // of those for the system; nil for all
}{
	{"linux", emit.For{System: emit.Linux}, linux, nil},
	{"freebsd", emit.For{System: emit.FreeBSD}, bsd, nil},
	{"emptied", emit.For{System: emit.Linux}, remedy.Plan{
		Title: "ip_local_reserved_ports=", Steps: []remedy.Step{parameter("net.ipv4.ip_local_reserved_ports", "8080", "", "")},
	}, nil},
	{"macos", emit.For{System: emit.MacOS}, bsd, nil},
	{"legacy", emit.For{System: emit.Windows, Release: "5.2"}, legacy, nil},
	{"nt4-hive", emit.For{System: emit.Windows, Release: "4.0", Offline: true}, legacy, []emit.Format{emit.Reg}},
	{"odd", emit.For{System: emit.Windows}, odd, nil},
	{"later", emit.For{System: emit.Windows, Release: "10.0"}, later, []emit.Format{emit.Cmd, emit.PowerShell, emit.Ansible}},
}

// formats are those of a case.
func formats(to emit.For, only []emit.Format) []emit.Format {
	if only != nil {
		return only
	}
	var out []emit.Format
	for _, f := range emit.Formats {
		if emit.Suits(f, to.System) {
			out = append(out, f)
		}
	}
	return out
}

// readable turns what Windows reads into what a difference shows.
func readable(t *testing.T, b []byte) []byte {
	t.Helper()
	if len(b) > 1 && b[0] == 0xff && b[1] == 0xfe {
		var err error
		if b, err = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(b); err != nil {
			t.Fatal(err)
		}
	}
	return []byte(strings.NewReplacer("\r\n", "\n", "\ufeff", "").Replace(string(b)))
}

func TestEveryFormatHoldsThePlanAndTheWayBack(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got txtar.Archive
			for _, f := range formats(c.to, c.only) {
				files, err := emit.Files(f, c.to, c.plan)
				if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				if len(files)%2 != 0 {
					t.Errorf("%s: %d files", f, len(files))
				}
				for i, file := range files {
					if half := len(files) / 2; i < half && files[half+i].Name != "restore/"+file.Name {
						t.Errorf("the counterpart of %s is %s", file.Name, files[half+i].Name)
					}
					name := fmt.Sprintf("%s/%s", f, file.Name)
					if file.Executable {
						name += " executable"
					}
					got.Files = append(got.Files, txtar.File{Name: name, Data: readable(t, file.Data)})
				}
			}
			path := filepath.Join("testdata", c.name+".txtar")
			if *update {
				if err := os.WriteFile(path, txtar.Format(&got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(txtar.Format(&got))); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestWhatAFormatCannotHoldIsRefused(t *testing.T) {
	raw := remedy.Plan{Steps: []remedy.Step{value("MaxUserPort", winreg.State(registry.Value{Type: registry.Link, Data: []byte{1}}), dword(6000))}}
	quoted := remedy.Plan{Steps: []remedy.Step{value("MaxUserPort", winreg.State(registry.NewSZ("", `a" & calc "`)), dword(6000))}}
	foreign := remedy.Plan{Steps: []remedy.Step{value("MaxUserPort", winreg.State(registry.NewSZ("", "Größe")), dword(6000))}}
	lines := remedy.Plan{Steps: []remedy.Step{value("MaxUserPort", winreg.State(registry.NewSZ("", "a\r\nreg delete HKLM")), dword(6000))}}
	windows, host := emit.For{System: emit.Windows}, emit.For{System: emit.Linux}
	for name, c := range map[string]struct {
		format emit.Format
		to     emit.For
		plan   remedy.Plan
		want   string
	}{
		"an unknown format":              {"chef", host, linux, `"chef" is no format: want sysctl, ansible, kubernetes, docker, systemd, reg, cmd, ps1`},
		"a .reg file for Linux":          {emit.Reg, host, linux, "reg files are not for Linux: want sysctl, ansible, kubernetes, docker, systemd"},
		"a pod of Windows":               {emit.Kubernetes, windows, legacy, "kubernetes files are not for Windows: want ansible, reg, cmd, ps1"},
		"netsh in a .reg file":           {emit.Reg, windows, later, "tcp4 is not kept in a documented place of the registry: use cmd or ps1"},
		"nothing":                        {emit.Cmd, windows, remedy.Plan{}, "the plan changes nothing"},
		"files only":                     {emit.Sysctl, host, remedy.Plan{Steps: linux.Steps[3:]}, "the plan changes nothing"},
		"a link in a batch file":         {emit.Cmd, windows, raw, `write as cmd what restores it: value "MaxUserPort" is REG_LINK of 1 bytes, which this format cannot hold: use reg`},
		"a link in a script":             {emit.PowerShell, windows, raw, "use reg"},
		"a link in a playbook":           {emit.Ansible, windows, raw, "use reg"},
		"letters of unknown code pages":  {emit.Cmd, windows, foreign, "whose code page is not known"},
		"a command hidden in a new line": {emit.Cmd, windows, lines, "cannot hold"},
		"a command behind a quotation":   {emit.Cmd, windows, quoted, "cannot hold"},
	} {
		if _, err := emit.Files(c.format, c.to, c.plan); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestATitleCannotLeaveItsComment(t *testing.T) {
	p := linux
	p.Title = "a\n*/ --> \r\nb"
	for _, f := range formats(emit.For{System: emit.Linux}, nil) {
		files, err := emit.Files(f, emit.For{System: emit.Linux}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for line := range strings.Lines(string(file.Data)) {
				if strings.HasPrefix(line, "b") || strings.HasPrefix(line, "*/") {
					t.Errorf("%s: %q", file.Name, line)
				}
			}
		}
	}
}
