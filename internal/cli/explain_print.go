package cli

import (
	"fmt"
	"slices"

	"github.com/portroom/portroom/finding/errtext"
)

// The sentences of the verdicts.
var verdictWords = map[errtext.Verdict]string{
	errtext.Likely:   "port exhaustion is likely",
	errtext.Possible: "port exhaustion is possible",
	errtext.No:       "this is not port exhaustion",
}

var verdictColours = map[errtext.Verdict]string{errtext.Likely: red, errtext.Possible: yellow, errtext.No: green}

// matchName writes an error for people: "EADDRNOTAVAIL (99) of Linux, from connect()".
func matchName(m *errtext.Match) string {
	s := m.Name
	switch {
	case m.Number >= 1<<31:
		s += fmt.Sprintf(" (0x%X)", uint32(m.Number))
	case m.Number != 0 && s != fmt.Sprintf("event %d", m.Number):
		s += fmt.Sprintf(" (%d)", m.Number)
	}
	if m.System != "" {
		s += " of " + m.System.Title()
	}
	if m.Call != errtext.AnyCall {
		s += fmt.Sprintf(", from %s()", m.Call)
	}
	if m.UDP {
		s += " with UDP"
	}
	switch {
	case m.Port != 0:
		s += fmt.Sprintf(", of port %d", m.Port)
	case m.Dst.IsValid():
		s += ", toward " + m.Dst.String()
	}
	return s
}

func (e *explainer) printExplanation(x *errtext.Explanation) error {
	w := &lines{a: e.app}
	m := &x.Match
	w.add(bold, "%s", matchName(m))
	w.lead(verdictColours[x.Exhaustion], "  ", verdictWords[x.Exhaustion])
	if s := e.remark(x); s != "" {
		w.lead("", "  ", s)
	}
	w.text = append(w.text, "")
	for _, s := range meaningTexts(m) {
		w.lead("", "  ", s)
	}
	w.text = append(w.text, "")
	weighed := "Causes, by what they are in general"
	if x.Measured {
		weighed = "Causes, weighed by what this host shows now"
	}
	w.add(bold, "%s", weighed)
	for i := range x.Causes {
		if i == 0 || x.Causes[i].Weight >= 0.01 { // the JSON has all
			w.cause(&x.Causes[i])
		}
	}
	return w.flush()
}

// meaningTexts says what each system means by an error, those together that mean
// the same.
func meaningTexts(m *errtext.Match) []string {
	var names, texts []string
	for i, mean := range m.Meanings() {
		name := mean.System.Title()
		if mean.Number != 0 && i > 0 {
			name += fmt.Sprintf(" (%d)", mean.Number)
		}
		if at := slices.Index(texts, mean.Text); at >= 0 {
			names[at] += ", " + name
			continue
		}
		names, texts = append(names, name), append(texts, mean.Text)
	}
	for i := range texts {
		texts[i] = names[i] + ": " + texts[i]
	}
	return texts
}

// cause adds one cause: its weight, what it is, the evidence and the remedy.
func (l *lines) cause(c *errtext.Cause) {
	l.lead("", fmt.Sprintf("%4s  ", percent(c.Weight)), c.Code+" "+c.Text)
	if c.Evidence != "" {
		l.lead("", "      here: ", clean(c.Evidence))
	}
	l.lead("", "      remedy: ", clean(c.Remedy))
}

// remark is what has to be said about how this was found out, or "".
func (e *explainer) remark(x *errtext.Explanation) string {
	switch m := &x.Match; {
	case e.asked && m.System != "" && m.System != e.here:
		return fmt.Sprintf("this is said on %s, not on %s", m.System.Title(), e.here.Title())
	case e.noHost || x.Measured:
		return e.limitedRemark()
	case m.System != "" && !e.looked:
		return fmt.Sprintf("an error of %s: this host was not looked at", m.System.Title())
	}
	return e.limitedRemark()
}

func (e *explainer) limitedRemark() string {
	if e.limited == "" || e.facts == nil {
		return e.limited
	}
	return "less than all was seen: " + e.limited
}

func (e *explainer) printTally(t *errtext.Tally, explained []errtext.Explanation) error {
	w := &lines{a: e.app}
	if len(t.Kinds) == 0 {
		w.add("", "nothing was recognised in %s", count(t.Lines, "line"))
		return w.flush()
	}
	w.add(bold, "%d of %s recognised, %s of error", t.Recognised, count(t.Lines, "line"), count(len(t.Kinds), "kind"))
	if t.Others > 0 {
		w.add("", "%d more of further kinds", t.Others)
	}
	if s := e.limitedRemark(); s != "" {
		w.add("", "%s", s)
	}
	for i := range t.Kinds {
		k, x := &t.Kinds[i], &explained[i]
		w.text = append(w.text, "")
		when := ""
		switch {
		case k.First != "" && k.First != k.Last:
			when = ", " + k.First + " to " + k.Last
		case k.First != "":
			when = ", " + k.First
		}
		w.add(bold, "%s%s: %s", count(k.Count, "line"), when, matchName(&x.Match))
		w.lead(faint, "  ", fmt.Sprintf("line %d: %s", k.Line, k.Example))
		w.lead(verdictColours[x.Exhaustion], "  ", verdictWords[x.Exhaustion])
		w.cause(&x.Causes[0])
	}
	return w.flush()
}
