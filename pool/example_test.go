package pool_test

import (
	"fmt"
	"net/netip"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// A host with ten ports: one is bound, one is held by a connection to the
// destination that is asked about.
func Example() {
	settings := &host.Settings{Range: port.Range{First: 40000, Last: 40009}}
	t := pool.New(settings, true, pool.Options{})
	t.Block(40000)

	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddrPort("10.9.9.9:443")
	t.Add(&socket.Socket{
		Proto: socket.TCP, State: socket.Listen, SrcPort: 40000,
		Src: socket.AddrOf(netip.IPv4Unspecified()),
	}, socket.NoOwner)
	t.Add(&socket.Socket{
		Proto: socket.TCP, State: socket.TimeWait, SrcPort: 40002,
		Src: socket.AddrOf(src), Dst: socket.AddrOf(dst.Addr()), DstPort: dst.Port(),
	}, socket.NoOwner)

	p := t.Room(pool.Key{Proto: socket.TCP, Src: src, Dst: dst}, nil)
	fmt.Printf("%d ports, %d blocked, %d held: room for %d more (exact: %v)\n", p.Range, p.Blocked, p.Held, p.Headroom, p.Exact())
	// Output: 10 ports, 1 blocked, 1 held: room for 8 more (exact: true)
}
