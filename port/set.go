package port

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// A Set is a set of ports: one bit for each, 8 KiB. The zero value is empty. It
// may be copied by assignment.
type Set struct{ words [1 << 16 / 64]uint64 }

// Add puts p into the set.
func (s *Set) Add(p uint16) { s.words[p>>6] |= 1 << (p & 63) }

// Remove takes p out of the set.
func (s *Set) Remove(p uint16) { s.words[p>>6] &^= 1 << (p & 63) }

// Contains reports whether p is in the set.
func (s *Set) Contains(p uint16) bool { return s.words[p>>6]&(1<<(p&63)) != 0 }

// AddRange puts every port of r into the set.
func (s *Set) AddRange(r Range) {
	for i, mask := range r.masks() {
		s.words[i] |= mask
	}
}

// Clip takes every port outside r out of the set.
func (s *Set) Clip(r Range) {
	first, last := int(r.First>>6), int(r.Last>>6)
	clear(s.words[:first])
	clear(s.words[last+1:])
	for i, mask := range r.masks() {
		s.words[i] &= mask
	}
}

// masks yields the words that the range touches, each with the range's bits.
func (r Range) masks() iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		first, last := int(r.First>>6), int(r.Last>>6)
		for i := first; i <= last; i++ {
			mask := ^uint64(0)
			if i == first {
				mask &= ^uint64(0) << (r.First & 63)
			}
			if i == last {
				mask &= ^uint64(0) >> (63 - r.Last&63)
			}
			if !yield(i, mask) {
				return
			}
		}
	}
}

// Len returns the number of ports in the set.
func (s *Set) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// LenIn returns how many ports of r are in the set.
func (s *Set) LenIn(r Range) int {
	n := 0
	for i, mask := range r.masks() {
		n += bits.OnesCount64(s.words[i] & mask)
	}
	return n
}

// Union adds the ports of t.
func (s *Set) Union(t *Set) {
	for i, w := range t.words {
		s.words[i] |= w
	}
}

// Subtract takes out the ports of t.
func (s *Set) Subtract(t *Set) {
	for i, w := range t.words {
		s.words[i] &^= w
	}
}

// Intersect keeps only the ports that t has too.
func (s *Set) Intersect(t *Set) {
	for i, w := range t.words {
		s.words[i] &= w
	}
}

// All yields the ports in ascending order.
func (s *Set) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(uint16(i<<6 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// Ranges yields the set as the fewest ranges, ascending.
func (s *Set) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		var r Range
		open := false
		for p := range s.All() {
			if open && int(p) == int(r.Last)+1 {
				r.Last = p
				continue
			}
			if open && !yield(r) {
				return
			}
			r, open = Range{p, p}, true
		}
		if open {
			yield(r)
		}
	}
}

// String writes the set as the kernel writes ip_local_reserved_ports, such as
// "8080,9000-9100"; the empty set is "".
func (s *Set) String() string {
	var b strings.Builder
	for r := range s.Ranges() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if r.First == r.Last {
			fmt.Fprintf(&b, "%d", r.First)
		} else {
			fmt.Fprintf(&b, "%d-%d", r.First, r.Last)
		}
	}
	return b.String()
}

// ParseSet reads a list of ports and ranges in the kernel's form,
// "8080,9000-9100". White space at either end is passed over; an empty list is
// the empty set.
func ParseSet(text string) (Set, error) {
	var s Set
	text = strings.TrimSpace(text)
	if text == "" {
		return s, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		a, err := parsePort(first)
		if err != nil {
			return Set{}, listError(item)
		}
		b, err := parsePort(last)
		if err != nil {
			return Set{}, listError(item)
		}
		if a > b {
			return Set{}, fmt.Errorf("the range %d-%d is the wrong way round: the first port must not be above the last", a, b)
		}
		s.AddRange(Range{a, b})
	}
	return s, nil
}

func listError(item string) error {
	return fmt.Errorf("%s is neither a port nor a range: want a list such as 8080,9000-9100 with numbers from 0 to 65535", quote(item))
}
