package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/portroom/portroom/host/nt"
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
	remarks := s.Judge(f.warn, f.crit)
	worst, bad := levelOK, []nt.Remark{}
	for _, r := range remarks {
		worst = max(worst, targetLevel(r.Level))
		if r.Level != nt.Fine {
			bad = append(bad, r)
		}
	}
	verdict := targetVerdict(bad, worst)
	if a.json {
		err = printJSON(a.stdout, jsonCheckTarget(t, s, remarks, worst, verdict))
	} else {
		err = a.printCheckTarget(s, remarks, worst, verdict)
	}
	if err == nil && worst != levelOK {
		return statusError(worst)
	}
	return err
}

func targetLevel(l nt.Level) level {
	return map[nt.Level]level{nt.Fine: levelOK, nt.Warning: levelWarning, nt.Critical: levelCritical}[l]
}

// targetVerdict is the sentence that a person reads first.
func targetVerdict(bad []nt.Remark, worst level) string {
	if len(bad) == 0 {
		return "nothing is wrong with what is set; whether it is enough depends on the connections"
	}
	first := bad[0]
	for _, r := range bad {
		if targetLevel(r.Level) == worst {
			first = r
			break
		}
	}
	text := clean(first.Text)
	if n := len(bad) - 1; n > 0 {
		text += fmt.Sprintf("; %s", count(n, "more remark"))
	}
	return text
}

func jsonCheckTarget(t target.Target, s *nt.Settings, remarks []nt.Remark, worst level, verdict string) checkTargetJSON {
	j := checkTargetJSON{
		Status: worst.String(), Verdict: verdict, Target: t.String(), System: jsonSystem(&s.System),
		ControlSet: known(s.ControlSet.Number, 0), Notes: []targetNoteJSON{},
	}
	j.Ephemeral, j.Ceiling = jsonRanges(s)
	for _, r := range remarks {
		j.Notes = append(j.Notes, targetNoteJSON{r.Code, targetLevel(r.Level).String(), r.Text})
	}
	for _, n := range s.Notes {
		j.Notes = append(j.Notes, targetNoteJSON{"note", levelOK.String(), n})
	}
	return j
}

func (a *app) printCheckTarget(s *nt.Settings, remarks []nt.Remark, worst level, verdict string) error {
	w := &lines{a: a}
	w.lead(worst.sgr(), strings.ToUpper(worst.String())+"  ", verdict)
	w.text = append(w.text, "")
	w.add(bold, "%s", systemLine(s))
	for _, r := range remarks {
		if r.Level == nt.Fine {
			w.lead("", "  ", clean(r.Text))
		} else {
			w.lead(targetLevel(r.Level).sgr(), "! ", clean(r.Text))
		}
	}
	for _, n := range s.Notes {
		w.lead(faint, "  ", clean(n))
	}
	return w.flush()
}
