package windows

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/test/wine"
)

// machine is a Windows with portroom on it.
type machine struct {
	*wine.Prefix
	t   *testing.T
	exe string
}

func newMachine(t *testing.T, version string) *machine {
	t.Helper()
	p, _ := host(t)
	record(t, p, "")
	p.SetVersion(t, version)
	return &machine{p, t, wine.Build(t, "../../cmd/portroom")}
}

// want runs portroom and wants a status and words of what it prints, on either
// output.
func (m *machine) want(status int, words string, args ...string) string {
	m.t.Helper()
	r := m.Run(m.t, m.exe, args...)
	if r.Exit != status || !strings.Contains(r.Stdout+r.Stderr, words) {
		m.t.Fatalf("portroom %q: status %d, want %d and %q:\n%s%s", args, r.Exit, status, words, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// value is what reg query shows of a value of Tcpip\Parameters: type and data; ""
// when it is absent.
func (m *machine) value(name string) string {
	m.t.Helper()
	r := m.Run(m.t, "reg", "query", parametersKey, "/v", name)
	for line := range strings.Lines(r.Stdout) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			return strings.Join(f[1:], " ")
		}
	}
	return ""
}

// dynamic is what netsh shows of a range.
func (m *machine) dynamic(family, proto string) string {
	m.t.Helper()
	var n []string
	for line := range strings.Lines(m.Must(m.t, "netsh", "interface", family, "show", "dynamicport", proto)) {
		if _, number, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			n = append(n, number)
		}
	}
	return strings.Join(n, "+")
}

func TestValuesOfARunningWindowsAreSetAndUndone(t *testing.T) {
	m := newMachine(t, "win2003")
	m.want(0, "the system must be restarted", "set", "MaxUserPort=65534", "TcpTimedWaitDelay=0x1e", "ReservedPorts=1433-1434,8080", "--yes")
	for name, want := range map[string]string{
		"MaxUserPort": "REG_DWORD 0xfffe", "TcpTimedWaitDelay": "REG_DWORD 0x1e", "ReservedPorts": `REG_MULTI_SZ 1433-1434\08080-8080`,
	} {
		if got := m.value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	state := filepath.Join(m.Dir(), "ProgramData", "portroom")
	for _, name := range []string{"1-backup.reg", "1-restore.reg", "journal.jsonl"} {
		if _, err := os.Stat(filepath.Join(state, name)); err != nil {
			t.Error(err)
		}
	}
	// regedit restores what was there, without portroom.
	m.Reg(t, "import", wine.Path(filepath.Join(state, "1-restore.reg")))
	if got := m.value("MaxUserPort") + m.value("TcpTimedWaitDelay") + m.value("ReservedPorts"); got != "" {
		t.Errorf("restore.reg leaves %q", got)
	}
}

func TestAValueThatWasThereIsBroughtBack(t *testing.T) {
	m := newMachine(t, "win2003")
	m.Reg(t, "add", parametersKey, "/v", "MaxUserPort", "/t", "REG_DWORD", "/d", "20000", "/f")
	m.want(0, "ceiling 79.1/s → 268.8/s", "fix", "max-user-port", "--yes")
	if got := m.value("MaxUserPort"); got != "REG_DWORD 0xfffe" {
		t.Errorf("MaxUserPort is %q", got)
	}
	m.want(0, "change 1 is undone", "undo", "--yes")
	if got := m.value("MaxUserPort"); got != "REG_DWORD 0x4e20" {
		t.Errorf("MaxUserPort is %q", got)
	}
	m.want(64, "want 5000 to 65534", "set", "MaxUserPort=65535", "--yes")
	m.Reg(t, "add", parametersKey, "/v", "MaxUserPort", "/t", "REG_SZ", "/d", "20000", "/f")
	m.want(3, "is of type REG_SZ", "set", "MaxUserPort=65534", "--yes")
	if got := m.value("MaxUserPort"); got != "REG_SZ 20000" {
		t.Errorf("MaxUserPort is %q", got)
	}
}

func TestWhoMayNotChangeTheRegistryIsToldSo(t *testing.T) {
	m := newMachine(t, "win2003")
	m.Must(t, wine.Build(t, "./testdata/deny"), "-write", `SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`)
	r := m.Run(t, m.exe, "set", "MaxUserPort=65534", "--yes")
	if r.Exit != 3 || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, "everything is as it was before") || m.value("MaxUserPort") != "" {
		t.Errorf("status %d: %s%s", r.Exit, r.Stdout, r.Stderr)
	}
	t.Log(r.Stderr)
}

func TestTheDynamicRangeOfARunningWindowsIsSetAndUndone(t *testing.T) {
	m := newMachine(t, "win10")
	const was = "49152+100"
	m.want(0, "TCP over IPv4", "set", "dynamicport.tcp4=10240-65535", "dynamicport.udp6=20000-20254", "--yes")
	if got := m.dynamic("ipv4", "tcp"); got != "10240+55296" {
		t.Errorf("tcp over ipv4: %s", got)
	}
	if got := m.dynamic("ipv6", "udp"); got != "20000+255" {
		t.Errorf("udp over ipv6: %s", got)
	}
	m.want(0, "change 1 is undone", "undo", "--yes")
	if a, b := m.dynamic("ipv4", "tcp"), m.dynamic("ipv6", "udp"); a != was || b != was {
		t.Errorf("after undo: %s, %s", a, b)
	}
	for _, value := range []string{"1024-65535", "10000-10253", "10000-65536", "many", "65535-10240"} {
		m.want(64, "KB 929851", "set", "dynamicport.tcp4="+value, "--yes")
	}
	// What fix chooses there, and a leftover.
	m.Reg(t, "add", parametersKey, "/v", "MaxUserPort", "/t", "REG_DWORD", "/d", "65534", "/f")
	m.want(0, "55296 ports instead of 100", "fix", "--yes")
	if a, b, c := m.dynamic("ipv4", "tcp"), m.dynamic("ipv6", "tcp"), m.dynamic("ipv4", "udp"); a != "10240+55296" || b != a || c != was || m.value("MaxUserPort") != "" {
		t.Errorf("after fix: %s, %s, %s, %q", a, b, c, m.value("MaxUserPort"))
	}
	m.want(0, "is undone", "undo", "--yes")
	if a, b := m.dynamic("ipv4", "tcp"), m.value("MaxUserPort"); a != was || b != "REG_DWORD 0xfffe" {
		t.Errorf("after undo: %s, %q", a, b)
	}
	m.want(3, "--accept-risk=ignored-value", "set", "MaxUserPort=6000", "--yes")
	// A netsh that ends well and does nothing, as Wine's own.
	if err := os.WriteFile(filepath.Join(m.Dir(), "netsh", "deaf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.want(3, `tcp4 was set to "10240-65535" and reads back as "49152-49251"; everything is as it was before`, "set", "dynamicport.tcp4=10240-65535", "--yes")
}

func TestTheSharedRangeOfARunningWindowsIsSetAndUndone(t *testing.T) {
	m := newMachine(t, "win10")
	m.want(64, "this Windows does not show such a range", "set", "AutoReusePortRange=10240-59999", "--yes")
	recordTemplates(t, m.Prefix, template("Internet", 0, 0), template("InternetCustom", 20000, 1000), template("DatacenterCustom", 0, 0))
	templates := func() string {
		b, err := os.ReadFile(filepath.Join(m.Dir(), "netsh", "powershell.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	was := templates()
	m.want(0, "AutoReusePortRange", "set", "AutoReusePortRange=10240-59999", "--yes")
	now := templates()
	for _, want := range []string{template("Internet", 0, 0), template("InternetCustom", 10240, 49760), template("DatacenterCustom", 10240, 49760)} {
		if !strings.Contains(now, want) {
			t.Errorf("no %s in %s", want, now)
		}
	}
	m.want(0, "is undone", "undo", "--yes")
	if templates() != was {
		t.Errorf("after undo: %s", templates())
	}
}

func TestAChangeThatNobodyConfirmsIsUndoneOnWindowsToo(t *testing.T) {
	m := newMachine(t, "win10")
	m.want(0, "unless portroom confirm is run before", "set", "dynamicport.tcp4=10240-65535", "--yes", "--rollback-after", "3s")
	for deadline := time.Now().Add(time.Minute); m.dynamic("ipv4", "tcp") != "49152+100"; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still %s", m.dynamic("ipv4", "tcp"))
		}
	}
}

// Batch files and .reg files are carried out by Wine's cmd and reg.
func TestWhatIsWrittenForWindowsIsCarriedOut(t *testing.T) {
	m := newMachine(t, "win2003")
	m.Reg(t, "add", parametersKey, "/v", "TcpTimedWaitDelay", "/t", "REG_DWORD", "/d", "4294967295", "/f")
	m.Reg(t, "add", parametersKey, "/v", "ReservedPorts", "/t", "REG_SZ", "/d", `100% of them\`, "/f")
	set := []string{"set", "MaxUserPort=65534", "TcpTimedWaitDelay=30", "ReservedPorts=absent"}
	names := []string{"MaxUserPort", "TcpTimedWaitDelay", "ReservedPorts"}
	values := func() string {
		return fmt.Sprintf("%q", []string{m.value(names[0]), m.value(names[1]), m.value(names[2])})
	}
	was := values()
	for format, carry := range map[string]func(file string){
		"cmd": func(file string) { m.Must(t, "cmd", "/c", file) },
		"reg": func(file string) { m.Reg(t, "import", file) },
	} {
		m.want(0, "wrote ", append(set, "--emit", format, `C:\`+format)...)
		carry(`C:\` + format + `\portroom.` + format)
		if got := values(); got != `["REG_DWORD 0xfffe" "REG_DWORD 0x1e" ""]` {
			t.Errorf("%s: %s", format, got)
		}
		carry(`C:\` + format + `\restore\portroom.` + format)
		if got := values(); got != was {
			t.Errorf("%s: after restore %s, want %s", format, got, was)
		}
	}
	m.SetVersion(t, "win10")
	m.want(0, "wrote ", "set", "dynamicport.tcp4=10240-65535", "--emit", "cmd", `C:\later`)
	m.Must(t, "cmd", "/c", `C:\later\portroom.cmd`)
	if got := m.dynamic("ipv4", "tcp"); got != "10240+55296" {
		t.Errorf("tcp over ipv4: %s", got)
	}
	m.Must(t, "cmd", "/c", `C:\later\restore\portroom.cmd`)
	if got := m.dynamic("ipv4", "tcp"); got != "49152+100" {
		t.Errorf("tcp over ipv4: %s", got)
	}
}

// ProgramData lets every user make directories: one that others may write to, or
// that is theirs, could hold a journal of theirs.
func TestAStateDirectoryThatOthersMayWriteToIsRefused(t *testing.T) {
	m := newMachine(t, "win2003")
	dir := filepath.Join(m.Dir(), "state")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // whatever the umask
		t.Fatal(err)
	}
	m.want(3, `C:\state may be written by S-1-1-0, who could change the journal: want a directory of your own`, "set", "MaxUserPort=65534", "--yes", "--state-dir", `C:\state`)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m.want(0, "change 1 done", "set", "MaxUserPort=65534", "--yes", "--state-dir", `C:\state`)
	m.want(0, "change 1 done", "set", "MaxUserPort=65533", "--yes", "--state-dir", `C:\made\by\portroom`)
	if fi, err := os.Stat(filepath.Join(m.Dir(), "made", "by", "portroom")); err != nil || fi.Mode().Perm()&0o007 != 0 { // to Wine, administrators are the group
		t.Errorf("%v, %v", fi, err)
	}
}
