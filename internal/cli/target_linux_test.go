package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/hivex"
)

// portroom runs the real command in a folder.
func portroom(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command("portroom", args...)
	cmd.Dir = dir
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// doors are the ways to the same two hives.
var doors = []string{"hive:system", "system:.", "reg:both.reg"}

// The products of KB 196271, spelled as in its list without "Microsoft", and some
// beside them.
var products = map[string]string{
	"2000-professional":    "Windows 2000 Professional",
	"2000-server":          "Windows 2000 Server",
	"2000-advanced-server": "Windows 2000 Advanced Server",
	"xp-home":              "Windows XP Home Edition",
	"xp-professional":      "Windows XP Professional",
	"xp-media-center":      "Windows XP Media Center Edition",
	"xp-tablet-pc":         "Windows XP Tablet PC Edition",
	"2003-web":             "Windows Server 2003, Web Edition",
	"2003-standard":        "Windows Server 2003, Standard Edition",
	"2003-enterprise":      "Windows Server 2003, Enterprise Edition",
	"2003-standard-x64":    "Windows Server 2003, Standard x64 Edition",
	"2003-enterprise-x64":  "Windows Server 2003, Enterprise x64 Edition",
	"2003-datacenter-x64":  "Windows Server 2003, Datacenter x64 Edition",

	"nt4":   "Windows NT Server 4.0",
	"vista": "Windows Vista Business",
	"7":     "Windows 7 Professional",
	"10":    "Windows 10 Pro",
	"11":    "Windows 11 Pro",
	"2008":  "Windows Server 2008 Standard",
	"2022":  "Windows Server 2022 Datacenter",
}

func TestEveryProductIsToldApart(t *testing.T) {
	fixtures, err := os.ReadDir("testdata/windows")
	if err != nil || len(fixtures) != len(products) {
		t.Fatalf("%d fixtures, %v: want %d", len(fixtures), err, len(products))
	}
	for name, product := range products {
		t.Run(name, func(t *testing.T) {
			from, dir := filepath.Join("testdata/windows", name), t.TempDir()
			hivex.Fill(t, filepath.Join(dir, "system"), `HKEY_LOCAL_MACHINE\SYSTEM`, read(t, filepath.Join(from, "system.reg")))
			hivex.Fill(t, filepath.Join(dir, "software"), `HKEY_LOCAL_MACHINE\SOFTWARE`, read(t, filepath.Join(from, "software.reg")))
			exportHives(t, dir)
			for _, door := range doors {
				for file, args := range map[string][]string{
					"settings.json": {"settings", "--json"},
					"settings.txt":  {"settings"},
					"check.txt":     {"check"},
				} {
					out, problems, status := portroom(t, dir, append(args, "--target", door)...)
					if problems != "" || status > 1 || status == 1 && args[0] != "check" {
						t.Errorf("%q: status %d: %s", args, status, problems)
					}
					if file == "settings.json" && !strings.Contains(out, `"product": "`+product+`"`) {
						t.Errorf("%s: the product is not %q:\n%s", door, product, out)
					}
					golden(t, filepath.Join(from, file), strings.ReplaceAll(out, door, "hive:system"))
				}
			}
		})
	}
}

// exportHives puts both hives into one .reg file, both.reg, by hivexregedit.
func exportHives(t *testing.T, dir string) {
	t.Helper()
	text := "Windows Registry Editor Version 5.00\n"
	for _, hive := range []string{"system", "software"} {
		out := hivex.Export(t, filepath.Join(dir, hive), `HKEY_LOCAL_MACHINE\`+strings.ToUpper(hive))
		_, rest, _ := strings.Cut(out, "\n")
		text += rest
	}
	if err := os.WriteFile(filepath.Join(dir, "both.reg"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// bad is a Server 2003 with settings that are not documented ones.
const bad = `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SYSTEM\Select]
"Current"=dword:00000001

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001]

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services]

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip]

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip\Parameters]
`

func TestWhatIsWrongWithAValueIsSaid(t *testing.T) {
	software := read(t, "testdata/windows/2003-enterprise/software.reg")
	for name, c := range map[string]struct {
		values string
		status int
		want   []string
	}{
		"MaxUserPort too high":       {`"MaxUserPort"=dword:00011170`, 1, []string{"MaxUserPort is 70000, outside 5000 to 65534", "16.6 to 537.6"}},
		"MaxUserPort too low":        {`"MaxUserPort"=dword:00000bb8`, 1, []string{"MaxUserPort is 3000, below 5000", "uncertain"}},
		"MaxUserPort is text":        {`"MaxUserPort"="65534"`, 1, []string{"of type REG_SZ, where REG_DWORD is documented", "uncertain"}},
		"TcpTimedWaitDelay too low":  {`"TcpTimedWaitDelay"=dword:0000000a`, 1, []string{"TcpTimedWaitDelay is 10, below 30", "16.6 to 397.6"}},
		"TcpTimedWaitDelay is 0":     {`"TcpTimedWaitDelay"=dword:00000000`, 1, []string{"16.6 new connections a second or more"}},
		"one reserved line is wrong": {`"ReservedPorts"=hex(7):31,00,30,00,32,00,35,00,2d,00,31,00,31,00,32,00,34,00,00,00,34,00,30,00,30,00,30,00,00,00,00,00`, 1, []string{`line "4000" is no range`, "ReservedPorts take 100 of the 3976 ports"}},
		"everything is reserved":     {`"ReservedPorts"=hex(7):31,00,2d,00,36,00,35,00,35,00,33,00,35,00,00,00,00,00`, 2, []string{"CRITICAL", "none is left"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			hivex.Fill(t, filepath.Join(dir, "system"), `HKEY_LOCAL_MACHINE\SYSTEM`, bad+c.values+"\n")
			hivex.Fill(t, filepath.Join(dir, "software"), `HKEY_LOCAL_MACHINE\SOFTWARE`, software)
			exportHives(t, dir)
			for _, door := range doors {
				out, problems, status := portroom(t, dir, "check", "--target", door)
				if status != c.status || problems != "" {
					t.Errorf("%s: status %d, want %d: %s", door, status, c.status, problems)
				}
				for _, w := range c.want {
					if !strings.Contains(out, w) {
						t.Errorf("%s: no %q in:\n%s", door, w, out)
					}
				}
			}
		})
	}
}

func TestAnExportWithCurrentControlSetIsRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tcpip.reg")
	text := "Windows Registry Editor Version 5.00\r\n\r\n" +
		"[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters]\r\n\"MaxUserPort\"=dword:0000fffe\r\n\r\n" +
		"[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion]\r\n\"CurrentVersion\"=\"5.1\"\r\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, problems, status := portroom(t, dir, "settings", "--target", "reg:tcpip.reg")
	if status != 0 || !strings.Contains(out, "64510 ports are ephemeral (1025-65534)") || !strings.Contains(out, "Windows XP (5.1, CurrentControlSet)") {
		t.Errorf("status %d: %s%s", status, out, problems)
	}
	// The key alone does not tell whose it is.
	text = strings.Split(text, "[HKEY_LOCAL_MACHINE\\SOFTWARE")[0]
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, problems, status = portroom(t, dir, "check", "--target", "reg:tcpip.reg")
	if status != 1 || !strings.Contains(out, "which Windows this is cannot be told") {
		t.Errorf("status %d: %s%s", status, out, problems)
	}
}
