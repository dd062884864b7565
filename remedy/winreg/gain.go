package winreg

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/socket"
)

// gains reads the settings once more, as if the plan had been carried out.
func (r *Request) gains(p *remedy.Proposal) error {
	if r.Settings.System.Era == nt.UnknownEra {
		return nil // which ports are ephemeral is not known
	}
	m, live := r.Machine, r.Live
	m.System = supposed{m.System, p.Plan.Steps}
	if live != nil {
		l := *live
		l.Dynamic = slices.Clone(l.Dynamic)
		live = &l
		for _, s := range p.Plan.Steps {
			if s.Kind != KindDynamic {
				continue
			}
			d, err := parseDynamicState(s.Object, s.To)
			if err != nil {
				return err
			}
			for i, o := range l.Dynamic {
				if o.Proto == d.Proto && o.Family == d.Family {
					l.Dynamic[i] = d
				}
			}
		}
	}
	after, err := m.Settings(live)
	if err != nil {
		return err
	}
	for i, before := range r.Settings.Ranges {
		if i >= len(after.Ranges) {
			break
		}
		was, will := room(r.Settings, before), room(after, after.Ranges[i])
		if was == will {
			continue
		}
		who := "this whole system"
		if before.Proto != 0 {
			who = fmt.Sprintf("%s over IPv%d", strings.ToUpper(before.Proto.String()), uint8(before.Family))
		}
		p.Gains = append(p.Gains, remedy.Gain{Pool: who + ", when nothing is connected", Before: was, After: will})
	}
	return nil
}

// room is what a range gives when nothing is connected. The ceiling is the
// cautious one where the length of TIME_WAIT is not certain.
func room(s *nt.Settings, r nt.Range) remedy.Room {
	free := r.Len() - r.Taken
	out := remedy.Room{Capacity: free, Headroom: free, HeadroomMax: free, Exact: r.Exact && s.System.Era == nt.Later}
	if s.System.Era == nt.Legacy {
		out.HeadroomMax++ // port 1024: KB 196271 counts it in, KB 929851 does not
	}
	if r.Proto != socket.UDP {
		out.Ceiling = math.Round(r.Low*10) / 10
	}
	return out
}

// supposed is a registry as a plan will make it, for reading.
type supposed struct {
	registry.Store
	steps []remedy.Step
}

// Values returns the values of a key after the plan.
func (s supposed) Values(path string) ([]registry.Value, error) {
	list, err := s.Store.Values(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ours := false
	for _, step := range s.steps {
		key, name := split(step.Object)
		if step.Kind != KindValue || !strings.EqualFold(key, registry.Join(registry.Split(path)...)) {
			continue
		}
		ours = true
		list = slices.DeleteFunc(list, func(v registry.Value) bool { return strings.EqualFold(v.Name, name) })
		if !step.To.Absent {
			v, err := valueOf(name, step.To)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
	if ours {
		err = nil
	}
	return list, err
}
