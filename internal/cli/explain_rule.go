package cli

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/portroom/portroom/finding"
)

// ruleOf returns the rule with a code, nil when there is none.
func ruleOf(code string) *finding.Rule {
	all := finding.Rules()
	i := slices.IndexFunc(all, func(r finding.Rule) bool { return strings.EqualFold(r.Code, strings.TrimSpace(code)) })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// ruleJSON is what explain prints of the code of a finding.
type ruleJSON struct {
	Code     string       `json:"code"`
	Name     string       `json:"name"`
	System   string       `json:"system"`
	Severity string       `json:"severity"`
	When     string       `json:"when"`
	Remedies []string     `json:"remedies"`
	Source   string       `json:"source"`
	Measured bool         `json:"measured"`
	Found    *findingJSON `json:"found"`
	Limited  string       `json:"limited"`
}

// rule says what a rule is, and whether this host breaks it now.
func (e *explainer) rule(ctx context.Context, r *finding.Rule) error {
	if !e.noHost && (r.System == "" || string(r.System) == runtime.GOOS) {
		if err := e.look(ctx); err != nil {
			return err
		}
	}
	found := slices.DeleteFunc(slices.Clone(e.found), func(f finding.Finding) bool { return f.Code != r.Code })
	if e.json {
		j := ruleJSON{
			Code: r.Code, Name: r.Name, System: string(r.System), Severity: r.Severity, When: r.When,
			Remedies: r.Remedies, Source: r.Source, Measured: e.facts != nil, Limited: e.limitedRemark(),
		}
		if len(found) > 0 {
			j.Found = &jsonFindings(found)[0]
		}
		return printJSON(e.stdout, j)
	}
	w := &lines{a: e.app}
	w.add(bold, "%s %s", r.Code, r.Name)
	switch {
	case len(found) > 0 && found[0].MootBy != "":
		w.lead(yellow, "  ", "this host shows it now; what helps against "+found[0].MootBy+" ends it too")
	case len(found) > 0:
		w.lead(levelOf(found[0].Severity).sgr(), "  ", "this host shows it now")
	case e.facts != nil:
		w.lead(green, "  ", "this host does not show it now")
	case !e.looked && !e.noHost:
		w.lead("", "  ", fmt.Sprintf("a rule about %s: this host was not looked at", r.System.Title()))
	}
	if s := e.limitedRemark(); s != "" {
		w.lead("", "  ", s)
	}
	w.text = append(w.text, "")
	for _, row := range [][2]string{
		{"found when", r.When}, {"severity", r.Severity}, {"first remedy", strings.Join(r.Remedies, ", ")}, {"source", r.Source},
	} {
		w.lead("", "  "+row[0]+": ", row[1])
	}
	if len(found) > 0 {
		found[0].MootBy = ""
		w.text = append(w.text, "")
		w.findings(found[:1])
	}
	return w.flush()
}
