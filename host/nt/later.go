package nt

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/socket"
)

// later draws the conclusions for systems from Windows Vista and Server 2008 on.
func (s *Settings) later(m Machine, live *Live) error {
	waits := s.waits()
	s.TimeWaitLow, s.TimeWaitHigh = shortest(waits), longest(waits)
	if live != nil && live.ExcludedKnown {
		s.Excluded, s.ExcludedExact = live.Excluded, true
	} else if err := s.excludedOfRegistry(m); err != nil {
		return err
	}
	assumed := false
	for _, p := range Pools {
		r := Range{Proto: p.Proto, Family: p.Family, Range: DefaultDynamic}
		if live != nil {
			for _, d := range live.Dynamic {
				if d.Proto != p.Proto || d.Family != p.Family {
					continue
				}
				span, err := d.Range()
				if err != nil {
					return fmt.Errorf("dynamic range of %s over %s: %w", p.Proto, p.Family, err)
				}
				r.Range, r.Exact = span, true
			}
		}
		assumed = assumed || !r.Exact
		var taken port.Set
		for _, e := range s.Excluded {
			if e.Proto == p.Proto && e.Family == p.Family {
				taken.AddRange(port.Range{First: e.First, Last: e.Last})
			}
		}
		r.Taken = taken.LenIn(r.Range)
		if p.Proto == socket.TCP {
			free := float64(r.Len() - r.Taken)
			r.Low = free / float64(s.TimeWaitHigh)
			if s.TimeWaitLow > 0 {
				r.High = free / float64(s.TimeWaitLow)
			}
		}
		s.Ranges = append(s.Ranges, r)
	}
	if live != nil {
		s.AutoReuse = live.AutoReuse
	}
	if assumed {
		s.Notes = append(s.Notes, "the registry does not tell the dynamic port range in a documented place: "+
			"ports 49152-65535 are the default, which netsh may have changed; on the running system see netsh int ipv4 show dynamicport tcp")
	}
	return nil
}

// The modules of the network store whose parameters hold excluded ranges: known
// from the field, not documented (facts as of BigFix's forum, topic 23004). One
// list serves both families.
var excludedKeys = []struct {
	proto socket.Proto
	path  string
}{
	{socket.TCP, `Control\Nsi\{eb004a03-9b1a-11d4-9123-0050047759bc}\29`},
	{socket.UDP, `Control\Nsi\{eb004a02-9b1a-11d4-9123-0050047759bc}\5`},
}

// excludedOfRegistry reads the excluded ranges that are kept over a restart.
func (s *Settings) excludedOfRegistry(m Machine) error {
	unread := 0
	for _, k := range excludedKeys {
		values, err := readKey(m.System, registry.Join(s.ControlSet.Key, k.path))
		if err != nil {
			return fmt.Errorf("read the excluded ranges: %w", err)
		}
		var found port.Set
		for name := range values {
			if r, ok := excludedName(name); ok {
				found.AddRange(r)
			} else if name != "" {
				unread++
			}
		}
		for r := range found.Ranges() {
			for _, f := range []Family{IPv4, IPv6} {
				s.Excluded = append(s.Excluded, Excluded{Proto: k.proto, Family: f, First: r.First, Last: r.Last, Administered: true})
			}
		}
	}
	if len(s.Excluded) > 0 {
		s.Notes = append(s.Notes, "excluded ranges are read from a place that Microsoft does not document: "+
			"uncertain; those that services such as Hyper-V make at boot are not in the registry")
	}
	if unread > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d values beside the excluded ranges were not understood", unread))
	}
	return nil
}

// excludedName reads the name of a value that excludes ports: eight digits, the
// first port as it is spoken and the number of ports with its bytes turned round.
// "cc570100" is port 52311 alone.
func excludedName(name string) (port.Range, bool) {
	b, err := hex.DecodeString(strings.ToLower(name))
	if err != nil || len(b) != 4 {
		return port.Range{}, false
	}
	r, err := span(binary.BigEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:])))
	return r, err == nil && r.First > 0
}

// Untold says which of the ranges that govern a running system could not be read,
// so that what is shown in their place is only the default; nil when all were. IPv6
// may be absent from a system and is then no fault.
func (s *Settings) Untold() error {
	for _, r := range s.Ranges {
		if s.System.Era == Later && r.Family == IPv4 && !r.Exact {
			return fmt.Errorf("the dynamic port range of %s over %s could not be read from netsh", r.Proto, r.Family)
		}
	}
	if s.System.Era == Later && !s.ExcludedExact {
		return errors.New("the excluded port ranges could not be read from netsh")
	}
	return nil
}
