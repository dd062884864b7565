package nt

import (
	"fmt"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/socket"
)

// ParametersKey is the key of the TCP/IP settings below a control set.
const ParametersKey = `Services\Tcpip\Parameters`

// Settings are what a Windows system is set to, as far as it decides about source
// ports, and what follows from it.
type Settings struct {
	System     System
	ControlSet ControlSet
	// Ranges are the ephemeral ranges: one of both protocols and families on a
	// legacy system, one for each entry of [Pools] on a later one, none where the
	// era is not known.
	Ranges []Range
	// Reserved are the ports that ReservedPorts keeps out of the range of a legacy
	// system. Later systems ignore them.
	Reserved port.Set
	// Excluded are the excluded ranges of a later system; ExcludedExact says that
	// the running system told them, not its registry.
	Excluded      []Excluded
	ExcludedExact bool
	AutoReuse     *AutoReuse // nil when not known
	// TimeWait is how long a closed connection keeps its port, in seconds: equal
	// ends when that is known. Both are 0 where the era is not known.
	TimeWaitLow, TimeWaitHigh int
	RestartPending            *bool // nil when not known: only a running system tells
	Values                    []Value
	// Notes are sentences on what is uncertain here, or was not found.
	Notes []string
}

// A Range is an ephemeral range and what it gives.
type Range struct {
	// Proto and Family are 0 on a legacy system, where one range serves all.
	Proto  socket.Proto
	Family Family
	port.Range
	// Taken counts the ports of the range that are reserved or excluded.
	Taken int
	// Exact is false when the range follows from something that is not documented,
	// or when the default is assumed because the registry does not tell.
	Exact bool
	// Low and High bound the new connections a second that the range sustains when
	// this side closes at once: ports over seconds of TIME_WAIT. Both are 0 for UDP,
	// which has no TIME_WAIT; High is 0 when no upper bound is known.
	Low, High float64
}

// State is how a value stands.
type State string

// The states of a value.
const (
	Absent     State = "absent"       // the default holds
	Good       State = "ok"           // as documented
	OutOfRange State = "out-of-range" // not a documented value
	WrongType  State = "wrong-type"   // not of the documented type
	Malformed  State = "malformed"    // parts of it cannot be read
	Leftover   State = "leftover"     // this system does not go by it
)

// A Value is one setting as it was found.
type Value struct {
	Name  string
	Type  registry.Type // as found, and as documented when the value is absent
	State State
	// Present says that the value is there, whatever it is worth.
	Present bool
	// Number is the value of a REG_DWORD and Lines that of a REG_MULTI_SZ. Text is
	// how any other present value reads.
	Number *uint32
	Lines  []string
	Text   string
	// Default is what holds while the value is absent, nil when that is not one
	// number or when the sources disagree: Note says so then.
	Default *uint32
	// Effective is what the system goes by, nil when that is not one number, not
	// known, or nothing.
	Effective *uint32
	Min, Max  *uint32 // the documented range, both ends included
	Unit      string
	Meaning   string
	Source    string // the article
	Note      string // what is to be said of this value here
}

// Settings reads what the system is set to. live is what the running system told,
// nil for a registry of a system that does not run or is not at hand.
func (m Machine) Settings(live *Live) (*Settings, error) {
	set, err := m.ControlSet()
	if err != nil {
		return nil, err
	}
	system, err := m.identify(set)
	if err != nil {
		return nil, err
	}
	parameters, err := readKey(m.System, registry.Join(set.Key, ParametersKey))
	if err != nil {
		return nil, fmt.Errorf("read the TCP/IP settings: %w", err)
	}
	s := &Settings{System: system, ControlSet: set, Notes: system.Notes}
	if parameters == nil {
		s.Notes = append(s.Notes, fmt.Sprintf(`there is no key %s, so every value counts as absent`, registry.Join(set.Key, ParametersKey)))
	}
	if set.Next != 0 && set.Number != 0 && set.Next != set.Number {
		s.Notes = append(s.Notes, fmt.Sprintf(`Select\Default is %d: the next boot takes %s, not the set that is shown here`, set.Next, setName(set.Next)))
	}
	for i := range definitions {
		d := &definitions[i]
		found, present := parameters.get(d.name)
		v := d.read(found, present, system)
		if system.Era == Later {
			if !present && !d.later {
				continue // nobody looks for it there
			}
			d.governsNot(&v)
		}
		s.Values = append(s.Values, v)
	}
	if live != nil {
		s.RestartPending = live.RestartPending
		s.Notes = append(s.Notes, live.Notes...)
	}
	switch system.Era {
	case Legacy:
		s.legacy()
	case Later:
		err = s.later(m, live)
	default:
		s.Notes = append(s.Notes, "whether these values govern is not known: "+
			"up to Windows XP and Server 2003 they do, and ports 1025-5000 are ephemeral without them; "+
			"from Windows Vista and Server 2008 on netsh does, and ports 49152-65535 are the default")
	}
	return s, err
}

// Value returns a setting by name; nil when this system is not asked for it.
func (s *Settings) Value(name string) *Value {
	for i := range s.Values {
		if s.Values[i].Name == name {
			return &s.Values[i]
		}
	}
	return nil
}
