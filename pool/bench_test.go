package pool

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// crowd returns n TIME_WAIT entries that go to so many destinations by turns,
// each destination's on ports of its own.
func crowd(n, destinations int) []socket.Socket {
	s := conn(socket.TimeWait, here, 0, there)
	s.Stale, s.Remaining = socket.No, 30*time.Second
	out := make([]socket.Socket, n)
	for i := range out {
		binary.BigEndian.PutUint32(s.Dst[12:], 10<<24+uint32(i%destinations))
		s.SrcPort = uint16(1024 + i/destinations%64512)
		out[i] = s
	}
	return out
}

func wide() *Table {
	return New(&host.Settings{Kernel: linux618, Range: span(1024, 65535), TWReuse: 2, TWReuseDelay: time.Second, Timestamps: 1}, true, Options{})
}

func BenchmarkAdd(b *testing.B) {
	sockets := crowd(300_000, 50)
	b.ReportAllocs()
	for b.Loop() {
		table := wide()
		for i := range sockets {
			table.Add(&sockets[i], socket.NoOwner)
		}
		if n := table.Room(Key{Proto: socket.TCP, Src: sockets[0].Src.Netip(), Dst: keyOf(here, "10.0.0.0:443", 0).Dst}, nil).Held; n != 6000 {
			b.Fatalf("%d ports held, want 6000", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(sockets)), "ns/socket")
}

func BenchmarkPools(b *testing.B) {
	table := wide()
	for _, s := range crowd(50_000, 5_000) {
		table.Add(&s, socket.NoOwner)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(table.Pools(nil)); n != 5_000 {
			b.Fatalf("%d pools, want 5000", n)
		}
	}
}
