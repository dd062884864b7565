package windows

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/wine"
)

var update = flag.Bool("update", false, "write what the commands print into testdata")

// The sockets of the tests: the ports that netsh claims to be the dynamic range
// are those that the namespace's connections come from.
const (
	first, last = 49152, 49251 // 100 ports
	server      = 10001
	inRange     = 49251 // a listener
	excluded    = "49240-49249"
)

// host is a Windows with a netsh that knows a dynamic range of 100 ports.
func host(t *testing.T) (*wine.Prefix, *load.Netns) {
	t.Helper()
	n := load.ForTest(t)
	if err := n.Sysctl("net.ipv4.ip_local_port_range", fmt.Sprintf("%d %d", first, last)); err != nil {
		t.Fatal(err)
	}
	// So that no socket is given a port that netsh is to call excluded, and no UDP
	// socket the number of the TCP listener.
	if err := n.Sysctl("net.ipv4.ip_local_reserved_ports", fmt.Sprintf("%s,%d", excluded, inRange)); err != nil {
		t.Fatal(err)
	}
	return wine.NewIn(t, n), n
}

// record makes netsh known, with these ranges of excluded ports for TCP over IPv4.
func record(t *testing.T, p *wine.Prefix, excluded string) {
	t.Helper()
	p.Install(t, wine.Build(t, "./testdata/netsh"), "netsh.exe")
	dir := filepath.Join(p.Dir(), "netsh")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		for _, proto := range []string{"tcp", "udp"} {
			list := ""
			if family+proto == "ipv4tcp" {
				list = excluded
			}
			for what, text := range map[string]string{
				"dynamicport":       fmt.Sprintf("\r\nProtokoll %s Dynamischer Portbereich\r\n---------------------------------\r\nStartport        : %d\r\nAnzahl von Ports : %d\r\n\r\n", proto, first, last-first+1),
				"excludedportrange": "\r\nProtokoll " + proto + " Portausschlussbereiche\r\n\r\nStartport    Endport\r\n----------    --------      \r\n" + list + "\r\n* - Verwaltete Portausschl\x81sse.\r\n",
			} {
				name := fmt.Sprintf("interface-%s-show-%s-%s.txt", family, what, proto)
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A population is the sockets of a namespace: seven connections, three TIME_WAIT, a
// listener within the range and two UDP sockets.
type population struct {
	ns     *load.Netns
	server net.Listener
	born   time.Time // of the TIME_WAIT
}

func populate(t *testing.T, n *load.Netns) *population {
	t.Helper()
	p := &population{ns: n}
	keep := func(c io.Closer) { t.Cleanup(func() { _ = c.Close() }) }
	err := n.Do(func() error {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		for _, at := range []int{inRange, server} {
			l, err := lc.Listen(t.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", at))
			if err != nil {
				return err
			}
			keep(l)
			p.server = l
		}
		for range 7 {
			c, s, err := p.connect()
			if err != nil {
				return err
			}
			keep(c)
			keep(s)
		}
		for range 2 {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				return err
			}
			keep(c)
		}
		return p.close3()
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// connect makes a connection and returns its ends, that of the server last.
func (p *population) connect() (c, s net.Conn, err error) {
	if c, err = net.Dial("tcp4", p.server.Addr().String()); err != nil {
		return nil, nil, err
	}
	s, err = p.server.Accept()
	return c, s, err
}

// close3 leaves three TIME_WAIT.
func (p *population) close3() error {
	p.born = time.Now()
	for range 3 {
		c, s, err := p.connect()
		if err != nil {
			return err
		}
		// This side closes first and keeps the port.
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = bufio.NewReader(s).ReadByte()
		_ = s.Close()
		_, _ = bufio.NewReader(c).ReadByte()
		_ = c.Close()
	}
	return nil
}

// renew makes the TIME_WAIT anew if they might not last until a program has looked
// at them. They last 60 s, which is short on a busy machine.
func (p *population) renew(t *testing.T) {
	t.Helper()
	if time.Since(p.born) < 30*time.Second {
		return
	}
	for {
		c, err := p.ns.Count()
		if err != nil {
			t.Fatal(err)
		}
		if c.TimeWait == 0 {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := p.ns.Do(p.close3); err != nil {
		t.Fatal(err)
	}
}

var varies = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\r\n`), "\n"},
	{regexp.MustCompile(`  +`), "  "},
	{regexp.MustCompile(`(127\.0\.0\.1:)49\d\d\d`), "${1}PORT"},
	{regexp.MustCompile(`"ports": "[\d,-]+"`), `"ports": "PORTS"`},
}

// golden compares what was printed with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, v := range varies {
		got = v.pattern.ReplaceAllString(got, v.with)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func TestTheProgramMeasuresRealSockets(t *testing.T) {
	p, n := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	record(t, p, "     49240       49249     *\r\n")
	sockets := populate(t, n)
	for _, version := range []string{"win10", "win7"} {
		p.SetVersion(t, version)
		for _, c := range []struct {
			name   string
			status int
			args   []string
		}{
			{"check.txt", 0, []string{"check"}},
			{"check.json", 0, []string{"check", "--json"}},
			{"pools.txt", 0, []string{"pools"}},
			{"pools.json", 0, []string{"pools", "--json"}},
			{"room.txt", 0, []string{"room", fmt.Sprintf("127.0.0.1:%d", server)}},
			{"room-elsewhere.txt", 0, []string{"room", "192.0.2.7:443"}},
			{"room-udp.json", 0, []string{"room", "192.0.2.7:53", "--proto", "udp", "--json"}},
			{"ports.json", 0, []string{"ports", "--json"}},
			{"port-listening.txt", 0, []string{"ports", fmt.Sprint(inRange)}},
			{"port-excluded.txt", 0, []string{"ports", "49245"}},
			{"port-outside.txt", 0, []string{"ports", fmt.Sprint(server)}},
		} {
			t.Run(version+" "+strings.Join(c.args, " "), func(t *testing.T) {
				sockets.renew(t)
				r := p.Run(t, exe, c.args...)
				if r.Exit != c.status {
					t.Fatalf("status %d, want %d\n%s%s", r.Exit, c.status, r.Stdout, r.Stderr)
				}
				golden(t, c.name, r.Stdout)
			})
		}
	}
}

// The numbers that the program gives are the kernel's.
func TestTheNumbersAreTheNamespaces(t *testing.T) {
	p, n := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	record(t, p, "")
	populate(t, n)
	r := p.Run(t, exe, "room", "127.0.0.1:10001", "--json")
	var got struct {
		Range, Blocked, Held, Capacity, Headroom int
		HeadroomMax                              int `json:"headroom_max"`
		Inexact                                  []string
		States                                   map[string]int
	}
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
	}
	if got.Range != 100 || got.Blocked != 1 || got.Held != 10 || got.HeadroomMax != 89 || got.Headroom != 0 {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff(map[string]int{"ESTABLISHED": 7, "TIME_WAIT": 3}, got.States); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"unlisted-bound"}, got.Inexact); d != "" {
		t.Error(d)
	}
}

// Inside AutoReusePortRange each tuple is a pool, from the address that the system
// would choose.
func TestASharedRangeIsCountedByTuple(t *testing.T) {
	p, n := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	record(t, p, "")
	recordTemplates(t, p, template("InternetCustom", 49152, 60))
	if err := n.Sysctl("net.ipv4.ip_local_port_range", "49152 49211"); err != nil {
		t.Fatal(err)
	}
	sockets := populate(t, n)
	for _, version := range []string{"win10", "win7"} {
		p.SetVersion(t, version)
		sockets.renew(t)
		r := p.Run(t, exe, "room", "127.0.0.1:10001", "--json")
		want := `"dst": "127.0.0.1:10001",`
		if version == "win7" { // has no such range
			want = `"dst": "*",`
		}
		if r.Exit != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("%s: status %d\n%s%s", version, r.Exit, r.Stdout, r.Stderr)
		}
		if version == "win10" {
			golden(t, "room-shared.json", r.Stdout)
		}
	}
}

// A running Windows is judged by its sockets and by its settings, and explain weighs
// an error by both.
func TestFindingsOfARunningWindows(t *testing.T) {
	p, n := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	record(t, p, "")
	const key = `HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`
	p.Reg(t, "add", key, "/v", "MaxUserPort", "/t", "REG_DWORD", "/d", "65534", "/f")
	idle := p.Run(t, exe, "explain", "10055", "--json")
	if !strings.Contains(idle.Stdout, `"exhaustion": "possible"`) || !strings.Contains(idle.Stdout, `"evidence": "this host does not show it now"`) {
		t.Errorf("status %d\n%s%s", idle.Exit, idle.Stdout, idle.Stderr)
	}
	if err := n.Sysctl("net.ipv4.ip_local_reserved_ports", "1"); err != nil {
		t.Fatal(err)
	}
	err := n.Do(func() error {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		l, err := lc.Listen(t.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", server))
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = l.Close() })
		for range last - first + 1 {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = c.Close() })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := p.Run(t, exe, "check")
	if r.Exit != 2 {
		t.Errorf("status %d, want 2", r.Exit)
	}
	for _, want := range []string{
		"! PR101 TCP over IPv4 has no port left: connects fail now",
		"TCP over IPv4: 100 of 100 held (100 ESTABLISHED)",
		"remedy: widen the dynamic range to 10240–65535: ceiling 0.4/s → 230/s (portroom set dynamicport.tcp4=10240-65535)",
		"! PR203 MaxUserPort is set: a leftover of an older system",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("check does not say %q:\n%s%s", want, r.Stdout, r.Stderr)
		}
	}
	r = p.Run(t, exe, "explain", "WSAENOBUFS")
	for _, want := range []string{"port exhaustion is likely", "98%  PR101 no source port is left, for whatever destination", "here: TCP over IPv4 has no port left: connects fail now"} {
		if r.Exit != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("explain does not say %q:\n%s%s", want, r.Stdout, r.Stderr)
		}
	}
}

// template is a TCP template as PowerShell prints it.
func template(name string, first, count int) string {
	return fmt.Sprintf(`{"SettingName":%q,"AutoReusePortRangeStartPort":%d,"AutoReusePortRangeNumberOfPorts":%d}`, name, first, count)
}

// recordTemplates makes PowerShell known, which has these templates.
func recordTemplates(t *testing.T, p *wine.Prefix, templates ...string) {
	t.Helper()
	program, err := os.ReadFile(wine.Build(t, "./testdata/netsh"))
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(p.System32(), "WindowsPowerShell", "v1.0", "powershell.exe")
	_ = os.Remove(to)
	if err := os.WriteFile(to, program, 0o755); err != nil {
		t.Fatal(err)
	}
	p.Reg(t, "add", `HKCU\Software\Wine\DllOverrides`, "/v", "powershell.exe", "/d", "native", "/f")
	automatic := `{"SettingName":"Automatic","AutoReusePortRangeStartPort":null,"AutoReusePortRangeNumberOfPorts":null}`
	answer := "[" + strings.Join(append([]string{automatic}, templates...), ",") + "]"
	if err := os.WriteFile(filepath.Join(p.Dir(), "netsh", "powershell.txt"), []byte(answer), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestASilentNetshIsAnError(t *testing.T) {
	p, _ := host(t) // Wine's own netsh says nothing and ends with 0
	exe := wine.Build(t, "../../cmd/portroom")
	for _, args := range [][]string{{}, {"check"}, {"pools"}, {"room", "127.0.0.1:80"}, {"ports"}} {
		r := p.Run(t, exe, args...)
		if r.Exit != 3 || !strings.Contains(r.Stderr, "the dynamic port range of tcp over ipv4 could not be read from netsh") {
			t.Errorf("%q: status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
		}
	}
}

// Up to Server 2003 the registry decides. No Go program runs there; Wine plays
// one.
func TestALegacyRangeComesFromTheRegistry(t *testing.T) {
	p, _ := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	p.SetVersion(t, "win2003")
	const key = `HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`
	p.Reg(t, "add", key, "/v", "MaxUserPort", "/t", "REG_DWORD", "/d", "65534", "/f")
	r := p.Run(t, exe, "room", "127.0.0.1:80", "--json")
	if r.Exit != 0 || !strings.Contains(r.Stdout, `"range": 64510`) {
		t.Errorf("status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// What the access list of the registry forbids is an error that says so.
func TestSettingsThatOneMayNotReadAreAnError(t *testing.T) {
	p, _ := host(t)
	exe, deny := wine.Build(t, "../../cmd/portroom"), wine.Build(t, "./testdata/deny")
	p.Must(t, deny, `SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`)
	for _, args := range [][]string{{"check"}, {"pools"}, {"room", "127.0.0.1:80"}} {
		r := p.Run(t, exe, args...)
		if r.Exit != 3 || !strings.Contains(r.Stderr, "not permitted") || strings.Count(r.Stderr, "portroom:") != 1 {
			t.Errorf("%q: status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
		}
	}
}

func TestWhatOnlyLinuxHasIsWrongUsage(t *testing.T) {
	p := wine.New(t)
	exe := wine.Build(t, "../../cmd/portroom")
	for flag, args := range map[string][]string{
		"--netns": {"check", "--netns", "web1"}, "--all-namespaces": {"pools", "-A"}, "--no-bpf": {"check", "--no-bpf"},
	} {
		r := p.Run(t, exe, args...)
		want := "portroom: " + flag + " is for Linux: Windows has neither network namespaces nor BPF\n"
		if got := strings.ReplaceAll(r.Stderr, "\r\n", "\n"); r.Exit != 64 || !strings.HasSuffix(got, want) {
			t.Errorf("%q: status %d, %q", args, r.Exit, got)
		}
	}
}

func TestAnExportedLogIsJudgedOnWindowsToo(t *testing.T) {
	p := wine.New(t)
	exe := wine.Build(t, "../../cmd/portroom")
	file, err := filepath.Abs("../../internal/winevent/testdata/system.xml")
	if err != nil {
		t.Fatal(err)
	}
	r := p.Run(t, exe, "check", "--events", wine.Path(file))
	if r.Exit != 1 || !strings.Contains(r.Stdout, "event 4231, no TCP port left: 1 entry") {
		t.Errorf("status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}
