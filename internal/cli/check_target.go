package cli

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/target"
)

// What check says of a Windows system whose settings are at hand and whose sockets
// are not.
type checkTargetJSON struct {
	Status     string           `json:"status"`
	Verdict    string           `json:"verdict"`
	Target     string           `json:"target"`
	System     ntSystemJSON     `json:"system"`
	ControlSet *int             `json:"control_set"`
	Ephemeral  any              `json:"ephemeral"`
	Ceiling    *boundsJSON      `json:"ceiling_per_second"`
	Findings   []findingJSON    `json:"findings"`
	Notes      []targetNoteJSON `json:"notes"`
}

type targetNoteJSON struct {
	Code   string `json:"code"`
	Status string `json:"status"`
	Text   string `json:"text"`
}

// checkTarget judges the settings of a target by the thresholds of check, which
// count here the percentage of a range that is reserved or excluded.
func (a *app) checkTarget(ctx context.Context, where *targetFlags, t target.Target, f checkFlags) error {
	s, err := where.read(ctx, t)
	if err != nil {
		return err
	}
	found := finding.Judge(facts.OfTarget(s, shellWord(t.String()), facts.Options{Warn: f.warn, Crit: f.crit}))
	worst, bad := levelOK, []finding.Finding{}
	for i := range found {
		worst = max(worst, levelOf(found[i].Severity))
		if levelOf(found[i].Severity) != levelOK {
			bad = append(bad, found[i])
		}
	}
	verdict := targetVerdict(bad)
	if a.json {
		err = printJSON(a.stdout, jsonCheckTarget(t, s, found, worst, verdict))
	} else {
		err = a.printCheckTarget(s, found, worst, verdict)
	}
	if err == nil && worst != levelOK {
		return statusError(worst)
	}
	return err
}

// levelOf is what a finding means for the exit status of a target.
func levelOf(s finding.Severity) level {
	return [...]level{finding.Info: levelOK, finding.Warning: levelWarning, finding.Critical: levelCritical}[s]
}

// targetVerdict is the sentence that a person reads first; the gravest finding comes
// first.
func targetVerdict(bad []finding.Finding) string {
	if len(bad) == 0 {
		return "nothing is wrong with what is set; whether it is enough depends on the connections"
	}
	text := clean(bad[0].Title)
	if n := len(bad) - 1; n > 0 {
		text += fmt.Sprintf("; %s", count(n, "more finding"))
	}
	return text
}

// saidBy returns the finding that says what a remark says; nil when the remark is
// only a fact.
func saidBy(r nt.Remark, found []finding.Finding) *finding.Finding {
	i := slices.IndexFunc(found, func(f finding.Finding) bool { return f.Title == r.Text || slices.Contains(f.Evidence, r.Text) })
	if i < 0 {
		return nil
	}
	return &found[i]
}

// shellWord writes a text so that a shell takes it for one word.
func shellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < 0x80 && !strings.ContainsRune(safeInShell, r) }) < 0 && s != "" {
		return s
	}
	if runtime.GOOS == "windows" {
		return `"` + s + `"` // no file name has the quote itself
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

const safeInShell = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:@%+,="

func jsonCheckTarget(t target.Target, s *nt.Settings, found []finding.Finding, worst level, verdict string) checkTargetJSON {
	j := checkTargetJSON{
		Status: worst.String(), Verdict: verdict, Target: t.String(), System: jsonSystem(&s.System),
		ControlSet: known(s.ControlSet.Number, 0), Findings: jsonFindings(found), Notes: []targetNoteJSON{},
	}
	j.Ephemeral, j.Ceiling = jsonRanges(s)
	for _, r := range s.Remarks() {
		l := levelOK
		if f := saidBy(r, found); f != nil && r.Code != nt.CodeRange && r.Code != nt.CodeTimeWait {
			l = levelOf(f.Severity)
		}
		j.Notes = append(j.Notes, targetNoteJSON{r.Code, l.String(), r.Text})
	}
	for _, n := range s.Notes {
		j.Notes = append(j.Notes, targetNoteJSON{"note", levelOK.String(), n})
	}
	return j
}

func (a *app) printCheckTarget(s *nt.Settings, found []finding.Finding, worst level, verdict string) error {
	w := &lines{a: a}
	w.lead(worst.sgr(), strings.ToUpper(worst.String())+"  ", verdict)
	w.text = append(w.text, "")
	w.add(bold, "%s", systemLine(s))
	for _, r := range s.Remarks() {
		if !onScreen(r.Text, found) {
			w.lead("", "  ", clean(r.Text))
		}
	}
	w.findings(found)
	for _, n := range s.Notes {
		w.lead(faint, "  ", clean(n))
	}
	return w.flush()
}
