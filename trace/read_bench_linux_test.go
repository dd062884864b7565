package trace_test

import (
	"net/netip"
	"testing"

	"github.com/portroom/portroom/trace"
)

// The bench of test/bench has a limit for it: 10 ms.
func BenchmarkRead5000Flows(b *testing.B) {
	tr, err := trace.Start(b.Context(), trace.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer tr.Close()
	for i := range 5000 {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 1)
		if err := connectOnce(to); err == nil {
			b.Fatalf("somebody listens on %s", to)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.Read(); err != nil {
			b.Fatal(err)
		}
	}
}
