package cli

import (
	"errors"
	"testing"

	"github.com/portroom/portroom/socket"
)

// What is accepted is a key that the accounting can look up; all else is a wrong
// call, in words.
func FuzzParseRoom(f *testing.F) {
	f.Add("10.0.0.5:5432", "", "tcp")
	f.Add("[2001:db8::7]:443", "2001:db8::1", "tcp")
	f.Add("[fe80::1%eth0]:80", "", "tcp")
	f.Add("::ffff:10.0.0.5", "[::ffff:10.0.0.1]", "udp")
	f.Fuzz(func(t *testing.T, dst, from, proto string) {
		k, zone, err := parseRoom(dst, from, proto)
		if err != nil {
			var usage usageError
			if !errors.As(err, &usage) || err.Error() == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		to := k.Dst.Addr()
		switch {
		case !to.IsValid() || to.IsUnspecified() || to.Is4In6() || to.Zone() != "":
			t.Errorf("destination %v", to)
		case k.Proto == socket.TCP && k.Dst.Port() == 0:
			t.Error("port 0")
		case zone != "" && to.Is4():
			t.Errorf("zone %q of %v", zone, to)
		case k.Src.IsValid() && (k.Src.Is4() != to.Is4() || k.Src.IsUnspecified() || k.Src.Zone() != ""):
			t.Errorf("source %v for %v", k.Src, to)
		}
	})
}
