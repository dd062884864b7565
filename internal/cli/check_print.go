package cli

import (
	"fmt"
	"strings"

	"github.com/portroom/portroom/finding"
)

func (a *app) printCheck(reports []*report, worst level, events *eventsJSON) error {
	if a.json {
		out := checkJSON{Status: worst.String(), Namespaces: []checkNamespaceJSON{}, Events: events}
		for _, r := range reports {
			out.Namespaces = append(out.Namespaces, r.json)
		}
		return printJSON(a.stdout, out)
	}
	if len(reports) == 1 {
		return a.printReport(reports[0], "")
	}
	// Many namespaces: all that are in trouble, and one line for the rest.
	fine := 0
	for _, r := range reports {
		if r.level == levelOK {
			fine++
			continue
		}
		label := r.label
		if label == "" {
			label = "this namespace"
		}
		if err := a.printReport(r, label); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(a.stdout); err != nil {
			return err
		}
	}
	w := &lines{a: a}
	pools := 0
	for _, r := range reports {
		pools += r.pools
	}
	if fine == len(reports) {
		w.lead(green, "OK  ", fmt.Sprintf("%s, %s: none is running out of ports", count(len(reports), "namespace"), count(pools, "pool")))
	} else {
		w.add("", "%d of %s fine", fine, count(len(reports), "namespace"))
	}
	for _, r := range reports {
		if r.limited != "" {
			w.add(faint, "%s", boundsLine(false, r.limited))
			break
		}
	}
	return w.flush()
}

func (a *app) printReport(r *report, label string) error {
	w := &lines{a: a}
	verdict := r.verdict
	if label != "" {
		verdict = clean(label) + ": " + verdict
	}
	w.lead(r.level.sgr(), strings.ToUpper(r.level.String())+"  ", verdict)
	quiet := r.level == levelOK && len(r.found)+len(r.notes) == 0
	if len(r.top) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
		top := r.top
		switch {
		case quiet:
			top = top[:min(len(top), 3)]
		case len(r.found) > 0: // they take the place on the screen
			top = top[:min(len(top), 5)]
		}
		if _, err := fmt.Fprintln(a.stdout); err != nil {
			return err
		}
		if err := a.writeTable(a.stdout, poolTable(top)); err != nil {
			return err
		}
		if n := r.pools - len(top); n > 0 {
			w.add(faint, "… and %s (portroom pools shows all)", count(n, "more pool"))
		}
		w.text = append(w.text, "")
	}
	w.add("", "%s", r.ports)
	for _, b := range r.blocked {
		w.add("", "  %s", b)
	}
	w.findings(r.found)
	for _, n := range r.notes {
		w.lead(yellow, "! ", n.Text)
	}
	return w.flush()
}

// screenFindings is how many findings are shown with evidence and remedy; of the
// others there is the title, so that all of them stay on one screen.
const screenFindings = 3

// findings adds what is wrong and what helps, but for what is moot.
func (l *lines) findings(found []finding.Finding) {
	for i := range found {
		f := &found[i]
		if f.MootBy != "" {
			break // the others are moot too
		}
		lead, sgr := "! ", yellow
		switch f.Severity {
		case finding.Critical:
			sgr = red
		case finding.Info:
			lead, sgr = "- ", faint
		}
		l.lead(sgr, lead, clean(f.Code+" "+f.Title))
		if i >= screenFindings {
			continue
		}
		if len(f.Evidence) > 0 {
			l.lead("", "  ", clean(f.Evidence[0]))
		}
		if len(f.Remedies) > 0 {
			l.lead(bold, "  remedy: ", clean(remedyText(&f.Remedies[0])))
		}
	}
}

// onScreen reports whether findings says this sentence.
func onScreen(text string, found []finding.Finding) bool {
	for i := range found {
		f := &found[i]
		if f.MootBy == "" && (f.Title == text || i < screenFindings && len(f.Evidence) > 0 && f.Evidence[0] == text) {
			return true
		}
	}
	return false
}

// remedyText writes a remedy with its gain here and the command that does it.
func remedyText(m *finding.Remedy) string {
	s := m.Text
	if g := m.Gain.String(); g != "" {
		s += ": " + g
	}
	if m.Command != "" {
		s += " (" + m.Command + ")"
	}
	return s
}
