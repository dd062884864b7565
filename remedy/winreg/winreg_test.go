package winreg_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/winreg"
)

// system writes the registry of a product to one .reg file, with these lines added
// to the values of Tcpip\Parameters of its current control set, and opens it.
func system(t testing.TB, product string, values ...registry.Value) *host {
	t.Helper()
	f := new(regtext.File)
	for _, name := range []string{"system.reg", "software.reg"} {
		b, err := os.ReadFile(filepath.Join("../../internal/cli/testdata/windows", product, name))
		if err != nil {
			t.Fatal(err)
		}
		part, err := regtext.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		f.Keys = append(f.Keys, part.Keys...)
	}
	return fromFile(t, f, values...)
}

func fromFile(t testing.TB, f *regtext.File, values ...registry.Value) *host {
	t.Helper()
	h := &host{path: filepath.Join(t.TempDir(), "system.reg"), state: filepath.Join(t.TempDir(), "state")}
	if err := f.Write(h.path); err != nil {
		t.Fatal(err)
	}
	h.open(t)
	for _, v := range values {
		if err := h.all.Set(registry.Join(`HKEY_LOCAL_MACHINE\SYSTEM`, h.settings.ControlSet.Key, nt.ParametersKey), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.all.Flush(); err != nil {
		t.Fatal(err)
	}
	h.open(t)
	return h
}

// host is a system whose registry is a .reg file.
type host struct {
	path, state string
	all         registry.Store
	machine     nt.Machine
	settings    *nt.Settings
}

func (h *host) open(t testing.TB) {
	t.Helper()
	s, err := regtext.Open(h.path)
	if err != nil {
		t.Fatal(err)
	}
	h.all = s
	h.machine = nt.Machine{
		System:   registry.Sub(s, `HKEY_LOCAL_MACHINE\SYSTEM`),
		Software: registry.Sub(s, `HKEY_LOCAL_MACHINE\SOFTWARE`),
	}
	if h.settings, err = h.machine.Settings(nil); err != nil {
		t.Fatal(err)
	}
}

func (h *host) text(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(h.path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (h *host) driver(t testing.TB) *winreg.Driver {
	t.Helper()
	d, err := winreg.New(winreg.Source{File: h.path, Open: func() (registry.Store, error) {
		s, err := regtext.Open(h.path)
		if err != nil {
			return nil, err
		}
		return registry.Sub(s, `HKEY_LOCAL_MACHINE\SYSTEM`), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func (h *host) request(t testing.TB) (*winreg.Request, *winreg.Driver) {
	t.Helper()
	d := h.driver(t)
	return &winreg.Request{Machine: h.machine, Settings: h.settings, Driver: d}, d
}

func (h *host) journal(t testing.TB) *remedy.Journal {
	t.Helper()
	j, err := remedy.Open(remedy.Options{Dir: h.state, Files: remedy.Disk{}, Driver: func(remedy.Target) (remedy.Driver, error) { return h.driver(t), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// apply carries a plan out.
func (h *host) apply(t testing.TB, d remedy.Driver, p *remedy.Proposal) *remedy.Change {
	t.Helper()
	j := h.journal(t)
	defer j.Close()
	if _, err := j.Apply(context.Background(), d, p.Plan, nil); err != nil {
		t.Fatal(err)
	}
	return j.Last()
}

// undo takes the last change back.
func (h *host) undo(t testing.TB) []string {
	t.Helper()
	j := h.journal(t)
	defer j.Close()
	d := h.driver(t)
	p, remarks, err := j.Reverse(d, j.Last(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) > 0 {
		if _, err := j.Apply(context.Background(), d, p, nil); err != nil {
			t.Fatal(err)
		}
	}
	return remarks
}

func steps(p *remedy.Proposal) []string {
	var out []string
	for _, s := range p.Plan.Steps {
		out = append(out, s.Object+": "+s.From.String()+" → "+s.To.String())
	}
	return out
}

const parameters = `ControlSet001\Services\Tcpip\Parameters\`

func TestAPlanNamesEveryValueItChanges(t *testing.T) {
	type list = []string
	for name, c := range map[string]struct {
		product string
		there   []registry.Value
		set     list
		want    list
	}{
		"a value that is absent": {"2003-standard-x64", nil, list{"MaxUserPort=65534"}, list{parameters + `MaxUserPort: absent → "65534"`}},
		"in hexadecimal":         {"2003-standard-x64", nil, list{"maxuserport=0xFFFE"}, list{parameters + `MaxUserPort: absent → "65534"`}},
		"two values":             {"xp-home", nil, list{"MaxUserPort=5000", "TcpTimedWaitDelay=30"}, list{parameters + `MaxUserPort: absent → "5000"`, parameters + `TcpTimedWaitDelay: absent → "30"`}},
		"over another number":    {"xp-home", []registry.Value{registry.NewDWORD("MaxUserPort", 70000)}, list{"MaxUserPort=32768"}, list{parameters + `MaxUserPort: "70000" → "32768"`}},
		"as it is spelled there": {"xp-home", []registry.Value{registry.NewDWORD("MAXUSERPORT", 6000)}, list{"MaxUserPort=absent"}, list{parameters + `MAXUSERPORT: "6000" → absent`}},
		"what is so already":     {"xp-home", []registry.Value{registry.NewDWORD("MaxUserPort", 6000)}, list{"MaxUserPort=6000"}, nil},
		"what is absent already": {"xp-home", nil, list{"MaxUserPort=ABSENT"}, nil},
		"ports that touch":       {"2000-server", nil, list{"ReservedPorts=1434,4000-4010,1433"}, list{parameters + `ReservedPorts: absent → "1433-1434 4000-4010"`}},
		"away with a wrong type": {"xp-home", []registry.Value{registry.NewSZ("MaxUserPort", "5000")}, list{"MaxUserPort=absent"}, list{parameters + `MaxUserPort: "REG_SZ text 5000" → absent`}},
		"away with a leftover":   {"10", []registry.Value{registry.NewDWORD("MaxUserPort", 65534)}, list{"MaxUserPort=absent"}, list{parameters + `MaxUserPort: "65534" → absent`}},
		"in the current set":     {"2000-advanced-server", []registry.Value{registry.NewDWORD("MaxUserPort", 6000)}, list{"MaxUserPort=7000"}, list{`ControlSet002\Services\Tcpip\Parameters\MaxUserPort: "6000" → "7000"`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := system(t, c.product, c.there...)
			r, d := h.request(t)
			p, err := r.Set(c.set)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, steps(p)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if len(p.Plan.Steps) == 0 {
				if len(p.Notes) != 1 || !strings.HasSuffix(p.Notes[0], "already") {
					t.Errorf("%q", p.Notes)
				}
				return
			}
			before := h.text(t)
			h.apply(t, d, p)
			for _, s := range p.Plan.Steps {
				if now, err := h.driver(t).Read(s.Kind, s.Object); err != nil || now != s.To {
					t.Errorf("%s is %s, %v", s.Object, now, err)
				}
			}
			if h.text(t) == before {
				t.Error("the file was not changed")
			}
			h.undo(t)
			for _, s := range p.Plan.Steps {
				if now, err := h.driver(t).Read(s.Kind, s.Object); err != nil || now != s.From {
					t.Errorf("after undo %s is %s, %v", s.Object, now, err)
				}
			}
		})
	}
}

func TestAnUndoneAdditionLeavesEveryByteOfTheFile(t *testing.T) {
	h := system(t, "2003-web")
	before := h.text(t)
	r, d := h.request(t)
	p, err := r.Set([]string{"MaxUserPort=65534", "ReservedPorts=8080", "TcpTimedWaitDelay=60"})
	if err != nil {
		t.Fatal(err)
	}
	h.apply(t, d, p)
	h.undo(t)
	if after := h.text(t); after != before {
		t.Errorf("the file has %d bytes, had %d", len(after), len(before))
	}
}

func TestWhatIsNotAcceptedIsRefusedWithWhatIs(t *testing.T) {
	for name, c := range map[string]struct {
		product string
		there   []registry.Value
		set     string
		want    string
	}{
		"too low":                     {"2003-web", nil, "MaxUserPort=4999", "MaxUserPort=\"4999\": want 5000 to 65534 (0x1388 to 0xfffe) or absent, as KB 196271 documents it"},
		"too high":                    {"2003-web", nil, "MaxUserPort=65535", "want 5000 to 65534"},
		"below zero":                  {"2003-web", nil, "MaxUserPort=-1", "want 5000 to 65534"},
		"too high in hexadecimal":     {"2003-web", nil, "MaxUserPort=0x10000", "want 5000 to 65534"},
		"no number":                   {"2003-web", nil, "MaxUserPort=many", "want 5000 to 65534"},
		"nothing":                     {"2003-web", nil, "MaxUserPort=", "want 5000 to 65534"},
		"a very long number":          {"2003-web", nil, "MaxUserPort=99999999999999999999999999999999999999999999999999", "want 5000 to 65534"},
		"too short a wait":            {"xp-home", nil, "TcpTimedWaitDelay=29", "want 30 to 300 (0x1e to 0x12c) or absent, as TechNet cc938217"},
		"no port":                     {"xp-home", nil, "ReservedPorts=0", "want a list such as 1433,4000-4010"},
		"no list":                     {"xp-home", nil, "ReservedPorts=web", "KB 812873"},
		"an unknown name":             {"xp-home", nil, "MaxUserPorts=6000", "is nothing that portroom sets on Windows: want MaxUserPort, TcpTimedWaitDelay, ReservedPorts"},
		"a known name not settable":   {"xp-home", nil, "MaxFreeTcbs=6000", "is nothing that portroom sets on Windows"},
		"no assignment":               {"xp-home", nil, "MaxUserPort", "want NAME=VALUE"},
		"of Linux":                    {"xp-home", nil, "ip_local_port_range=1-2", "is a parameter of Linux, and this is Windows XP Home Edition"},
		"a range of a legacy system":  {"xp-home", nil, "dynamicport.tcp4=10240-65535", "has no dynamic port range: set MaxUserPort"},
		"a range of a hive":           {"10", nil, "dynamicport.tcp4=10240-65535", "run portroom set on that system, or netsh"},
		"sharing on a legacy system":  {"xp-home", nil, "AutoReusePortRange=off", "has no such range"},
		"sharing in a hive":           {"2022", nil, "AutoReusePortRange=off", "run portroom set on that system"},
		"text in its place":           {"2003-web", []registry.Value{registry.NewSZ("MaxUserPort", "65534")}, "MaxUserPort=65534", `MaxUserPort is of type REG_SZ ("REG_SZ text 65534"), where KB 196271 documents a REG_DWORD of 5000 to 65534: it is left as it is; portroom set MaxUserPort=absent`},
		"bytes in its place":          {"2003-web", []registry.Value{{Name: "MaxUserPort", Type: registry.Binary, Data: []byte{1, 2}}}, "MaxUserPort=65534", "is of type REG_BINARY"},
		"a number of 3 bytes":         {"2003-web", []registry.Value{{Name: "MaxUserPort", Type: registry.DWORD, Data: []byte{1, 2, 3}}}, "MaxUserPort=65534", "is of type REG_DWORD"},
		"a number in place of a list": {"2003-web", []registry.Value{registry.NewDWORD("ReservedPorts", 1)}, "ReservedPorts=1433", "KB 812873 documents a REG_MULTI_SZ:"},
	} {
		t.Run(name, func(t *testing.T) {
			h := system(t, c.product, c.there...)
			before := h.text(t)
			r, _ := h.request(t)
			p, err := r.Set([]string{c.set})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q (%v)", err, c.want, p)
			}
			if strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), ". ") > 0 {
				t.Errorf("more than one sentence: %v", err)
			}
			if h.text(t) != before {
				t.Error("the file was changed")
			}
		})
	}
}

func TestTheSameValueTwiceIsRefused(t *testing.T) {
	r, _ := system(t, "xp-home").request(t)
	_, err := r.Set([]string{"MaxUserPort=6000", "maxuserport=7000"})
	var bad *winreg.ValueError
	if !errors.As(err, &bad) || err.Error() != "MaxUserPort is given twice: want one value" {
		t.Error(err)
	}
}

func TestAValueThatTheSystemDoesNotGoByIsARisk(t *testing.T) {
	for name, c := range map[string]struct {
		product, set string
		risk         string
		note         string
	}{
		"on a later system":       {"2022", "MaxUserPort=65534", "goes by its dynamic port range, not by MaxUserPort (KB 929851)", ""},
		"reserved ports there":    {"10", "ReservedPorts=8080", "does not go by ReservedPorts (KB 812873)", ""},
		"TIME_WAIT is uncertain":  {"10", "TcpTimedWaitDelay=30", "", "whether Windows 10 Pro goes by TcpTimedWaitDelay is uncertain"},
		"but not on a legacy one": {"xp-home", "MaxUserPort=65534", "", "the system must be restarted"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := system(t, c.product).request(t)
			p, err := r.Set([]string{c.set})
			if err != nil {
				t.Fatal(err)
			}
			if c.risk == "" && len(p.Risks) > 0 || c.risk != "" && (len(p.Risks) != 1 || p.Risks[0].Name != winreg.IgnoredValue || !strings.Contains(p.Risks[0].Text, c.risk)) {
				t.Errorf("%+v", p.Risks)
			}
			if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.HasPrefix(n, c.note) }) {
				t.Errorf("%q", p.Notes)
			}
		})
	}
}

func TestAnUnknownSystemIsSetAndSaidToBeUnknown(t *testing.T) {
	f := new(regtext.File)
	f.Set(`HKEY_LOCAL_MACHINE\SYSTEM\Select`, registry.NewDWORD("Current", 1))
	f.Create(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001`)
	h := fromFile(t, f)
	before := h.text(t)
	r, d := h.request(t)
	p, err := r.Set([]string{"MaxUserPort=65534", "TcpTimedWaitDelay=30"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`ControlSet001\Services: absent → ""`, `ControlSet001\Services\Tcpip: absent → ""`, `ControlSet001\Services\Tcpip\Parameters: absent → ""`,
		parameters + `MaxUserPort: absent → "65534"`, parameters + `TcpTimedWaitDelay: absent → "30"`,
	}
	if diff := cmp.Diff(want, steps(p)); diff != "" {
		t.Fatal(diff)
	}
	if len(p.Risks) > 0 || len(p.Gains) > 0 || !strings.HasPrefix(p.Notes[0], "which Windows this is cannot be told") {
		t.Errorf("%+v", p)
	}
	h.apply(t, d, p)
	h.undo(t)
	if h.text(t) != before {
		t.Errorf("%q", h.text(t))
	}
}

func TestAKeyThatOthersUseSinceStays(t *testing.T) {
	f := new(regtext.File)
	f.Set(`HKEY_LOCAL_MACHINE\SYSTEM\Select`, registry.NewDWORD("Current", 1))
	f.Create(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip`)
	h := fromFile(t, f)
	r, d := h.request(t)
	p, err := r.Set([]string{"MaxUserPort=65534"})
	if err != nil {
		t.Fatal(err)
	}
	h.apply(t, d, p)
	h.open(t)
	const key = `ControlSet001\Services\Tcpip\Parameters`
	if err := h.machine.System.Set(key, registry.NewSZ("Hostname", "web1")); err != nil {
		t.Fatal(err)
	}
	if err := h.machine.System.Flush(); err != nil {
		t.Fatal(err)
	}
	remarks := h.undo(t)
	if len(remarks) != 1 || !strings.Contains(remarks[0], "stays, since there is more in it, such as Hostname") {
		t.Errorf("%q", remarks)
	}
	h.open(t)
	if list, err := h.machine.System.Values(key); err != nil || len(list) != 1 || list[0].Name != "Hostname" {
		t.Errorf("%v %v", list, err)
	}
}

func TestTheSetOfTheNextStartIsChangedToo(t *testing.T) {
	f := new(regtext.File)
	f.Set(`HKEY_LOCAL_MACHINE\SYSTEM\Select`, registry.NewDWORD("Current", 1))
	f.Set(`HKEY_LOCAL_MACHINE\SYSTEM\Select`, registry.NewDWORD("Default", 3))
	f.Create(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip\Parameters`)
	f.Create(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet003\Services\Tcpip\Parameters`)
	r, _ := fromFile(t, f).request(t)
	p, err := r.Set([]string{"MaxUserPort=65534"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{parameters + `MaxUserPort: absent → "65534"`, `ControlSet003\Services\Tcpip\Parameters\MaxUserPort: absent → "65534"`}
	if diff := cmp.Diff(want, steps(p)); diff != "" {
		t.Error(diff)
	}
}

func TestFixDoesWhatTheArticleSays(t *testing.T) {
	dword := registry.NewDWORD
	for name, c := range map[string]struct {
		product string
		there   []registry.Value
		fix     []string
		want    []string
		none    string
		gain    string
	}{
		"as installed":       {"2003-standard", nil, nil, []string{parameters + `MaxUserPort: absent → "65534"`}, "", "3976 → 64510, 16.6 → 268.8"},
		"as wide as it gets": {"2003-standard", []registry.Value{dword("MaxUserPort", 65534)}, nil, nil, "nothing to fix: MaxUserPort is 65534", ""},
		"too high, and too short": {"2003-standard", []registry.Value{dword("MaxUserPort", 70000), dword("TcpTimedWaitDelay", 10)}, nil,
			[]string{parameters + `MaxUserPort: "70000" → "65534"`, parameters + `TcpTimedWaitDelay: "10" → "30"`}, "", "3976 → 64510, 16.6 → 2150.3"},
		"lower than it may be": {"2003-standard", []registry.Value{dword("MaxUserPort", 20000)}, nil, []string{parameters + `MaxUserPort: "20000" → "65534"`}, "", "18976 → 64510, 79.1 → 268.8"},
		"a wait of another type": {"2003-standard", []registry.Value{dword("MaxUserPort", 65534), registry.NewSZ("TcpTimedWaitDelay", "30")}, nil,
			[]string{parameters + `TcpTimedWaitDelay: "REG_SZ text 30" → absent`}, "", ""},
		"a shorter wait by name": {"2000-professional", nil, []string{"timed-wait-delay"}, []string{parameters + `TcpTimedWaitDelay: absent → "30"`}, "", "3976 → 3976, 16.6 → 132.5"},
		"a later system":         {"2022", nil, nil, nil, "there is nothing to fix in this registry: Windows Server 2022 Datacenter goes by its dynamic port range", ""},
		"a leftover":             {"7", []registry.Value{dword("MaxUserPort", 60000)}, nil, []string{parameters + `MaxUserPort: "60000" → absent`}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := system(t, c.product)
			if c.there != nil || c.product == "2003-standard" || c.product == "7" {
				// What the fixture sets would be in the way.
				for _, v := range []string{"MaxUserPort", "TcpTimedWaitDelay", "ReservedPorts"} {
					_ = h.machine.System.Delete(strings.TrimSuffix(parameters, `\`), v)
				}
				for _, v := range c.there {
					if err := h.machine.System.Set(strings.TrimSuffix(parameters, `\`), v); err != nil {
						t.Fatal(err)
					}
				}
				if err := h.machine.System.Flush(); err != nil {
					t.Fatal(err)
				}
				h.open(t)
			}
			r, _ := h.request(t)
			if c.fix == nil { // as portroom fix does
				f := &finding.Facts{System: finding.Windows, SettingsOnly: true, Windows: &finding.WindowsFacts{Settings: r.Settings}}
				c.fix = f.Choose(finding.Judge(f), winreg.Remedies)
			}
			p, err := r.Fix(c.fix)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, steps(p)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if none := r.Nothing(); c.none != "" && !strings.HasPrefix(none, c.none) {
				t.Errorf("%q", none)
			}
			if got := gain(p); got != c.gain {
				t.Errorf("the gain is %s, want %s", got, c.gain)
			}
		})
	}
	r, _ := system(t, "xp-home").request(t)
	if _, err := r.Fix([]string{"widen-range"}); err == nil || !strings.HasPrefix(err.Error(), `"widen-range" is no remedy for Windows: want max-user-port`) {
		t.Error(err)
	}
}

// gain writes the only gain of a plan as "ports before → after, rate before → after".
func gain(p *remedy.Proposal) string {
	if len(p.Gains) != 1 {
		return strings.Repeat("?", max(0, len(p.Gains)-1))
	}
	g := p.Gains[0]
	return fmt.Sprintf("%d → %d, %.1f → %.1f", g.Before.Capacity, g.After.Capacity, g.Before.Ceiling, g.After.Ceiling)
}

// Every state turns back into the bytes that it was made of.
func TestAStateHoldsEveryByteOfAValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := registry.Value{Name: "x", Type: registry.Type(rapid.OneOf(rapid.Uint32Range(0, 12), rapid.Uint32()).Draw(t, "type"))}
		v.Data = rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 20),
			rapid.Custom(func(t *rapid.T) []byte {
				return registry.NewMultiSZ("", rapid.SliceOfN(rapid.StringN(0, 5, 10), 0, 3).Draw(t, "lines")...).Data
			}),
			rapid.Custom(func(t *rapid.T) []byte { return registry.NewSZ("", rapid.String().Draw(t, "text")).Data }),
		).Draw(t, "data")
		s := winreg.State(v)
		got, err := winreg.Value("x", s)
		if err != nil || got.Type != v.Type || string(got.Data) != string(v.Data) {
			t.Fatalf("%v of %x: %+v, %v", v.Type, v.Data, s, err)
		}
		if again := winreg.State(got); again != s {
			t.Fatalf("%+v is not %+v", again, s)
		}
	})
}
