package record

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/portroom/portroom/finding"
)

// remedyColumn is a remedy as finding_sample has it: the same object as in the JSON of
// portroom check.
type remedyColumn struct {
	ID      string             `json:"id"`
	Text    string             `json:"text"`
	Command string             `json:"command"`
	Set     []assignmentColumn `json:"set"`
	Gain    *gainColumn        `json:"gain"`
	Hazard  string             `json:"hazard"`
}

type assignmentColumn struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type gainColumn struct {
	From roomColumn `json:"from"`
	To   roomColumn `json:"to"`
}

type roomColumn struct {
	Capacity int     `json:"capacity"`
	Ceiling  float64 `json:"ceiling_per_second"`
}

// columnsOf writes the evidence and the remedies of a finding.
func columnsOf(f *finding.Finding) (evidence, remedies string, err error) {
	lines := f.Evidence
	if lines == nil {
		lines = []string{}
	}
	list := []remedyColumn{}
	for i := range f.Remedies {
		m := &f.Remedies[i]
		c := remedyColumn{ID: m.ID, Text: m.Text, Command: m.Command, Set: []assignmentColumn{}, Hazard: m.Hazard}
		for _, a := range m.Sets {
			c.Set = append(c.Set, assignmentColumn(a))
		}
		if g := m.Gain; g.Known() {
			c.Gain = &gainColumn{roomColumn{g.From.Capacity, g.From.CeilingPerSecond}, roomColumn{g.To.Capacity, g.To.CeilingPerSecond}}
		}
		list = append(list, c)
	}
	e, err := json.Marshal(lines)
	if err != nil {
		return "", "", err
	}
	r, err := json.Marshal(list)
	return string(e), string(r), err
}

// readColumns reads them back.
func readColumns(f *finding.Finding, severity, evidence, remedies string) error {
	at := slices.IndexFunc(severities, func(s finding.Severity) bool { return s.String() == severity })
	if at < 0 {
		return fmt.Errorf("%s has the severity %q", f.Code, severity)
	}
	f.Severity = severities[at]
	if err := json.Unmarshal([]byte(evidence), &f.Evidence); err != nil {
		return fmt.Errorf("the evidence of %s: %w", f.Code, err)
	}
	var list []remedyColumn
	if err := json.Unmarshal([]byte(remedies), &list); err != nil {
		return fmt.Errorf("the remedies of %s: %w", f.Code, err)
	}
	for _, c := range list {
		m := finding.Remedy{ID: c.ID, Text: c.Text, Command: c.Command, Hazard: c.Hazard}
		for _, a := range c.Set {
			m.Sets = append(m.Sets, finding.Assignment(a))
		}
		if g := c.Gain; g != nil {
			m.Gain = finding.Gain{From: finding.Room{Capacity: g.From.Capacity, CeilingPerSecond: g.From.Ceiling}, To: finding.Room{Capacity: g.To.Capacity, CeilingPerSecond: g.To.Ceiling}}
		}
		f.Remedies = append(f.Remedies, m)
	}
	return nil
}

var severities = []finding.Severity{finding.Info, finding.Warning, finding.Critical}

// graver orders findings as portroom check does.
func graver(a, b *finding.Finding) int {
	return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Code, b.Code))
}
