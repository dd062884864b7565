package cli

import (
	"math"

	"github.com/portroom/portroom/finding/errtext"
)

// explanationJSON is what explain prints of one error.
type explanationJSON struct {
	Number     int           `json:"number"`
	Name       string        `json:"name"`
	System     string        `json:"system"`
	Call       string        `json:"call"`
	Dst        string        `json:"dst"`
	Port       int           `json:"port"`
	Exhaustion string        `json:"exhaustion"`
	Measured   bool          `json:"measured"`
	Causes     []causeJSON   `json:"causes"`
	Meanings   []meaningJSON `json:"meanings"`
	Limited    string        `json:"limited"`
}

type causeJSON struct {
	Code     string  `json:"code"`
	Weight   float64 `json:"weight"`
	Ports    bool    `json:"exhausts"`
	Text     string  `json:"text"`
	Evidence string  `json:"evidence"`
	Remedy   string  `json:"remedy"`
}

type meaningJSON struct {
	System string `json:"system"`
	Number int    `json:"number"`
	Name   string `json:"name"`
	Text   string `json:"text"`
}

func (e *explainer) jsonExplanation(x *errtext.Explanation) explanationJSON {
	m := &x.Match
	j := explanationJSON{
		Number: m.Number, Name: m.Name, System: string(m.System), Call: string(m.Call), Port: int(m.Port),
		Exhaustion: string(x.Exhaustion), Measured: x.Measured, Causes: []causeJSON{}, Meanings: []meaningJSON{},
		Limited: e.limitedRemark(),
	}
	if m.Dst.IsValid() {
		j.Dst = m.Dst.String()
	}
	for i := range x.Causes {
		c := &x.Causes[i]
		j.Causes = append(j.Causes, causeJSON{c.Code, math.Round(c.Weight*1000) / 1000, errtext.Exhausts(c.Code), c.Text, c.Evidence, c.Remedy})
	}
	for _, mean := range m.Meanings() {
		j.Meanings = append(j.Meanings, meaningJSON{string(mean.System), mean.Number, mean.Name, mean.Text})
	}
	return j
}

// logJSON is what explain - prints.
type logJSON struct {
	Lines      int        `json:"lines"`
	Recognised int        `json:"recognised"`
	Others     int        `json:"others"`
	Kinds      []kindJSON `json:"kinds"`
}

type kindJSON struct {
	Count   int     `json:"count"`
	First   *string `json:"first"`
	Last    *string `json:"last"`
	Line    int     `json:"line"`
	Example string  `json:"example"`
	explanationJSON
}

func (e *explainer) jsonTally(t *errtext.Tally, explained []errtext.Explanation) error {
	j := logJSON{Lines: t.Lines, Recognised: t.Recognised, Others: t.Others, Kinds: []kindJSON{}}
	for i := range t.Kinds {
		k := &t.Kinds[i]
		r := kindJSON{Count: k.Count, Line: k.Line, Example: k.Example, explanationJSON: e.jsonExplanation(&explained[i])}
		if k.First != "" {
			r.First, r.Last = &k.First, &k.Last
		}
		j.Kinds = append(j.Kinds, r)
	}
	return printJSON(e.stdout, j)
}
