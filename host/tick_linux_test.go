package host

import (
	"bufio"
	"compress/gzip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// The kernel's own configuration is the judge.
func TestTheTickRateIsThatOfTheKernelsConfiguration(t *testing.T) {
	f, err := os.Open("/proc/config.gz")
	need.That(t, err == nil, "/proc/config.gz", "a kernel with CONFIG_IKCONFIG_PROC")
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(z); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "CONFIG_HZ="); ok {
			if got := strconv.Itoa(TickRate()); got != v {
				t.Errorf("%s ticks a second, the kernel was configured for %s", got, v)
			}
			return
		}
	}
	t.Error("no CONFIG_HZ in /proc/config.gz")
}
