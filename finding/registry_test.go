package finding

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/socket"
)

// legacy is a Windows Server 2003 as its registry has it, with these values in
// Tcpip\Parameters.
func legacy(values ...registry.Value) *Facts { return windows("5.2", 3790, nil, values...) }

// later is a Windows that runs, with this dynamic range for TCP over IPv4.
func later(build int, r port.Range, excluded int, values ...registry.Value) *Facts {
	live := &nt.Live{ExcludedKnown: true, AutoReuse: &nt.AutoReuse{}}
	for _, p := range nt.Pools {
		live.Dynamic = append(live.Dynamic, nt.DynamicRange{Proto: p.Proto, Family: p.Family, First: r.First, Count: r.Len()})
	}
	if excluded > 0 {
		live.Excluded = []nt.Excluded{{Proto: socket.TCP, Family: nt.IPv4, First: r.First, Last: r.First + uint16(excluded) - 1}}
	}
	return windows("10.0", build, live, values...)
}

// thousand is a dynamic range of 1,000 ports.
var thousand = port.Range{First: 50000, Last: 50999}

// windows reads the settings of a Windows from a registry, as portroom does.
func windows(release string, build int, live *nt.Live, values ...registry.Value) *Facts {
	s := regtext.NewStore(&regtext.File{})
	set := func(key string, values ...registry.Value) {
		must(s.Create(key))
		for _, v := range values {
			must(s.Set(key, v))
		}
	}
	set(`HKEY_LOCAL_MACHINE\SYSTEM\Select`, registry.NewDWORD("Current", 1))
	set(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\`+nt.ParametersKey, values...)
	m := nt.Machine{System: registry.Sub(s, `HKEY_LOCAL_MACHINE\SYSTEM`)}
	if release != "" {
		version := []registry.Value{registry.NewSZ("CurrentVersion", release), registry.NewSZ("CurrentBuildNumber", strconv.Itoa(build))}
		if major, ok := strings.CutSuffix(release, ".0"); ok {
			n, err := strconv.Atoi(major)
			must(err)
			version = append(version, registry.NewDWORD("CurrentMajorVersionNumber", uint32(n)))
		}
		set(`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion`, version...)
		m.Software = registry.Sub(s, `HKEY_LOCAL_MACHINE\SOFTWARE`)
	}
	settings, err := m.Settings(live)
	must(err)
	return &Facts{System: Windows, Windows: &WindowsFacts{Settings: settings}}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func number(name string, n uint32) registry.Value { return registry.NewDWORD(name, n) }

// up is how long a system has been up.
func (f *Facts) up(d time.Duration) *Facts { f.Uptime = d; return f }

var yes = true

var windowsCases = []ruleCase{
	{"PR201", Info, legacy(), legacy(number(nt.MaxUserPort, 65534)), "MaxUserPort is absent: 3976 ports (1025-5000), 16.6 to 33.1 new connections a second"},
	{"PR202", Warning, legacy(number(nt.MaxUserPort, 4999)), legacy(number(nt.MaxUserPort, 5000)), "MaxUserPort is 4999"},
	{"PR202", Warning, legacy(number(nt.MaxUserPort, 65535)), legacy(number(nt.MaxUserPort, 65534)), "outside 5000 to 65534"},
	{"PR202", Warning, legacy(registry.NewSZ(nt.MaxUserPort, "65534")), later(20348, thousand, 0, number(nt.MaxUserPort, 4999)), "MaxUserPort is of type REG_SZ"},
	{"PR202", Warning, windows("", 0, nil, number(nt.MaxUserPort, 1)), windows("", 0, nil), "MaxUserPort is 1"},
	{"PR203", Warning, later(20348, thousand, 0, number(nt.MaxUserPort, 65534)), later(20348, thousand, 0), "do not rely on it"},
	{"PR204", Warning, legacy(number(nt.TcpTimedWaitDelay, 29)), legacy(number(nt.TcpTimedWaitDelay, 30)), "TcpTimedWaitDelay is 29"},
	{"PR204", Warning, later(20348, thousand, 0, number(nt.TcpTimedWaitDelay, 301)), later(20348, thousand, 0, number(nt.TcpTimedWaitDelay, 300)), "TcpTimedWaitDelay is 301"},
	{"PR205", Info, later(20348, thousand, 100), later(20348, thousand, 99), "excluded ranges take 100 of the 1000 ports of the range of TCP"},
	{"PR205", Warning, later(20348, thousand, 700), later(20348, thousand, 699), "excluded for TCP over IPv4: 50000-50699"},
	{"PR205", Critical, later(20348, thousand, 900), later(20348, thousand, 899), "take 900"},
	{"PR206", Warning, later(20348, thousand, 0).bound(100), later(20348, thousand, 0).bound(99), "wsl.exe holds 90"},
	{"PR207", Critical, later(7601, thousand, 0).up(wrap497), later(9200, thousand, 0).up(wrap497), "up for 497 days"},
	{"PR207", Warning, later(6000, thousand, 0).up(wrap497 - warnAhead), later(6000, thousand, 0).up(wrap497 - warnAhead - 1), "in 31 days"},
	{"PR208", Info, legacy(registry.NewMultiSZ(nt.ReservedPorts, "1025-1424")), legacy(registry.NewMultiSZ(nt.ReservedPorts, "1025-1421")), "ReservedPorts take 400 of the 3976 ports"},
	{"PR208", Critical, legacy(registry.NewMultiSZ(nt.ReservedPorts, "1-65535")), legacy(registry.NewMultiSZ(nt.ReservedPorts, "1025-3000")), "none is left for outgoing connections"},
	{"PR209", Warning, legacy(registry.NewMultiSZ(nt.ReservedPorts, "4000"), number(nt.MaxHashTableSize, 100)), legacy(registry.NewMultiSZ(nt.ReservedPorts, "4000-4000")), "not a power of two"},
	{"PR210", Warning, later(20348, thousand, 0, registry.NewMultiSZ(nt.ReservedPorts, "4000-4000")), later(20348, thousand, 0), "netsh int ipv4 add excludedportrange takes its place"},
	{"PR210", Info, later(20348, thousand, 0, number(nt.TcpNumConnections, 100)), later(20348, thousand, 0), "TcpNumConnections is set"},
	{"PR211", Warning, legacy(number(nt.TcpNumConnections, 3975)), legacy(number(nt.TcpNumConnections, 3976)), "fewer connections may be open than there are ports (3976)"},
	{"PR212", Warning, windows("5.2", 3790, &nt.Live{RestartPending: &yes}), legacy(), "act from the next one on"},
	{"PR214", Info, legacy(number(nt.MaxUserPort, 20000)), legacy(number(nt.MaxUserPort, 65534)), "MaxUserPort is 20000: 18976 ports"},
	{"PR213", Warning, windows("", 0, nil), legacy(), "which Windows this is cannot be told"},
}

// bound says that so many sockets hold a port without a connection.
func (f *Facts) bound(n int) *Facts {
	f.Windows.Bound, f.Windows.BoundMost, f.Windows.BoundBy = n, 90, "wsl.exe"
	return f
}

// The gains of Windows are of this system's ports, reserved ones left out, by the
// longest TIME_WAIT that is possible.
func TestGainsAreComputedForThisWindows(t *testing.T) {
	first := func(f *Facts, code string) Remedy { return find(Judge(f), code).Remedies[0] }
	f := legacy(registry.NewMultiSZ(nt.ReservedPorts, "1025-1034", "10000-10009"))
	f.Target = "hive:'my SYSTEM'"
	m := first(f, "PR201")
	if g := m.Gain; g.From.Capacity != 3966 || g.To.Capacity != 64490 || m.Gain.String() != "ceiling 17/s → 269/s" {
		t.Errorf("%+v: %s", g, g)
	}
	if m.Command != "portroom set MaxUserPort=65534 --target hive:'my SYSTEM'" || len(m.Sets) != 1 || m.Sets[0] != (Assignment{nt.MaxUserPort, "65534"}) {
		t.Errorf("%+v", m)
	}
	m = first(later(20348, thousand, 0, number(nt.MaxUserPort, 65534)), "PR203")
	if m.Command != "portroom set dynamicport.tcp4=10240-65535" || m.Gain.String() != "ceiling 4.2/s → 230/s" {
		t.Errorf("%+v", m)
	}
	// A registry does not tell the range of a later system, and cannot set it.
	m = first(windows("10.0", 20348, nil, number(nt.MaxUserPort, 65534)), "PR203")
	if m.ID != RestoreDefault || m.Command != "portroom set MaxUserPort=absent" {
		t.Errorf("%+v", m)
	}
}
