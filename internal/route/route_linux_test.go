package route

import (
	"errors"
	"net/netip"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/load"
)

const lo = 1 // the number of the loopback device in every namespace

func TestSourceIsTheKernelsChoice(t *testing.T) {
	n := load.ForTest(t)
	source := func(dst string, oif uint32) (c Choice, err error) {
		err = n.Do(func() (err error) { c, err = Source(netip.MustParseAddr(dst), oif); return err })
		return c, err
	}
	ip := func(args ...string) {
		t.Helper()
		cmd := exec.Command("ip", args...)
		if err := n.Start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("ip %v: %v", args, err)
		}
	}
	check := func(what, dst string, oif uint32, src string, local bool) {
		t.Run(what, func(t *testing.T) {
			got, err := source(dst, oif)
			if err != nil {
				t.Fatalf("Source(%s): %v", dst, err)
			}
			if diff := cmp.Diff(Choice{netip.MustParseAddr(src), lo, local}, got, same); diff != "" {
				t.Errorf("Source(%s) (-want +got):\n%s", dst, diff)
			}
		})
	}
	none := func(what, dst string, oif uint32) {
		t.Run(what, func(t *testing.T) {
			if got, err := source(dst, oif); !errors.Is(err, ErrNoRoute) {
				t.Errorf("Source(%s) = %+v, %v, want ErrNoRoute", dst, got, err)
			}
		})
	}
	check("loopback", "127.0.0.1", 0, "127.0.0.1", true)
	check("another loopback address leaves from the first", "127.0.0.2", 0, "127.0.0.1", true)
	check("IPv6 loopback", "::1", 0, "::1", true)
	none("no route", "192.0.2.1", 0)
	none("no IPv6 route", "2001:db8::1", 0)
	none("an interface that is not there", "127.0.0.1", 4711)
	none("a subnet before it has an address", "10.77.0.9", 0)

	ip("addr", "add", "10.77.0.1/24", "dev", "lo")
	ip("addr", "add", "10.78.0.1/24", "dev", "lo")
	ip("addr", "add", "fd77::1/64", "dev", "lo", "nodad")
	// On lo the whole subnet of an IPv4 address is this host.
	check("a neighbour leaves from the address of its subnet", "10.77.0.9", 0, "10.77.0.1", true)
	check("and so in the second subnet", "10.78.0.9", 0, "10.78.0.1", true)
	check("an address of our own leaves from itself", "10.77.0.1", 0, "10.77.0.1", true)
	check("an IPv6 neighbour", "fd77::9", 0, "fd77::1", false)
	check("over a named interface", "10.77.0.9", lo, "10.77.0.1", true)
	none("still no route elsewhere", "192.0.2.1", 0)

	ip("route", "add", "192.0.2.0/24", "dev", "lo", "src", "10.78.0.1")
	ip("route", "add", "unreachable", "198.51.100.0/24")
	ip("route", "add", "prohibit", "203.0.113.0/24")
	ip("route", "add", "blackhole", "203.0.114.0/24")
	ip("route", "add", "unreachable", "2001:db8::/32")
	check("a route with a source address", "192.0.2.1", 0, "10.78.0.1", false)
	none("an unreachable route", "198.51.100.1", 0)
	none("a prohibited route", "203.0.113.1", 0)
	none("a black hole", "203.0.114.1", 0)
	none("an unreachable IPv6 route", "2001:db8::1", 0)
	check("a zone is dropped", "fd77::9%lo", lo, "fd77::1", false)
}
