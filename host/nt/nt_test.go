package nt

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/socket"
)

// tree is a registry by key below HKEY_LOCAL_MACHINE.
type tree map[string][]registry.Value

func (k tree) machine(t testing.TB) Machine {
	t.Helper()
	s := regtext.NewStore(&regtext.File{})
	software := false
	for path, values := range k {
		software = software || strings.HasPrefix(path, "SOFTWARE")
		at := registry.Join("HKEY_LOCAL_MACHINE", path)
		if err := s.Create(at); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := s.Set(at, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	m := Machine{System: registry.Sub(s, `HKEY_LOCAL_MACHINE\SYSTEM`)}
	if software {
		m.Software = registry.Sub(s, `HKEY_LOCAL_MACHINE\SOFTWARE`)
	}
	return m
}

// marks are what a system is recognised by.
type marks struct {
	release, name, build string
	major                uint32 // 0: no CurrentMajorVersionNumber
	kind, arch           string
	suites               []string
	wpa                  []string
	installation         string
}

const set = `SYSTEM\ControlSet001\`

func (m marks) tree() tree {
	k := tree{
		`SYSTEM\Select`:                   {registry.NewDWORD("Current", 1)},
		set + `Services\Tcpip\Parameters`: nil,
	}
	if m.kind != "" {
		k[set+`Control\ProductOptions`] = []registry.Value{registry.NewSZ("ProductType", m.kind), registry.NewMultiSZ("ProductSuite", m.suites...)}
	}
	if m.arch != "" {
		k[set+`Control\Session Manager\Environment`] = []registry.Value{registry.NewSZ("PROCESSOR_ARCHITECTURE", m.arch)}
	}
	for _, w := range m.wpa {
		k[`SYSTEM\WPA\`+w] = []registry.Value{registry.NewDWORD("Installed", 1)}
	}
	if m.release != "" {
		v := []registry.Value{registry.NewSZ("CurrentVersion", m.release)}
		for name, text := range map[string]string{"ProductName": m.name, "CurrentBuildNumber": m.build, "InstallationType": m.installation} {
			if text != "" {
				v = append(v, registry.NewSZ(name, text))
			}
		}
		if m.major != 0 {
			v = append(v, registry.NewDWORD("CurrentMajorVersionNumber", m.major), registry.NewDWORD("CurrentMinorVersionNumber", 0))
		}
		k[`SOFTWARE\`+currentVersionKey] = v
	}
	return k
}

func TestASystemIsNamedAsFarAsItIsKnown(t *testing.T) {
	const server = "Windows Server 2003"
	for want, m := range map[string]marks{
		"Windows NT Workstation 3.51":                             {release: "3.51", kind: "WinNT"},
		"Windows NT Workstation 4.0":                              {release: "4.0", kind: "WinNT"},
		"Windows NT Server 4.0, Enterprise Edition":               {release: "4.0", kind: "LanmanNT", suites: []string{"Enterprise"}},
		"Windows NT Server 4.0, Terminal Server Edition":          {release: "4.0", kind: "ServerNT", suites: []string{"Terminal Server"}},
		"Windows 2000 Datacenter Server":                          {release: "5.0", kind: "ServerNT", suites: []string{"Enterprise", "DataCenter"}},
		"Windows 2000":                                            {release: "5.0"},
		"Windows XP":                                              {release: "5.1", kind: "WinNT", wpa: []string{"TabletPC", "MediaCenter"}},
		"Windows XP Professional x64 Edition":                     {release: "5.2", kind: "WinNT", arch: "AMD64", name: "Microsoft Windows XP"},
		"Windows XP 64-Bit Edition":                               {release: "5.2", kind: "WinNT", arch: "IA64"},
		server + ", Datacenter Edition":                           {release: "5.2", kind: "ServerNT", arch: "x86", suites: []string{"DataCenter", "Enterprise"}},
		server + ", Enterprise Edition for Itanium-based Systems": {release: "5.2", kind: "ServerNT", arch: "IA64", suites: []string{"Enterprise"}},
		server + " R2, Enterprise x64 Edition":                    {release: "5.2", kind: "ServerNT", arch: "AMD64", suites: []string{"Enterprise"}, name: "Microsoft Windows Server 2003 R2"},
		server:                                                    {release: "5.2", kind: "ServerNT"}, // 32 or 64 bit?
		server + " or Windows XP Professional x64 Edition":        {release: "5.2"},
		"Windows Small Business Server 2003":                      {release: "5.2", kind: "LanmanNT", arch: "x86", suites: []string{"Small Business", "Small Business(Restricted)"}},
		"Windows Home Server":                                     {release: "5.2", kind: "ServerNT", arch: "x86", suites: []string{"WH Server"}},
		"Windows Vista Ultimate":                                  {release: "6.0", kind: "WinNT", name: "Windows Vista (TM) Ultimate"},
		"Windows 7 or Windows Server 2008 R2":                     {release: "6.1"},
		"Windows Server 2008 R2 Enterprise":                       {release: "6.1", kind: "ServerNT", name: "Windows Server 2008 R2 Enterprise"},
		"Windows 8":                                               {release: "6.2", kind: "WinNT"},
		"Windows Server 2012":                                     {release: "6.2", kind: "ServerNT"},
		"Windows 8.1 Pro":                                         {release: "6.3", kind: "WinNT", name: "Windows 8.1 Pro"},
		"Windows Server 2012 R2":                                  {release: "6.3", kind: "LanmanNT"},
		"Windows 10":                                              {release: "6.3", major: 10, kind: "WinNT", build: "19045"},
		"Windows 11 Enterprise":                                   {release: "6.3", major: 10, kind: "WinNT", build: "22000", name: "Windows 10 Enterprise"},
		"Windows 11":                                              {release: "6.3", major: 10, kind: "WinNT", build: "26100"},
		"Windows Server 2016":                                     {release: "6.3", major: 10, kind: "ServerNT", build: "14393"},
		"Windows Server 2019":                                     {release: "6.3", major: 10, build: "17763", installation: "Server Core"},
		"Windows Server 2022":                                     {release: "6.3", major: 10, kind: "ServerNT", build: "20348"},
		"Windows Server 2025":                                     {release: "6.3", major: 10, kind: "ServerNT", build: "26100"},
		"Windows Server":                                          {release: "6.3", major: 10, kind: "ServerNT", build: "18363"},
		"Windows NT 10.0":                                         {release: "6.3", major: 10},
		"Windows NT 11.0":                                         {release: "6.3", major: 11, kind: "WinNT", build: "40000"},
		"Azure Stack HCI":                                         {release: "6.3", major: 10, kind: "ServerNT", build: "20348", name: "Azure Stack HCI"},
		"Windows":                                                 {kind: "WinNT"},
	} {
		t.Run(want, func(t *testing.T) {
			s, err := m.tree().machine(t).Identify()
			if err != nil || s.Product != want {
				t.Errorf("%q, %v (%q)", s.Product, err, s.Notes)
			}
			if later := m.release >= "6"; m.release != "" && (s.Era == Later) != later {
				t.Errorf("era %d", s.Era)
			}
		})
	}
}

func TestASystemHiveAloneTellsTheEraWhenItIsWhole(t *testing.T) {
	k := marks{kind: "ServerNT"}.tree()
	k[set+`Control\Nsi`] = nil
	if s, err := k.machine(t).Identify(); err != nil || s.Era != Later || s.Product != "Windows Server 2008 or later" {
		t.Errorf("with Nsi: %+v, %v", s, err)
	}
	delete(k, set+`Control\Nsi`)
	if s, err := k.machine(t).Identify(); err != nil || s.Era != UnknownEra || s.Product != "Windows Server" {
		t.Errorf("in part: %+v, %v", s, err)
	}
	for i := range 150 {
		k[set+`Services\driver`+strings.Repeat("x", i)] = nil
	}
	if s, err := k.machine(t).Identify(); err != nil || s.Era != Legacy || s.Product != "Windows NT 4.0, 2000, XP or Server 2003" {
		t.Errorf("whole: %+v, %v", s, err)
	}
}

func TestTheServicePackIsReadFromEitherHive(t *testing.T) {
	for name, c := range map[string]struct {
		system, software registry.Value
		want             int
	}{
		"SYSTEM goes first":   {registry.NewDWORD("CSDVersion", 0x200), registry.NewSZ("CSDVersion", "Service Pack 1"), 2},
		"SOFTWARE alone":      {registry.Value{}, registry.NewSZ("CSDVersion", "Service Pack 6"), 6},
		"with more behind":    {registry.Value{}, registry.NewSZ("CSDVersion", "Service Pack 2, v.2149"), 2},
		"none":                {registry.NewDWORD("CSDVersion", 0), registry.Value{}, 0},
		"absent from both":    {registry.Value{}, registry.Value{}, 0},
		"text without number": {registry.Value{}, registry.NewSZ("CSDVersion", "Dodatek"), -1},
	} {
		k := marks{release: "5.2", kind: "ServerNT"}.tree()
		if c.system.Name != "" {
			k[set+`Control\Windows`] = []registry.Value{c.system}
		}
		if c.software.Name != "" {
			k[`SOFTWARE\`+currentVersionKey] = append(k[`SOFTWARE\`+currentVersionKey], c.software)
		}
		if s, err := k.machine(t).Identify(); err != nil || s.ServicePack != c.want {
			t.Errorf("%s: %d, %v: want %d", name, s.ServicePack, err, c.want)
		}
	}
}

func TestTheControlSetIsTheCurrentOne(t *testing.T) {
	sel := func(n uint32) []registry.Value { return []registry.Value{registry.NewDWORD("Current", n)} }
	for name, c := range map[string]struct {
		keys tree
		want ControlSet
		err  string
	}{
		"Select names it":                  {tree{`SYSTEM\ControlSet001`: nil, `SYSTEM\ControlSet003`: nil, `SYSTEM\Select`: sel(3)}, ControlSet{Key: "ControlSet003", Number: 3}, ""},
		"Select goes before the link":      {tree{`SYSTEM\CurrentControlSet`: nil, `SYSTEM\ControlSet002`: nil, `SYSTEM\Select`: sel(2)}, ControlSet{Key: "ControlSet002", Number: 2}, ""},
		"only the link":                    {tree{`SYSTEM\CurrentControlSet`: nil}, ControlSet{Key: "CurrentControlSet"}, ""},
		"the link, and Select is wrong":    {tree{`SYSTEM\currentcontrolset`: nil, `SYSTEM\Select`: sel(7)}, ControlSet{Key: "CurrentControlSet"}, ""},
		"only one":                         {tree{`SYSTEM\controlset002`: nil}, ControlSet{Key: "ControlSet002", Number: 2}, ""},
		"two and no Select":                {tree{`SYSTEM\ControlSet001`: nil, `SYSTEM\ControlSet002`: nil}, ControlSet{}, "no Select\\Current to say which of ControlSet001, ControlSet002"},
		"Select points nowhere":            {tree{`SYSTEM\ControlSet001`: nil, `SYSTEM\Select`: sel(2)}, ControlSet{}, "Select\\Current is 2, but there is no ControlSet002 (only ControlSet001)"},
		"Select is 0":                      {tree{`SYSTEM\ControlSet001`: nil, `SYSTEM\Select`: sel(0)}, ControlSet{}, "Select\\Current is 0"},
		"Select is far away":               {tree{`SYSTEM\Select`: sel(1 << 31)}, ControlSet{}, "Select\\Current is 2147483648"},
		"neither":                          {tree{`SYSTEM\Setup`: nil}, ControlSet{}, "want a SYSTEM hive"},
		"Select of a wrong type, only one": {tree{`SYSTEM\ControlSet001`: nil, `SYSTEM\Select`: {registry.NewSZ("Current", "1")}}, ControlSet{Key: "ControlSet001", Number: 1}, ""},
	} {
		got, err := c.keys.machine(t).ControlSet()
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// legacy returns the settings of a system with these parameters.
func settings(t testing.TB, m marks, live *Live, parameters ...registry.Value) *Settings {
	t.Helper()
	k := m.tree()
	k[set+ParametersKey] = parameters
	s, err := k.machine(t).Settings(live)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	w2k  = marks{release: "5.0", kind: "WinNT", arch: "x86"}
	w2k3 = marks{release: "5.2", kind: "ServerNT", arch: "x86"}
	w10  = marks{release: "6.3", major: 10, kind: "WinNT", arch: "AMD64", build: "19045"}
)

func TestWhatFollowsFromLegacySettings(t *testing.T) {
	dword := registry.NewDWORD
	for name, c := range map[string]struct {
		system    marks
		values    []registry.Value
		want      port.Range
		exact     bool
		taken     int
		low, high float64
	}{
		"2000 as installed":   {w2k, nil, port.Range{First: 1025, Last: 5000}, true, 0, 3976.0 / 240, 3976.0 / 240},
		"2003 as installed":   {w2k3, nil, port.Range{First: 1025, Last: 5000}, true, 0, 3976.0 / 240, 3976.0 / 120},
		"all ports, 30 s":     {w2k3, []registry.Value{dword(MaxUserPort, 65534), dword(TcpTimedWaitDelay, 30)}, port.Range{First: 1025, Last: 65534}, true, 0, 64510.0 / 30, 64510.0 / 30},
		"top too high":        {w2k, []registry.Value{dword(MaxUserPort, 65535)}, port.Range{First: 1025, Last: 5000}, false, 0, 3976.0 / 240, 64510.0 / 240},
		"top too low":         {w2k, []registry.Value{dword(MaxUserPort, 4999)}, port.Range{First: 1025, Last: 5000}, false, 0, 3976.0 / 240, 3976.0 / 240},
		"top is text":         {w2k, []registry.Value{registry.NewSZ(MaxUserPort, "65534")}, port.Range{First: 1025, Last: 5000}, false, 0, 3976.0 / 240, 3976.0 / 240},
		"wait too short":      {w2k, []registry.Value{dword(TcpTimedWaitDelay, 10)}, port.Range{First: 1025, Last: 5000}, true, 0, 3976.0 / 240, 397.6},
		"wait too long":       {w2k, []registry.Value{dword(TcpTimedWaitDelay, 600)}, port.Range{First: 1025, Last: 5000}, true, 0, 3976.0 / 600, 3976.0 / 240},
		"no wait":             {w2k, []registry.Value{dword(TcpTimedWaitDelay, 0)}, port.Range{First: 1025, Last: 5000}, true, 0, 3976.0 / 240, 0},
		"some ports reserved": {w2k, []registry.Value{registry.NewMultiSZ(ReservedPorts, "1000-1124", "4000-4000", "6000-7000")}, port.Range{First: 1025, Last: 5000}, true, 101, 3875.0 / 240, 3875.0 / 240},
		"every port reserved": {w2k, []registry.Value{registry.NewMultiSZ(ReservedPorts, "1-65535")}, port.Range{First: 1025, Last: 5000}, true, 3976, 0, 0},
	} {
		s := settings(t, c.system, nil, c.values...)
		r := s.Ranges[0]
		if len(s.Ranges) != 1 || r.Range != c.want || r.Exact != c.exact || r.Taken != c.taken || r.Low != c.low || r.High != c.high {
			t.Errorf("%s: %+v", name, s.Ranges)
		}
	}
}

func TestLinesOfReservedPortsThatCannotBeReadAreNamed(t *testing.T) {
	for _, c := range []struct {
		lines []string
		ports string
		bad   string
	}{
		{[]string{"1433-1434", " 4000 - 4000 "}, "1433-1434,4000", ""},
		{[]string{"4000"}, "", `line "4000" is no range`},
		{[]string{"5000-4000", "x-y", "1-2", "0-5"}, "1-2", `line "5000-4000" is no range of ports`},
		{[]string{"1-70000"}, "", "is no range of ports"},
		{[]string{strings.Repeat("9", 5000)}, "", "…"},
	} {
		ranges, bad := parseReserved(c.lines)
		var ports port.Set
		for _, r := range ranges {
			ports.AddRange(r)
		}
		if ports.String() != c.ports || (bad == "") != (c.bad == "") || !strings.Contains(bad, c.bad) || len(bad) > 300 {
			t.Errorf("%.40q: %q, %q", c.lines, ports.String(), bad)
		}
	}
	s := settings(t, w2k, nil, registry.NewMultiSZ(ReservedPorts, "4001-4002", "4000-4000"))
	if v := s.Value(ReservedPorts); v.State != Good || !strings.Contains(v.Note, "4000-4000 and 4001-4002 touch") {
		t.Errorf("%+v", v)
	}
}

func TestOnLaterSystemsTheRunningSystemDecides(t *testing.T) {
	yes := true
	s := settings(t, w10, &Live{
		Dynamic:       []DynamicRange{{socket.TCP, IPv4, 10000, 1000}, {socket.UDP, IPv6, 20000, 500}},
		Excluded:      []Excluded{{socket.TCP, IPv4, 9900, 10099, true}, {socket.TCP, IPv4, 10050, 10149, false}, {socket.TCP, IPv6, 50000, 50059, true}},
		ExcludedKnown: true, AutoReuse: &AutoReuse{30000, 100}, RestartPending: &yes,
	}, registry.NewDWORD(MaxUserPort, 65534), registry.NewMultiSZ(ReservedPorts, "1-65535"))
	want := []Range{
		{Proto: socket.TCP, Family: IPv4, Range: port.Range{First: 10000, Last: 10999}, Taken: 150, Exact: true, Low: 850.0 / 240, High: 850.0 / 120},
		{Proto: socket.TCP, Family: IPv6, Range: DefaultDynamic, Taken: 60, Low: 16324.0 / 240, High: 16324.0 / 120},
		{Proto: socket.UDP, Family: IPv4, Range: DefaultDynamic},
		{Proto: socket.UDP, Family: IPv6, Range: port.Range{First: 20000, Last: 20499}, Exact: true},
	}
	if diff := cmp.Diff(want, s.Ranges); diff != "" {
		t.Error(diff)
	}
	codes := make(map[string]bool)
	for _, r := range s.Remarks() {
		codes[r.Code] = true
	}
	wantCodes := map[string]bool{CodeRange: true, CodeExcluded: true, CodeTimeWait: true, CodeLeftover: true, CodeAutoReuse: true, CodePending: true}
	if diff := cmp.Diff(wantCodes, codes); diff != "" {
		t.Error(diff)
	}
	if _, err := w10.tree().machine(t).Settings(&Live{Dynamic: []DynamicRange{{socket.TCP, IPv4, 65000, 1000}}}); err == nil {
		t.Error("a range beyond the last port is taken")
	}
}

func TestExcludedRangesThatOutlastARestartAreRead(t *testing.T) {
	k := w10.tree()
	k[set+excludedKeys[0].path] = []registry.Value{
		{Name: "cc570100", Type: registry.Binary, Data: []byte{0x12, 0, 0xff, 0xff}}, // the example of the source
		{Name: "C3503C00", Type: registry.Binary}, {Name: "nonsense", Type: registry.Binary}, {Name: "ffff0200", Type: registry.Binary},
	}
	s, err := k.machine(t).Settings(nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []Excluded
	for _, r := range []port.Range{{First: 50000, Last: 50059}, {First: 52311, Last: 52311}} {
		for _, f := range []Family{IPv4, IPv6} {
			want = append(want, Excluded{socket.TCP, f, r.First, r.Last, true})
		}
	}
	if diff := cmp.Diff(want, s.Excluded); diff != "" || s.ExcludedExact || s.Ranges[0].Taken != 61 || s.Ranges[2].Taken != 0 {
		t.Errorf("%s%+v", diff, s.Ranges)
	}
	if !strings.Contains(strings.Join(s.Notes, "\n"), "2 values beside the excluded ranges were not understood") {
		t.Errorf("%q", s.Notes)
	}
}

// What a registry holds comes from outside: whatever it is, the settings are read,
// bounds are bounds, and ports are counted within the range.
func TestAnyValuesGiveBoundsThatHold(t *testing.T) {
	names := []string{MaxUserPort, TcpTimedWaitDelay, ReservedPorts, MaxFreeTcbs, MaxFreeTWTcbs, MaxHashTableSize, TcpNumConnections, StrictTimeWaitSeqCheck}
	rapid.Check(t, func(r *rapid.T) {
		m := rapid.SampledFrom([]marks{w2k, w2k3, w10, {release: "6.1"}, {}}).Draw(r, "system")
		k := m.tree()
		var values []registry.Value
		for _, n := range names {
			switch rapid.IntRange(0, 3).Draw(r, n) {
			case 1:
				values = append(values, registry.NewDWORD(n, rapid.Uint32().Draw(r, "number")))
			case 2:
				values = append(values, registry.NewMultiSZ(n, rapid.SliceOfN(rapid.StringMatching(`[0-9]{0,6}-?[0-9]{0,6}`), 0, 5).Draw(r, "lines")...))
			case 3:
				data := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(r, "data")
				values = append(values, registry.Value{Name: n, Type: registry.Type(rapid.Uint32Range(0, 12).Draw(r, "type")), Data: data})
			}
		}
		k[set+ParametersKey] = values
		s, err := k.machine(t).Settings(nil)
		if err != nil {
			r.Fatal(err)
		}
		for _, g := range s.Ranges {
			if g.Last < g.First || g.Taken < 0 || g.Taken > g.Len() || g.High != 0 && g.High < g.Low {
				r.Fatalf("%+v", g)
			}
		}
		if s.TimeWaitLow > s.TimeWaitHigh {
			r.Fatalf("TIME_WAIT %d to %d", s.TimeWaitLow, s.TimeWaitHigh)
		}
		for _, j := range s.Remarks() {
			if j.Text == "" || strings.ContainsAny(j.Text, "\n") {
				r.Fatalf("%+v", j)
			}
		}
	})
}

// broken is a registry that fails, as a remote one does.
type broken struct{ registry.Store }

var errGone = errors.New("the host is gone")

func (broken) Values(string) ([]registry.Value, error) { return nil, errGone }

func TestARegistryThatFailsIsAnErrorAndNoAbsence(t *testing.T) {
	m := w2k.tree().machine(t)
	m.System = broken{m.System}
	if _, err := m.Settings(nil); !errors.Is(err, errGone) {
		t.Errorf("SYSTEM: %v", err)
	}
	m = w2k.tree().machine(t)
	m.Software = broken{m.Software}
	if _, err := m.Identify(); !errors.Is(err, errGone) {
		t.Errorf("SOFTWARE: %v", err)
	}
}

func FuzzExcludedName(f *testing.F) {
	f.Add("cc570100")
	f.Add("ffff0200")
	f.Fuzz(func(t *testing.T, name string) {
		r, ok := excludedName(name)
		if !ok {
			return
		}
		if r.First == 0 || r.Last < r.First {
			t.Fatalf("%q is %s", name, r)
		}
		want := binary.BigEndian.AppendUint16(nil, r.First)
		want = binary.LittleEndian.AppendUint16(want, uint16(r.Len()))
		if got := strings.ToLower(name); got != hexText(want) {
			t.Fatalf("%q is %s, which is named %q", name, r, hexText(want))
		}
	})
}

func hexText(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestWhatIsDocumentedOfAValueIsFoundByItsName(t *testing.T) {
	v, ok := Documented("maxuserport")
	if !ok || v.Name != MaxUserPort || v.Type != registry.DWORD || *v.Min != 5000 || *v.Max != 65534 || v.Source != "KB 196271" || v.Present {
		t.Errorf("%+v %v", v, ok)
	}
	if _, ok := Documented("MaxUserPorts"); ok {
		t.Error("a name that is not known was found")
	}
}
