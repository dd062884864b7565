package survey

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

// What Suppose says of settings is what is measured once they are in force, in
// every pool: connections that are open and in TIME_WAIT, on ports that were chosen
// and that were bound, listeners, and UDP.
func TestWhatIsSupposedIsWhatIsMeasuredAfterTheChange(t *testing.T) {
	in, ns := place(t)
	populate(t, in, connections)
	err := in.Do(func() error {
		// In what is a new part of the range to most settings that are drawn.
		for _, p := range []int{20150, 20151, 19990} {
			l, err := listen(t.Context(), p)
			if err != nil {
				return err
			}
			keep(t, l)
		}
		u, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:20120")
		if err != nil {
			return err
		}
		keep(t, u)
		for i, from := range []int{20130, 20140, 20141, 0, 0} {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: from}}
			if from == 0 {
				d.LocalAddr = nil
			}
			c, err := d.DialContext(t.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", server))
			if err != nil {
				return err
			}
			if i%2 == 0 {
				keep(t, c)
				continue
			}
			if err := c.(io.Closer).Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	measure := func(suppose func(*host.Settings) error) (pools []pool.Pool, blocked pool.Blocked) {
		err := Each(t.Context(), Options{Namespaces: []netns.Namespace{ns}, Suppose: suppose}, func(v *View) error {
			pools, blocked = v.Pools(), v.Table.Blocked()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(pools, func(a, b pool.Pool) int {
			return strings.Compare(fmt.Sprint(a.Key), fmt.Sprint(b.Key))
		})
		return pools, blocked
	}
	compared := 0
	type change struct {
		next  port.Range
		held  port.Set
		reuse int
	}
	changes := rapid.Custom(func(r *rapid.T) (c change) {
		low := rapid.IntRange(19950, 20060).Draw(r, "first")
		c.next = port.Range{First: uint16(low), Last: uint16(rapid.IntRange(20060, 20200).Draw(r, "last"))}
		for range rapid.IntRange(0, 4).Draw(r, "reservations") {
			a := rapid.IntRange(19950, 20200).Draw(r, "reserved")
			c.held.AddRange(port.Range{First: uint16(a), Last: uint16(a + rapid.IntRange(0, 20).Draw(r, "more"))})
		}
		c.reuse = rapid.IntRange(0, 2).Draw(r, "tcp_tw_reuse")
		return c
	})
	// A fixed number of draws: each takes two measurements.
	for seed := range 25 {
		c := changes.Example(seed)
		pools, blocked := measure(func(s *host.Settings) error {
			s.Range, s.Reserved, s.TWReuse = c.next, c.held, c.reuse
			return nil
		})
		for name, value := range map[string]string{
			"ip_local_port_range": fmt.Sprintf("%d %d", c.next.First, c.next.Last), "ip_local_reserved_ports": c.held.String() + "\n", "tcp_tw_reuse": fmt.Sprint(c.reuse),
		} {
			if err := in.Sysctl("net.ipv4."+name, value); err != nil {
				t.Fatal(err)
			}
		}
		then, blockedThen := measure(nil)
		// A TIME_WAIT grows old enough to be taken over between the two.
		if c.reuse > 0 {
			for i := range pools {
				pools[i].Reusable, pools[i].Headroom, pools[i].HeadroomMax, pools[i].BindHeadroom, pools[i].BindHeadroomMax = 0, 0, 0, 0, 0
			}
			for i := range then {
				then[i].Reusable, then[i].Headroom, then[i].HeadroomMax, then[i].BindHeadroom, then[i].BindHeadroomMax = 0, 0, 0, 0, 0
			}
		}
		if d := cmp.Diff(pools, then, sameAddr); d != "" {
			t.Fatalf("supposed (-) and measured (+):\n%s", d)
		}
		if d := cmp.Diff(blocked, blockedThen); d != "" {
			t.Fatalf("blocked, supposed (-) and measured (+):\n%s", d)
		}
		compared += len(then)
	}
	if compared == 0 {
		t.Error("no draw had a pool")
	}
	t.Logf("%d pools compared", compared)
}
