package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/portroom/portroom/remedy"
)

// outcome is what became of a plan.
type outcome string

const (
	planned outcome = "planned" // nothing was changed
	nothing outcome = "nothing" // there is nothing to change
	done    outcome = "done"
)

type changeJSON struct {
	Status outcome       `json:"status"`
	Change int           `json:"change,omitempty"`
	Undoes int           `json:"undoes,omitempty"`
	Target changeTarget  `json:"target"`
	Title  string        `json:"title"`
	Steps  []stepJSON    `json:"steps"`
	Gains  []remedy.Gain `json:"gains"`
	Risks  []riskJSON    `json:"risks"`
	Notes  []string      `json:"notes"`
	Until  *time.Time    `json:"until,omitempty"`
	Backup []string      `json:"backup,omitempty"` // files
	Files  []string      `json:"files,omitempty"`  // of --emit
}

type changeTarget struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

type stepJSON struct {
	Remedy string        `json:"remedy"`
	Kind   string        `json:"kind"`
	Object string        `json:"object"`
	From   *string       `json:"from"` // null for absent
	To     *string       `json:"to"`
	Effect remedy.Effect `json:"effect"`
	Why    string        `json:"why"`
	Hazard string        `json:"hazard"`
}

type riskJSON struct {
	Name     string `json:"name"`
	Text     string `json:"text"`
	Accepted bool   `json:"accepted"`
}

func jsonState(s remedy.State) *string {
	if s.Absent {
		return nil
	}
	text := strings.ToValidUTF8(s.Data, "\uFFFD") // the journal has every byte
	return &text
}

func jsonSteps(list []remedy.Step) []stepJSON {
	out := []stepJSON{}
	for _, s := range list {
		out = append(out, stepJSON{s.Remedy, s.Kind, s.Object, jsonState(s.From), jsonState(s.To), s.Effect, s.Why, s.Hazard})
	}
	return out
}

// printProposal prints a plan and what became of it. A plan that was shown when
// it was asked for is not shown again.
func (a *app) printProposal(f *changeFlags, p *remedy.Proposal, status outcome, id int, until *time.Time) error {
	if a.json {
		j := changeJSON{
			Status: status, Change: id, Undoes: p.Plan.Undoes, Target: changeTarget{p.Plan.Target.Kind, p.Plan.Target.Name},
			Title: p.Plan.Title, Steps: jsonSteps(p.Plan.Steps), Gains: append([]remedy.Gain{}, p.Gains...),
			Risks: []riskJSON{}, Notes: append([]string{}, p.Notes...), Until: until,
		}
		if len(p.Plan.Steps) == 0 {
			j.Status = nothing
		}
		j.Files = p.Emitted
		if status == done {
			for _, b := range p.Backups {
				j.Backup = append(j.Backup, b.Path)
			}
		}
		open := refusedNames(f, p)
		for _, r := range p.Risks {
			j.Risks = append(j.Risks, riskJSON{r.Name, r.Text, !open[r.Name]})
		}
		return printJSON(a.stdout, j)
	}
	w := &lines{a: a}
	if status != done || f.yes {
		a.proposalLines(w, f, p)
	}
	for _, path := range p.Emitted {
		w.add(green, "wrote %s", clean(path))
	}
	if status == done {
		for _, b := range p.Backups {
			w.add("", "backup: %s", clean(b.Path))
		}
		verb := "done"
		if p.Plan.Undoes > 0 {
			verb = fmt.Sprintf("done: change %d is undone", p.Plan.Undoes)
		}
		line := fmt.Sprintf("change %d %s; portroom undo %d takes it back", id, verb, id)
		if p.Plan.Undoes > 0 {
			line = verb
		}
		w.add(green, "%s", line)
		if until != nil {
			w.add(yellow, "it is undone by itself at %s, unless portroom confirm is run before", until.Local().Format(time.TimeOnly))
		}
	}
	return w.flush()
}

func refusedNames(f *changeFlags, p *remedy.Proposal) map[string]bool {
	open := make(map[string]bool)
	for _, r := range p.Risks {
		open[r.Name] = true
	}
	for _, n := range f.accept {
		delete(open, n)
	}
	return open
}

// effects say in words when a step acts.
var effects = map[remedy.Effect]string{
	remedy.Now:       "now, until the next start",
	remedy.Permanent: "at each start",
	remedy.Restart:   "after a restart",
	remedy.Lasting:   "now and at each start",
}

func (a *app) proposalLines(w *lines, f *changeFlags, p *remedy.Proposal) {
	if len(p.Plan.Steps) > 0 {
		w.add(bold, "%s: %s", clean(p.Plan.Target.Name), clean(p.Plan.Title))
	}
	for _, s := range p.Plan.Steps {
		head := fmt.Sprintf("%s (%s)", clean(s.Object), effects[s.Effect])
		if s.Why != "" {
			head += ": " + clean(s.Why)
		}
		w.add("", "  %s", head)
		minus, plus := diff(s)
		for _, l := range minus {
			w.add(red, "  - %s", l)
		}
		for _, l := range plus {
			w.add(green, "  + %s", l)
		}
	}
	for _, g := range p.Gains {
		w.add("", "%s", gainLine(g))
	}
	said := make(map[string]bool)
	for _, s := range p.Plan.Steps {
		if s.Hazard != "" && !said[s.Hazard] {
			w.lead(yellow, "! ", clean(s.Hazard))
		}
		said[s.Hazard] = true
	}
	open := refusedNames(f, p)
	for _, r := range p.Risks {
		word := "accepted"
		if open[r.Name] {
			word = "--accept-risk=" + r.Name
		}
		w.lead(red, "! ", clean(r.Text)+" ("+word+")")
	}
	for _, n := range p.Notes {
		w.add("", "%s", clean(n))
	}
}

// diff returns the lines that a step takes away and those that it adds.
func diff(s remedy.Step) (minus, plus []string) {
	minus, plus = content(s.From), content(s.To)
	if s.From.Absent || s.To.Absent || len(minus)+len(plus) < 3 {
		return minus, plus
	}
	left := make(map[string]int)
	for _, l := range plus {
		left[l]++
	}
	var gone []string
	for _, l := range minus {
		if left[l] == 0 {
			gone = append(gone, l)
			continue
		}
		left[l]--
	}
	var added []string
	for _, l := range plus {
		if left[l] > 0 {
			left[l]--
			added = append(added, l)
		}
	}
	return gone, added
}

// content is a state as lines.
func content(s remedy.State) []string {
	switch {
	case s.Absent:
		return []string{"(absent)"}
	case s.Data == "":
		return []string{"(empty)"}
	}
	var out []string
	for l := range strings.Lines(s.Data) {
		out = append(out, clean(strings.TrimSuffix(l, "\n")))
	}
	return out
}

func gainLine(g remedy.Gain) string {
	s := clean(g.Pool) + ": " + roomLeft(g.Before) + " → " + roomLeft(g.After) + " more connects"
	if g.Before.Ceiling > 0 && g.After.Ceiling > 0 {
		s += fmt.Sprintf(", ceiling %s → %s", rate(g.Before.Ceiling), rate(g.After.Ceiling))
	}
	return s
}

func roomLeft(r remedy.Room) string {
	if r.Exact {
		return fmt.Sprint(r.Headroom)
	}
	return fmt.Sprintf("≥ %d", r.Headroom)
}
