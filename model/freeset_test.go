package model

import (
	"testing"

	"pgregory.net/rapid"
)

// The set against a plain array of booleans.
func TestAScanFindsWhatAWalkFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(4000, 9000), rapid.IntRange(262000, 300000)).Draw(t, "n")
		s := newFreeSet(n)
		plain := make([]bool, n)
		// Take nearly all out, so that the empty words matter.
		keep := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 6).Draw(t, "keep")
		for _, k := range keep {
			plain[k] = true
		}
		for i, k := range plain {
			if !k {
				s.remove(i)
			}
		}
		for range 20 {
			lo := rapid.IntRange(0, n-1).Draw(t, "lo")
			hi := rapid.IntRange(lo+1, n).Draw(t, "hi")
			start := rapid.IntRange(lo, hi-1).Draw(t, "start")
			want, looked := -1, 0
			for i := start; looked < hi-lo; looked++ {
				if plain[i] {
					want = i
					looked++
					break
				}
				if i++; i == hi {
					i = lo
				}
			}
			got, cost := s.scan(start, lo, hi)
			if got != want || cost != looked {
				t.Fatalf("scan from %d in %d..%d of %v: %d after %d, want %d after %d", start, lo, hi, keep, got, cost, want, looked)
			}
		}
	})
}
