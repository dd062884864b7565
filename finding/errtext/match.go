package errtext

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/portroom/portroom/finding"
)

// A Call is the system call that failed.
type Call string

// The calls.
const (
	AnyCall Call = "" // it is not said which
	Connect Call = "connect"
	Bind    Call = "bind"
	Listen  Call = "listen"
	Open    Call = "socket"
	Accept  Call = "accept"
	Send    Call = "send"
)

// A Match is what was recognised.
type Match struct {
	Err    *Error         // nil for an event and a line of the kernel
	System finding.System // "" when it is not said
	Number int            // on that system; of an event its ID; of a status that
	Name   string         // as that system names it
	Call   Call

	Outgoing  bool           // the program was connecting to somebody
	AnyPort   bool           // bind() to port 0, or as part of a connect
	UDP       bool           // it was UDP
	IPv6      bool           // the destination is an IPv6 address
	Localhost bool           // the destination is the name localhost
	Dst       netip.AddrPort // the destination, where it is an address with a port
	Port      uint16         // the local port that was asked for by number; 0 when it is not said

	event  int
	kernel string
}

// key is what two lines have in common that are counted together: all that decides
// about causes.
func (m *Match) key() string {
	return fmt.Sprint(m.Name, m.System, m.Number, m.Call, m.AnyPort, m.UDP, m.IPv6)
}

// on returns a match of an error on a system; of "" where more than one has it.
func on(e *Error, system finding.System) Match {
	m := Match{Err: e, System: system, Name: e.NameOn(system)}
	if system != "" {
		m.Number = e.numbers[system]
	}
	return m
}

// Settle takes the error for one of a system where the line does not say of which.
func (m *Match) Settle(here finding.System) {
	if m.System != "" || m.Err == nil {
		return
	}
	if m.Err.numbers[here] == 0 {
		here = linux
	}
	m.System, m.Number, m.Name = here, m.Err.numbers[here], m.Err.NameOn(here)
}

// Lookup finds what a word names: an error number, a number in hexadecimal such as
// an NT status, a name, "event 4227", or else a message, which [Recognise]
// recognises. here is the system that a number or a name is taken for first.
func Lookup(what string, here finding.System) (Match, bool) {
	word := strings.TrimSpace(what)
	lower := strings.ToLower(word)
	if rest, ok := strings.CutPrefix(lower, "event"); ok {
		rest = strings.TrimLeft(rest, " :#id=")
		if n, err := strconv.Atoi(rest); err == nil {
			return lookupEvent(n)
		}
	}
	if n, err := strconv.ParseInt(lower, 0, 64); err == nil {
		return lookupNumber(n, here)
	}
	for _, s := range statuses {
		if strings.EqualFold(s.name, word) {
			return status(s.number), true
		}
	}
	if m, ok := lookupName(lower); ok {
		m.Settle(here)
		return m, true
	}
	m, ok := Recognise(what)
	m.Settle(here)
	return m, ok
}

func lookupName(lower string) (Match, bool) {
	for _, n := range names {
		if n.name == lower {
			return on(n.err, n.system), true
		}
	}
	return Match{}, false
}

func lookupEvent(n int) (Match, bool) {
	for _, e := range events {
		if e.number == n {
			return Match{System: windows, Number: n, Name: fmt.Sprintf("event %d", n), Outgoing: true, event: n, UDP: n == 4266}, true
		}
	}
	return Match{}, false
}

func status(number uint32) Match {
	for _, s := range statuses {
		if s.number == number {
			m := on(byName(s.err), windows)
			m.Number, m.Name = int(number), s.name
			return m
		}
	}
	return Match{}
}

func lookupNumber(n int64, here finding.System) (Match, bool) {
	if n < 0 {
		n = -n // as libuv and kernels return it
	}
	if n > 1<<31 && n <= 1<<32-1 {
		m := status(uint32(n))
		return m, m.Err != nil
	}
	if n > 70000 || n == 0 {
		return Match{}, false
	}
	for _, s := range append([]finding.System{here}, systems...) {
		if e := byNumber(int(n), s); e != nil {
			return on(e, s), true
		}
	}
	return lookupEvent(int(n))
}
