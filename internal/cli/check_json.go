package cli

import "github.com/portroom/portroom/finding"

type checkJSON struct {
	Status     string               `json:"status"`
	Namespaces []checkNamespaceJSON `json:"namespaces"`
	Events     *eventsJSON          `json:"events,omitempty"`
}

type checkNamespaceJSON struct {
	Netns    uint64            `json:"netns"`
	Label    string            `json:"label"`
	Status   string            `json:"status"`
	Verdict  string            `json:"verdict"`
	Range    rangeJSON         `json:"range"`
	Ranges   []familyRangeJSON `json:"ranges,omitempty"`
	Blocked  blockedJSON       `json:"blocked"`
	Count    int               `json:"pool_count"`
	Pools    []poolJSON        `json:"pools"`
	Findings []findingJSON     `json:"findings"`
	Notes    []note            `json:"notes"`
	Limited  string            `json:"limited"`
}

// note is a remark with a stable code.
type note struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// add adds a remark to the text and to the JSON.
func (r *report) add(n note) {
	r.notes = append(r.notes, n)
	r.json.Notes = append(r.json.Notes, n)
}

// noteCodes are the notes that findings were before there were findings; scripts
// read them.
var noteCodes = map[string]string{
	"PR103": "past-knee", "PR107": "bound-before-connect", "PR108": "bind-exhausted", "PR111": "odd-range",
}

func notesOf(found []finding.Finding) []note {
	out := []note{}
	for i := range found {
		if code, ok := noteCodes[found[i].Code]; ok {
			out = append(out, note{code, found[i].Title})
		}
	}
	return out
}

type findingJSON struct {
	Code     string       `json:"code"`
	Name     string       `json:"name"`
	Severity string       `json:"severity"`
	Title    string       `json:"title"`
	Evidence []string     `json:"evidence"`
	Remedies []remedyJSON `json:"remedies"`
	MootBy   string       `json:"moot_by"`
}

type remedyJSON struct {
	ID      string           `json:"id"`
	Text    string           `json:"text"`
	Command string           `json:"command"`
	Set     []assignmentJSON `json:"set"`
	Gain    *gainJSON        `json:"gain"` // null when it cannot be computed
	Hazard  string           `json:"hazard"`
}

type assignmentJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type gainJSON struct {
	From roomJSON `json:"from"`
	To   roomJSON `json:"to"`
}

type roomJSON struct {
	Capacity int     `json:"capacity"`
	Ceiling  float64 `json:"ceiling_per_second"`
}

func jsonFindings(found []finding.Finding) []findingJSON {
	out := make([]findingJSON, 0, len(found))
	for i := range found {
		f := &found[i]
		j := findingJSON{
			Code: f.Code, Name: f.Name, Severity: f.Severity.String(), Title: f.Title,
			Evidence: append([]string{}, f.Evidence...), Remedies: []remedyJSON{}, MootBy: f.MootBy,
		}
		for k := range f.Remedies {
			j.Remedies = append(j.Remedies, jsonRemedy(&f.Remedies[k]))
		}
		out = append(out, j)
	}
	return out
}

func jsonRemedy(m *finding.Remedy) remedyJSON {
	j := remedyJSON{ID: m.ID, Text: m.Text, Command: m.Command, Set: []assignmentJSON{}, Hazard: m.Hazard}
	for _, a := range m.Sets {
		j.Set = append(j.Set, assignmentJSON(a))
	}
	if m.Gain.Known() {
		j.Gain = &gainJSON{jsonRoom(m.Gain.From), jsonRoom(m.Gain.To)}
	}
	return j
}

func jsonRoom(r finding.Room) roomJSON { return roomJSON{r.Capacity, round1(r.CeilingPerSecond)} }
