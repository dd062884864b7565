package model

import (
	"context"
	"testing"
	"time"
)

// One connection each: the default range of Linux, one destination, a rate that keeps
// it at a third.
func BenchmarkLinuxAtLowOccupancy(b *testing.B) { benchmark(b, "linux", 160, Fixed(0)) }

// Lives that differ need a heap.
func BenchmarkLinuxWithRandomLives(b *testing.B) {
	l, _ := ParseLifetime("exp:2s")
	benchmark(b, "linux", 160, l)
}

// Nearly every connect is refused.
func BenchmarkLinuxPastItsCeiling(b *testing.B) { benchmark(b, "linux", 10000, Fixed(0)) }

func BenchmarkLegacyWindows(b *testing.B) { benchmark(b, "windows-2000", 10, Fixed(0)) }

func benchmark(b *testing.B, system string, rate float64, l Lifetime) {
	b.ReportAllocs()
	_, err := Simulate(context.Background(), Run{Pool: resolve(b, system), Arrivals: Even(Steady(rate)), Lifetime: l,
		Sources: 1, Destinations: 1, Duration: time.Duration(float64(b.N) / rate * 1e9)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
}
