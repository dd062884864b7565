package nt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portroom/portroom/port"
)

// parseReserved reads the lines of ReservedPorts, each "first-last", a single port
// as "4000-4000" (KB 812873). Lines that are not of that form are left out, and a
// sentence says which; "" when there is none.
func parseReserved(lines []string) (ranges []port.Range, bad string) {
	wrong, first := 0, ""
	for _, line := range lines {
		r, err := parseReservedLine(line)
		if err != nil {
			if wrong++; wrong == 1 {
				first = err.Error()
			}
			continue
		}
		ranges = append(ranges, r)
	}
	switch {
	case wrong == 1:
		bad = first
	case wrong > 1:
		bad = fmt.Sprintf("%s; and %d more lines", first, wrong-1)
	}
	return ranges, bad
}

func parseReservedLine(line string) (port.Range, error) {
	a, b, dash := strings.Cut(line, "-")
	fail := func(why string) (port.Range, error) {
		return port.Range{}, fmt.Errorf("line %q %s: want first-last such as 4000-4010, and 4000-4000 for one port", shorten(line), why)
	}
	if !dash {
		return fail("is no range, and it is not documented that the system reads it")
	}
	r, err := port.ParseRange(strings.TrimSpace(a) + "-" + strings.TrimSpace(b))
	if err != nil || r.First == 0 {
		return fail("is no range of ports")
	}
	return r, nil
}

// adjacent returns two ranges without a port between them.
func adjacent(ranges []port.Range) (a, b port.Range, ok bool) {
	sorted := slices.SortedFunc(slices.Values(ranges), func(x, y port.Range) int { return int(x.First) - int(y.First) })
	for i := 1; i < len(sorted); i++ {
		if int(sorted[i-1].Last)+1 == int(sorted[i].First) {
			return sorted[i-1], sorted[i], true
		}
	}
	return a, b, false
}
