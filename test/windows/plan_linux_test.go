package windows

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/test/wine"
)

// plan takes the dynamic range of the host that it runs on, less what is excluded, and
// both ends of how long a port is held.
func TestThePlanIsOneForThisWindows(t *testing.T) {
	p, _ := host(t)
	exe := wine.Build(t, "../../cmd/portroom")
	record(t, p, "     49240       49249     *\r\n")
	// Windows has 255 ports at least.
	file := filepath.Join(p.Dir(), "netsh", "interface-ipv4-show-dynamicport-tcp.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), ": 100\r\n", ": 1000\r\n", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args     []string
		capacity float64
		low      float64 // of the hold, which is uncertain
	}{
		{[]string{"plan", "--rate", "10", "--json"}, 990, 120},
		{[]string{"plan", "--rate", "10", "--json", "--set", "num=2000"}, 1990, 120},
		{[]string{"plan", "--rate", "10", "--json", "--set", "TcpTimedWaitDelay=30"}, 990, 0},
	} {
		r := p.Run(t, exe, c.args...)
		var got struct {
			System, Scope string
			Capacity      float64
			Uncertain     map[string]struct{ Low, High float64 }
		}
		if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
			t.Fatalf("%v: %v\n%s%s", c.args, err, r.Stdout, r.Stderr)
		}
		if got.System != "this" || got.Scope != "host" || got.Capacity != c.capacity || got.Uncertain["hold_seconds"].Low != c.low {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	if r := p.Run(t, exe, "plan", "--rate", "10", "--hz", "250"); r.Exit != 64 || !strings.Contains(r.Stderr, "--hz is for Linux") {
		t.Errorf("--hz: status %d, %s", r.Exit, r.Stderr)
	}
}
