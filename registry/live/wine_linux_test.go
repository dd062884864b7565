package live

import (
	"strings"
	"testing"

	"github.com/portroom/portroom/test/wine"
)

func TestUnderWine(t *testing.T) {
	wine.New(t).Passes(t,
		"TestALiveRegistryBehavesAsARegistry/HKEY_CURRENT_USER",
		"TestALiveRegistryBehavesAsARegistry/HKEY_LOCAL_MACHINE",
		"TestWhatTheAccessListForbidsIsAnErrPermission",
		"TestATypeWithoutANameIsKept",
	)
}

func TestWineSeesWhatWeSee(t *testing.T) {
	p := wine.New(t)
	reg := wine.Build(t, "./testdata/reg")
	const key = `SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`
	for name, c := range map[string]struct {
		typ, data string // as reg(1) has it
		number    string // of the type, in hexadecimal
		bytes     string
	}{
		"MaxUserPort":   {"REG_DWORD", "0xfffe", "4", "feff0000"},
		"Domain name":   {"REG_SZ", "example", "1", "6500780061006d0070006c0065000000"},
		"Path":          {"REG_EXPAND_SZ", "%a%", "2", "2500610025000000"},
		"ReservedPorts": {"REG_MULTI_SZ", `1-2\03-4`, "7", "31002d00320000003300" + "2d00340000000000"},
		"Bytes":         {"REG_BINARY", "00FF10", "3", "00ff10"},
		"Quad":          {"REG_QWORD", "0x100000001", "b", "0100000001000000"},
	} {
		t.Run(name, func(t *testing.T) {
			line := func() string { return strings.Join(strings.Fields(p.Reg(t, "query", `HKLM\`+key, "/v", name)), " ") }
			want := strings.Join([]string{name, c.typ, c.data}, " ")
			if c.typ == "REG_QWORD" {
				want = name + " " + c.typ // Wine 8 shows no numbers of this type
			}
			p.Must(t, reg, "set", key, name, c.number, c.bytes)
			if got := line(); !strings.Contains(got, want) {
				t.Errorf("we set it, reg sees %q, want %q", got, want)
			}
			p.Must(t, reg, "delete", key, name)
			if r := p.Run(t, "reg", "query", `HKLM\`+key, "/v", name); r.Exit == 0 {
				t.Errorf("we deleted it, reg sees %q", r.Stdout)
			}
			if r := p.Run(t, reg, "get", key, name); r.Exit != 1 || !strings.Contains(r.Stderr, "does not exist") {
				t.Errorf("an absent value: status %d, %q", r.Exit, r.Stderr)
			}
			p.Reg(t, "add", `HKLM\`+key, "/v", name, "/t", c.typ, "/d", c.data, "/f")
			if got, want := p.Must(t, reg, "get", key, name), c.typ+" "+c.bytes+"\n"; got != want {
				t.Errorf("reg set it, we see %q, want %q", got, want)
			}
		})
	}
}
