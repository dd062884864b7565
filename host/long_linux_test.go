package host_test

import (
	"os"
	"testing"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// The kernel answers only the first read of ip_local_reserved_ports, with as much
// as fits: a reader with a small buffer would see 100 ports of 32,000, the last
// perhaps cut to another number.
func TestALongListOfReservedPortsIsReadWhole(t *testing.T) {
	need.Root(t)
	n, err := load.NewNetns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	for _, every := range []int{64, 16, 8, 2} {
		var want port.Set
		for p := 1; p < 65536; p += every {
			want.Add(uint16(p))
		}
		var got *host.Settings
		err := n.Do(func() (err error) {
			// Through one file descriptor: the kernel takes a long list in pieces.
			if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_reserved_ports", []byte(want.String()+"\n"), 0); err != nil {
				return err
			}
			got, err = host.Read("/")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Reserved != want {
			t.Errorf("of %d reserved ports %d were read", want.Len(), got.Reserved.Len())
		}
	}
}
