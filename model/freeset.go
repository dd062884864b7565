package model

import "math/bits"

// A freeSet is a set of numbers below some n that finds the next member in a few
// steps: a bit for each, and a bit for each word that is not empty.
type freeSet struct {
	words, sums []uint64
	n, free     int
}

func newFreeSet(n int) freeSet {
	s := freeSet{n: n, words: make([]uint64, n>>6+1), sums: make([]uint64, n>>12+1)}
	for i := range n {
		s.add(i)
	}
	return s
}

func (s *freeSet) has(i int) bool { return s.words[i>>6]&(1<<(i&63)) != 0 }

// add puts i in, which must not be a member.
func (s *freeSet) add(i int) {
	s.words[i>>6] |= 1 << (i & 63)
	s.sums[i>>12] |= 1 << (i >> 6 & 63)
	s.free++
}

// remove takes i out, which must be a member.
func (s *freeSet) remove(i int) {
	s.free--
	if s.words[i>>6] &^= 1 << (i & 63); s.words[i>>6] != 0 {
		return
	}
	s.sums[i>>12] &^= 1 << (i >> 6 & 63)
}

// next returns the first member from i on, or n if there is none.
func (s *freeSet) next(i int) int {
	if i >= s.n {
		return s.n
	}
	if w := s.words[i>>6] >> (i & 63); w != 0 {
		return i + bits.TrailingZeros64(w)
	}
	i = i>>6 + 1 // the next word
	for k := i >> 6; k < len(s.sums); k++ {
		if w := s.sums[k] >> (i & 63); w != 0 {
			i += bits.TrailingZeros64(w)
			return i<<6 + bits.TrailingZeros64(s.words[i])
		}
		i = (k + 1) << 6
	}
	return s.n
}

// scan looks from start to the end below hi, then from lo up to start, as a search
// does that goes round once. looked is how many numbers it looked at.
func (s *freeSet) scan(start, lo, hi int) (found, looked int) {
	if s.free == 0 {
		return -1, hi - lo
	}
	if i := s.next(start); i < hi {
		return i, i - start + 1
	}
	if i := s.next(lo); i < start {
		return i, hi - start + i - lo + 1
	}
	return -1, hi - lo
}
