package survey

import (
	"errors"
	"fmt"
	"time"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// spacesOf turns the settings of a Windows host into spaces. A range that is only
// assumed is none: a number that rests on it would be a guess. IPv6 may be absent.
func spacesOf(s *nt.Settings) ([]pool.Space, error) {
	if len(s.Ranges) == 0 {
		return nil, errors.New("which Windows this is cannot be told, so neither can the ephemeral range; portroom settings shows what was found")
	}
	if err := s.Untold(); err != nil {
		return nil, fmt.Errorf("%w; portroom settings says why", err)
	}
	var list []pool.Space
	for _, r := range s.Ranges {
		if r.Proto == 0 { // of a legacy system: one range serves all
			for _, p := range nt.Pools {
				list = append(list, spaceOf(s, p.Proto, p.Family, r.Range, s.Reserved))
			}
			continue
		}
		if r.Exact {
			list = append(list, spaceOf(s, r.Proto, r.Family, r.Range, nt.ExcludedSet(s.Excluded, r.Proto, r.Family)))
		}
	}
	return list, nil
}

func spaceOf(s *nt.Settings, p socket.Proto, f nt.Family, r port.Range, excluded port.Set) pool.Space {
	space := pool.Space{
		Proto: p, IPv6: f == nt.IPv6, Range: r, Excluded: excluded,
		HoldMin: time.Duration(s.TimeWaitLow) * time.Second, HoldMax: time.Duration(s.TimeWaitHigh) * time.Second,
	}
	if p == socket.TCP && s.AutoReuse != nil && s.AutoReuse.On() {
		if shared, err := s.AutoReuse.Range(); err == nil {
			space.Shared = &shared
		}
	}
	return space
}
