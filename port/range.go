package port

import (
	"fmt"
	"strconv"
	"strings"
)

// A Range is a range of ports with both ends in it. The zero Range holds port 0
// alone.
type Range struct{ First, Last uint16 }

// Len returns the number of ports in the range.
func (r Range) Len() int { return int(r.Last) - int(r.First) + 1 }

// Contains reports whether p is in the range.
func (r Range) Contains(p uint16) bool { return r.First <= p && p <= r.Last }

// Odd reports whether the number of ports is odd, so that both ends have the
// same parity.
func (r Range) Odd() bool { return r.Len()%2 == 1 }

// String writes the range as "32768-60999".
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// ParseRange reads a range as the kernel writes it in ip_local_port_range, two
// numbers with blanks between them, or as "32768-60999".
func ParseRange(s string) (Range, error) {
	fields := strings.Fields(s)
	if len(fields) == 1 {
		if first, last, ok := strings.Cut(fields[0], "-"); ok {
			fields = []string{first, last}
		}
	}
	if len(fields) != 2 {
		return Range{}, fmt.Errorf("%s is no range of ports: want two numbers such as 32768 60999", quote(s))
	}
	first, err := parsePort(fields[0])
	if err != nil {
		return Range{}, err
	}
	last, err := parsePort(fields[1])
	if err != nil {
		return Range{}, err
	}
	if first > last {
		return Range{}, fmt.Errorf("the range %d to %d is the wrong way round: the first port must not be above the last", first, last)
	}
	return Range{first, last}, nil
}

// parsePort reads a decimal number from 0 to 65535.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is no port: want a number from 0 to 65535", quote(s))
	}
	return uint16(n), nil
}

// quote quotes text from outside, cut to a length that fits into a sentence.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
