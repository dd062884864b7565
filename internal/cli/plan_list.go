package cli

import (
	"strings"

	"github.com/portroom/portroom/model"
)

type profileJSON struct {
	System   string       `json:"system"`
	Title    string       `json:"title"`
	Capacity endsJSON     `json:"capacity"`
	Hold     endsJSON     `json:"hold_seconds"`
	Ceiling  endsJSON     `json:"ceiling_per_second"`
	Scope    string       `json:"scope"`
	Order    string       `json:"order"`
	Error    string       `json:"error"`
	Settings []settingOf  `json:"settings"`
	Facts    []model.Fact `json:"facts"`
}

type settingOf struct {
	Name   string `json:"name"`
	Valid  string `json:"valid"`
	Source string `json:"source"`
}

// listSystems prints all systems, or the settings of one.
func (a *app) listSystems(system string, one bool) error {
	profiles := model.Profiles()
	if one && system != thisHost {
		p, err := model.Find(system)
		if err != nil {
			return usagef("--system %w", err)
		}
		profiles = []*model.Profile{p}
	}
	all := make([]profileJSON, len(profiles))
	for i, p := range profiles {
		pool, err := p.Resolve(nil)
		if err != nil {
			return err
		}
		all[i] = jsonProfile(p, pool)
	}
	switch {
	case a.json:
		return printJSON(a.stdout, all)
	case len(all) == 1:
		return a.printSystem(&all[0])
	}
	t := &table{head: []string{"SYSTEM", "CAPACITY", "HOLD", "CEILING", "A POOL FOR EACH", "NAME"},
		right: map[int]bool{1: true, 2: true, 3: true}, drop: []string{"NAME"}}
	for _, s := range all {
		t.add("", s.System, dash(s.Capacity), dash(s.Hold)+" s", dash(s.Ceiling)+"/s", s.Scope, s.Title)
	}
	return a.writeTable(a.stdout, t)
}

// dash writes both ends where they differ.
func dash(b endsJSON) string {
	low, high := num(*b.Low), "?"
	if b.High != nil {
		high = num(*b.High)
	}
	if low == high {
		return low
	}
	return low + "-" + high
}

func jsonProfile(p *model.Profile, pool model.Pool) profileJSON {
	s := profileJSON{System: p.Name, Title: p.Title, Capacity: endsOf(pool.Capacity), Hold: endsOf(pool.Wait), Scope: pool.Scope.String(), Order: pool.Search.String(),
		Ceiling: endsOf(model.Bounds{Low: model.Ceiling(pool.Capacity.Low, pool.Wait.High), High: model.Ceiling(pool.Capacity.High, pool.Wait.Low)}),
		Error:   pool.Error, Settings: []settingOf{}, Facts: pool.Facts}
	for _, x := range p.Settings {
		s.Settings = append(s.Settings, settingOf{x.Name, x.Valid, x.Source})
	}
	return s
}

func (a *app) printSystem(s *profileJSON) error {
	w := &lines{a: a}
	w.add(bold, "%s: %s ports, held for %s s, %s/s", s.Title, dash(s.Capacity), dash(s.Hold), dash(s.Ceiling))
	w.add("", "a pool for each %s; order: %s; when empty: %s", s.Scope, s.Order, s.Error)
	if err := w.flush(); err != nil {
		return err
	}
	t := &table{head: []string{"SETTING", "ACCEPTS", "SOURCE"}, drop: []string{"SOURCE"}}
	for _, x := range s.Settings {
		t.add("", x.Name, x.Valid, x.Source)
	}
	if err := a.section(t); err != nil {
		return err
	}
	t = &table{head: []string{"FACT", "VALUE", "SOURCE"}, drop: []string{"SOURCE"}}
	for _, f := range s.Facts {
		source := f.Source
		if f.Uncertain != "" {
			source += "; UNCERTAIN: " + strings.TrimSpace(f.Uncertain)
		}
		t.add("", f.What, f.Value, source)
	}
	return a.section(t)
}
