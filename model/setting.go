package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/port"
)

// Setting is something that a system lets one change.
type Setting struct {
	Name   string
	Valid  string // what is accepted, in words
	Source string
	apply  func(*Pool, string) error
}

// Profile is one system.
type Profile struct {
	Name     string
	Title    string
	Settings []Setting

	base   func() Pool
	finish func(*Pool) error // settings that act on one another
}

// Assignment is one setting with its new value.
type Assignment struct{ Name, Value string }

// ParseAssignment reads "MaxUserPort=65534".
func ParseAssignment(s string) (Assignment, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" || value == "" {
		return Assignment{}, fmt.Errorf("%q sets nothing: want NAME=VALUE such as MaxUserPort=65534", s)
	}
	return Assignment{strings.TrimPrefix(name, "net.ipv4."), value}, nil
}

// Resolve applies settings to the profile. A setting that the system has not, or a
// value that it does not accept, is an error in one sentence that says what is
// accepted.
func (p *Profile) Resolve(set []Assignment) (Pool, error) {
	pool := p.base()
	pool.System, pool.Title = p.Name, p.Title
	seen := make(map[string]string)
	for _, a := range set {
		// ip_local_port_range is one setting and IP_LOCAL_PORT_RANGE another.
		i := slices.IndexFunc(p.Settings, func(s Setting) bool { return s.Name == a.Name })
		if i < 0 {
			i = slices.IndexFunc(p.Settings, func(s Setting) bool { return strings.EqualFold(s.Name, a.Name) })
		}
		if i < 0 {
			return Pool{}, fmt.Errorf("%s has no setting %q: %s", p.Name, a.Name, p.has())
		}
		s := p.Settings[i]
		if before, ok := seen[s.Name]; ok && before != a.Value {
			return Pool{}, fmt.Errorf("%s is set to %s and to %s: want one of the two", s.Name, before, a.Value)
		}
		seen[s.Name] = a.Value
		if err := s.apply(&pool, a.Value); err != nil {
			return Pool{}, fmt.Errorf("%s=%s: %w: want %s", s.Name, a.Value, err, s.Valid)
		}
		pool.fact(s.Name, a.Value, s.Source, "")
	}
	if p.finish != nil {
		if err := p.finish(&pool); err != nil {
			return Pool{}, err
		}
	}
	if pool.Capacity.Low < 1 {
		return Pool{}, fmt.Errorf("%s: no port is left: %s", p.Name, "leave at least one port of the range free")
	}
	return pool, nil
}

// Has reports whether the system has a setting of this name.
func (p *Profile) Has(name string) bool {
	return slices.ContainsFunc(p.Settings, func(s Setting) bool { return s.Name == name })
}

func (p *Profile) has() string {
	if len(p.Settings) == 0 {
		return "nothing of it can be set"
	}
	names := make([]string, len(p.Settings))
	for i, s := range p.Settings {
		names[i] = s.Name
	}
	return "it has " + strings.Join(names, ", ")
}

// Block takes so many ports of the capacity away: listeners and explicit binds,
// which cost one port each.
func (p *Pool) Block(n int) error {
	if n < 0 || float64(n) >= p.Capacity.Low {
		return fmt.Errorf("%d blocked ports of %s: want 0 to %d", n, p.Capacity, int(p.Capacity.Low)-1)
	}
	p.Capacity.Low -= float64(n)
	p.Capacity.High -= float64(n)
	return nil
}

func (p *Pool) fact(what, value, source, uncertain string) {
	// A setting takes the place of the default.
	p.drop(what)
	p.Facts = append(p.Facts, Fact{what, value, source, uncertain})
}

func (p *Pool) drop(what string) {
	p.Facts = slices.DeleteFunc(p.Facts, func(f Fact) bool { return f.What == what })
}

// whole reads a whole number within bounds.
func whole(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", s)
	}
	if n < low || n > high {
		return 0, fmt.Errorf("%d is out of bounds", n)
	}
	return n, nil
}

// setRange sets the ephemeral range, ports first to last.
func (p *Pool) setRange(first, last int) {
	p.Range = port.Range{First: uint16(first), Last: uint16(last)}
	p.Capacity = exactly(float64(p.Range.Len() - p.Reserved.LenIn(p.Range)))
}

// rangeSetting is a range written 1024-65535 or "1024 65535".
func rangeSetting(name string, lowest int, source string) Setting {
	return Setting{name, fmt.Sprintf("two ports FIRST-LAST with %d ≤ FIRST ≤ LAST ≤ 65535", lowest), source,
		func(p *Pool, s string) error {
			r, err := port.ParseRange(s)
			if err != nil {
				return err
			}
			if int(r.First) < lowest {
				return fmt.Errorf("%d is below the lowest port", r.First)
			}
			p.setRange(int(r.First), int(r.Last))
			return nil
		}}
}

// oneEnd sets the first or the last port of the range.
func oneEnd(name string, lowest int, last bool, source string) Setting {
	return Setting{name, fmt.Sprintf("a port from %d to 65535", lowest), source, func(p *Pool, s string) error {
		n, err := whole(s, lowest, 65535)
		if err != nil {
			return err
		}
		if last {
			p.Range.Last = uint16(n)
		} else {
			p.Range.First = uint16(n)
		}
		return nil
	}}
}

// endsAgree makes a capacity of two ends that were set one by one.
func endsAgree(p *Pool) error {
	if p.Range.First > p.Range.Last {
		return fmt.Errorf("the range %d to %d ends before it starts: want FIRST ≤ LAST", p.Range.First, p.Range.Last)
	}
	p.setRange(int(p.Range.First), int(p.Range.Last))
	return nil
}

// waitSetting sets Wait, in units of so many seconds.
func waitSetting(name string, low, high int, unit float64, words, source string) Setting {
	return Setting{name, fmt.Sprintf("%d to %d %s", low, high, words), source, func(p *Pool, s string) error {
		n, err := whole(s, low, high)
		if err != nil {
			return err
		}
		p.Wait = exactly(float64(n) * unit)
		return nil
	}}
}

// countSetting sets the number of ports of a product.
func countSetting(name string, low, high int, source string) Setting {
	return Setting{name, fmt.Sprintf("%d to %d", low, high), source, func(p *Pool, s string) error {
		n, err := whole(s, low, high)
		if err != nil {
			return err
		}
		p.Capacity = exactly(float64(n))
		return nil
	}}
}
