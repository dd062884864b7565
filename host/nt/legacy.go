package nt

import (
	"fmt"
	"strings"

	"github.com/portroom/portroom/port"
)

// legacy draws the conclusions for systems up to Windows XP and Server 2003: which
// ports are ephemeral, and how many connections a second they sustain.
func (s *Settings) legacy() {
	s.reserved()
	tops, exact := s.tops()
	waits := s.waits()
	s.TimeWaitLow, s.TimeWaitHigh = shortest(waits), longest(waits)
	r := Range{Range: port.Range{First: firstPort, Last: tops[0]}, Exact: exact}
	r.Taken = s.Reserved.LenIn(r.Range)
	free := r.Len() - r.Taken
	r.Low = float64(free) / float64(s.TimeWaitHigh)
	widest := port.Range{First: firstPort, Last: tops[len(tops)-1]}
	if s.TimeWaitLow > 0 {
		r.High = float64(widest.Len()-s.Reserved.LenIn(widest)) / float64(s.TimeWaitLow)
	}
	s.Ranges = []Range{r}
	s.Notes = append(s.Notes, "KB 929851 lets the range begin at 1025, KB 196271 at 1024: one port more is possible")
	if v := s.Value(MaxUserPort); v.State == Absent && !strings.HasPrefix(s.System.Release, "4.") && !strings.HasPrefix(s.System.Release, "3.") {
		s.Notes = append(s.Notes, "after the update MS08-037 of July 2008 a system without MaxUserPort may draw ports at random from 49152-65535: "+
			"uncertain whether that goes for TCP or only for the DNS client and server")
	}
}

// tops are the ports at which the range may end, lowest first, and whether that is
// documented.
func (s *Settings) tops() (list []uint16, exact bool) {
	v := s.Value(MaxUserPort)
	switch {
	case v.State == Absent:
		return []uint16{defaultMaxUserPort}, true
	case v.State == Good:
		return []uint16{uint16(*v.Number)}, true
	case v.State == OutOfRange && *v.Number > highestMaxUserPort:
		// Refused or cut to what is allowed: nothing says which.
		return []uint16{defaultMaxUserPort, highestMaxUserPort}, false
	}
	return []uint16{defaultMaxUserPort}, false
}

// waits are the seconds that TIME_WAIT may last. More than one where the sources
// disagree, or where the value is not a documented one: it may then be taken as it
// is, be cut to what is allowed, or be passed over.
func (s *Settings) waits() []int {
	v := s.Value(TcpTimedWaitDelay)
	standard := []int{timeWaitNT}
	if s.System.Era == Later || is2003(s.System) {
		standard = append(standard, timeWait2003)
	}
	if v.Number == nil {
		return standard
	}
	n := int(*v.Number)
	switch {
	case v.State == Good && s.System.Era == Legacy:
		return []int{n}
	case v.State == Good: // no article says whether it acts
		return append(standard, n)
	case n < shortestTimeWait:
		return append(standard, shortestTimeWait, n)
	}
	list := append(standard, longestTimeWait)
	// Longer than a day is no time that any timer of that stack could run.
	if n <= 86400 {
		list = append(list, n)
	}
	return list
}

func shortest(list []int) int {
	n := list[0]
	for _, v := range list {
		n = min(n, v)
	}
	return n
}

func longest(list []int) int {
	n := list[0]
	for _, v := range list {
		n = max(n, v)
	}
	return n
}

// reserved takes in ReservedPorts and says what is wrong with its lines.
func (s *Settings) reserved() {
	v := s.Value(ReservedPorts)
	if v == nil || v.Lines == nil {
		return
	}
	ranges, bad := parseReserved(v.Lines)
	for _, r := range ranges {
		s.Reserved.AddRange(r)
	}
	if bad != "" {
		v.State, v.Note = Malformed, bad
		return
	}
	if a, b, ok := adjacent(ranges); ok {
		v.Note = fmt.Sprintf("%s and %s touch: KB 812873 wants one line for both", a, b)
	}
}
