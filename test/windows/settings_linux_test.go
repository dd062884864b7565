package windows

import (
	"strings"
	"testing"

	"github.com/portroom/portroom/test/wine"
)

const parametersKey = `HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`

func TestSettingsOfARunningWindows(t *testing.T) {
	p, _ := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	record(t, p, "     49240       49249     *\r\n")
	p.Reg(t, "add", parametersKey, "/v", "MaxUserPort", "/t", "REG_DWORD", "/d", "60000", "/f")
	for version, want := range map[string][]string{
		"win2003": {"Windows Server 2003", "58976 ports are ephemeral (1025-60000), 0 of them reserved", "MaxUserPort             60000 "},
		"win7":    {"Windows 7 (6.1 build 7601, Service Pack 1, x64, ", "TCP over IPv4: 100 ports are ephemeral (49152-49251), 10 of them excluded;", "! MaxUserPort: a leftover"},
		"win10":   {"Windows 10 (10.0 build ", "TCP over IPv6: 100 ports are ephemeral (49152-49251), 0 of them excluded;", "! MaxUserPort: a leftover"},
	} {
		p.SetVersion(t, version)
		r := p.Run(t, exe, "settings")
		if r.Exit != 0 {
			t.Errorf("%s: status %d: %s", version, r.Exit, r.Stderr)
		}
		for _, w := range want {
			if !strings.Contains(r.Stdout, w) {
				t.Errorf("%s: no %q in:\n%s", version, w, r.Stdout)
			}
		}
		r = p.Run(t, exe, "settings", "--json")
		if r.Exit != 0 || !strings.Contains(r.Stdout, `"target": "local"`) || strings.Contains(r.Stdout, `"restart_pending": null`) {
			t.Errorf("%s: status %d: %s%s", version, r.Exit, r.Stdout, r.Stderr)
		}
	}
}

// What netsh does not say is not made up: the default is shown as one, and the
// exit status tells, although netsh itself ended with 0.
func TestSettingsWithASilentNetshFail(t *testing.T) {
	p, _ := host(t)
	r := p.Run(t, wine.Build(t, "../../cmd/portroom"), "settings")
	if r.Exit != 3 || r.Stderr != "portroom: the dynamic port range of tcp over ipv4 could not be read from netsh\n" ||
		!strings.Contains(r.Stdout, "16384 ports are ephemeral (49152-65535), 0 of them excluded, as far as is known") ||
		!strings.Contains(r.Stdout, "the dynamic port range of tcp over ipv4 could not be read from netsh") {
		t.Errorf("status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// The doors other than the running system are open on Windows as well.
func TestAnExportIsReadOnWindowsToo(t *testing.T) {
	p, _ := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	p.Reg(t, "add", parametersKey, "/v", "MaxUserPort", "/t", "REG_DWORD", "/d", "70000", "/f")
	p.Reg(t, "export", `HKLM\SYSTEM`, `C:\system.reg`, "/y")
	r := p.Run(t, exe, "check", "--target", `reg:C:\system.reg`)
	if r.Exit != 1 || !strings.Contains(r.Stdout, "MaxUserPort is 70000, outside 5000 to 65534") {
		t.Errorf("status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	r = p.Run(t, exe, "settings", "--target", `hive:C:\windows`)
	if r.Exit != 3 {
		t.Errorf("status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}
