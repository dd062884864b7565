package nt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/socket"
)

// What netsh prints, written down from its known layout: no real Windows was at
// hand.
func recorded(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata/netsh", pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	out := make(map[string][]byte)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = b
	}
	return out
}

func TestNetshIsReadInEveryLanguage(t *testing.T) {
	for name, text := range recorded(t, "dynamic-*.txt") {
		t.Run(name, func(t *testing.T) {
			got, err := ParseDynamic(text, socket.TCP, IPv4)
			if want := (DynamicRange{socket.TCP, IPv4, 49152, 16384}); got != want || err != nil {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		})
	}
	want := []Excluded{
		{socket.UDP, IPv6, 5357, 5357, false}, {socket.UDP, IPv6, 49687, 49786, false}, {socket.UDP, IPv6, 50000, 50059, true},
	}
	for name, text := range recorded(t, "excluded-*.txt") {
		t.Run(name, func(t *testing.T) {
			got, err := ParseExcluded(text, socket.UDP, IPv6)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestAnAnswerWithoutRangesMeansNone(t *testing.T) {
	for _, text := range []string{
		"\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port      \r\n----------    --------      \r\n\r\n* - Administered port exclusions.\r\n",
		"----------    --------",
	} {
		if got, err := ParseExcluded([]byte(text), socket.TCP, IPv4); len(got) != 0 || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestAnAnswerThatIsNotUnderstoodIsAnError(t *testing.T) {
	for _, text := range []string{"", "\r\n \r\n"} {
		if _, err := ParseDynamic([]byte(text), socket.TCP, IPv4); !errors.Is(err, ErrSilent) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := ParseExcluded([]byte(text), socket.TCP, IPv4); !errors.Is(err, ErrSilent) {
			t.Errorf("%q: %v", text, err)
		}
	}
	const rule = "---------\n"
	for _, text := range []string{
		"The following command was not found: int ipv4 show dynamicport tcp.\n", "49152\n16384\n", rule, rule + "Start : 49152\n",
		rule + "a : 0\nb : 10\n", rule + "a : 65536\nb : 1\n", rule + "a : 49152\nb : 16385\n", rule + "a : 49152\nb : 0\n",
		rule + "a : 1\nb : 2\nc : 3\n", rule + "a : 99999999999999999999\nb : 2\n", rule + "49152\n16384\n", rule + "x\nb : 2\n",
		strings.Repeat("x", 2<<20), "\x00\xff\xfe", rule + "a\x00: 1\nb : -2\xff\n",
	} {
		if got, err := ParseDynamic([]byte(text), socket.TCP, IPv4); err == nil {
			t.Errorf("dynamic %.40q: %+v", text, got)
		}
	}
	for _, text := range []string{
		"words\n", rule + "5 4\n", rule + "5 70000\n", rule + "-5 4\n", rule + "5\n", rule + "5 6 7\n", rule + "5 6 * *\n", rule + "5 x\n",
	} {
		if got, err := ParseExcluded([]byte(text), socket.TCP, IPv4); err == nil {
			t.Errorf("excluded %.40q: %+v", text, got)
		}
	}
}

func TestAnErrorRepeatsNoControlCharacter(t *testing.T) {
	_, err := ParseDynamic([]byte("\x1b[2J\x07caf\xe9\n"), socket.TCP, IPv4)
	if err == nil || !strings.Contains(err.Error(), `"?[2J?caf?"`) {
		t.Error(err)
	}
}

func TestNetshIsAskedInFull(t *testing.T) {
	if d := cmp.Diff([]string{"interface", "ipv6", "show", "dynamicport", "udp"}, DynamicArgs(socket.UDP, IPv6)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"interface", "ipv4", "show", "excludedportrange", "protocol=tcp"}, ExcludedArgs(socket.TCP, IPv4)); d != "" {
		t.Error(d)
	}
	wide := DynamicRange{socket.TCP, IPv4, 10240, 55296}
	if d := cmp.Diff([]string{"interface", "ipv4", "set", "dynamicport", "tcp", "start=10240", "num=55296"}, SetDynamicArgs(wide)); d != "" {
		t.Error(d)
	}
	set := ExcludedSet([]Excluded{{socket.TCP, IPv4, 10, 12, false}, {socket.UDP, IPv4, 1, 1, false}, {socket.TCP, IPv6, 2, 2, false}, {socket.TCP, IPv4, 12, 13, true}}, socket.TCP, IPv4)
	if set.String() != "10-13" {
		t.Error(set.String())
	}
}

func TestAutoReusePortRangeIsReadFromAnyTemplate(t *testing.T) {
	row := func(name, first, count string) string {
		return fmt.Sprintf(`{"SettingName":%q,"AutoReusePortRangeStartPort":%s,"AutoReusePortRangeNumberOfPorts":%s}`, name, first, count)
	}
	off, on := row("Internet", "0", "0"), row("InternetCustom", "10000", "50000")
	for name, c := range map[string]struct {
		text string
		want *AutoReuse
		err  string
	}{
		"off in all":               {text: "[" + off + "," + row("Datacenter", "0", "0") + "]", want: &AutoReuse{}},
		"on in one":                {text: "[" + off + "," + on + "," + row("Compat", "0", "0") + "]\r\n", want: &AutoReuse{10000, 50000}},
		"the same in two":          {text: "[" + on + "," + on + "]", want: &AutoReuse{10000, 50000}},
		"Automatic has none":       {text: "[" + row("Automatic", "null", "null") + "," + off + "]", want: &AutoReuse{}},
		"with a byte order mark":   {text: "\ufeff[" + off + "]", want: &AutoReuse{}},
		"two that differ":          {text: "[" + on + "," + row("DatacenterCustom", "20000", "50") + "]", err: "which governs is not known"},
		"an older system":          {text: `[{"SettingName":"Internet"}]`, err: "does not tell"},
		"no template":              {text: "[]", err: "does not tell"},
		"nothing":                  {text: " \r\n", err: "said nothing"},
		"text":                     {text: "Get-NetTCPSetting : not recognized", err: "read the answer"},
		"beyond the last port":     {text: "[" + row("X", "60000", "10000") + "]", err: "no range"},
		"a first port of 0":        {text: "[" + row("X", "0", "10") + "]", err: "want 1 to 65535"},
		"an answer without an end": {text: "[" + strings.Repeat(" ", 2<<20), err: "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseAutoReuse([]byte(c.text))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%+v, %v, want %q", got, err, c.err)
				}
				return
			}
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestAutoReusePortRangeIsSetInNamedTemplatesOnly(t *testing.T) {
	script, err := SetAutoReuseScript([]Template{{"InternetCustom", AutoReuse{10000, 50000}}, {"DatacenterCustom", AutoReuse{}}})
	want := "; Set-NetTCPSetting -SettingName InternetCustom -AutoReusePortRangeStartPort 10000 -AutoReusePortRangeNumberOfPorts 50000" +
		"; Set-NetTCPSetting -SettingName DatacenterCustom -AutoReusePortRangeStartPort 0 -AutoReusePortRangeNumberOfPorts 0"
	if err != nil || !strings.HasSuffix(script, want) {
		t.Errorf("%v: %s", err, script)
	}
	for _, name := range []string{"", "a b", "x;calc", "x'", "Größe"} {
		if s, err := SetAutoReuseScript([]Template{{Name: name}}); err == nil {
			t.Errorf("%q was taken: %s", name, s)
		}
	}
}

func FuzzNetsh(f *testing.F) {
	f.Add([]byte("-----\na : 49152\nb : 16384\n"))
	f.Add([]byte("----- -----\n 5357 5357 *\n* - x\n"))
	f.Add([]byte(`[{"SettingName":"X","AutoReusePortRangeStartPort":1,"AutoReusePortRangeNumberOfPorts":2}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := ParseDynamic(b, socket.TCP, IPv4); err == nil {
			if r, err := d.Range(); err != nil || r.First == 0 || r.Len() != d.Count {
				t.Errorf("%+v: %v", d, err)
			}
		}
		if list, err := ParseExcluded(b, socket.TCP, IPv4); err == nil {
			for _, e := range list {
				if e.First > e.Last {
					t.Errorf("%+v", e)
				}
			}
		}
		if a, err := ParseAutoReuse(b); err == nil && a.On() {
			if _, err := a.Range(); err != nil {
				t.Errorf("%+v: %v", a, err)
			}
		}
	})
}
