package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/record"
)

// momentJSON is the check of a moment.
type momentJSON struct {
	Asked      string               `json:"asked"`
	Time       string               `json:"time"`
	Next       string               `json:"next"`
	Recorded   bool                 `json:"recorded"`
	Status     string               `json:"status"`
	Namespaces []checkNamespaceJSON `json:"namespaces"`
	Settings   []momentSettingJSON  `json:"settings"`
}

type momentSettingJSON struct {
	Netns uint64 `json:"netns"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// historyAt prints what check would have said then.
func (a *app) historyAt(f *historyFlags, r *record.Record, sum *record.Summary) error {
	m, err := r.At(f.moment)
	if errors.Is(err, record.ErrNoSample) {
		return fmt.Errorf("nothing had been recorded by %s: the record begins at %s", f.moment.Format(time.DateTime), sum.First.Format(time.DateTime))
	}
	if err != nil {
		return err
	}
	var reports []*report
	worst := levelOK
	for i := range m.Namespaces {
		n := &m.Namespaces[i]
		if q := &f.query; q.Netns != 0 && q.Netns != n.ID || q.Label != "" && q.Label != n.Label {
			continue
		}
		rep := reportOf(f, n)
		worst = max(worst, rep.level)
		reports = append(reports, rep)
	}
	if len(reports) == 0 {
		return fmt.Errorf("there was no such namespace at %s", m.Time.Format(time.DateTime))
	}
	recorded := f.moment.Sub(m.Time) <= 3*m.Interval+2*time.Second
	if a.json {
		out := momentJSON{Asked: rfc3339(f.moment), Time: rfc3339(m.Time), Recorded: recorded, Status: worst.String(), Namespaces: []checkNamespaceJSON{}, Settings: []momentSettingJSON{}}
		if !m.Next.IsZero() {
			out.Next = rfc3339(m.Next)
		}
		for _, rep := range reports {
			out.Namespaces = append(out.Namespaces, rep.json)
		}
		for i := range m.Namespaces {
			for _, s := range m.Namespaces[i].Settings {
				out.Settings = append(out.Settings, momentSettingJSON{m.Namespaces[i].ID, s.Name, s.Value})
			}
		}
		return printJSON(a.stdout, out)
	}
	w := &lines{a: a}
	if !recorded {
		next := "; there is none after it"
		if !m.Next.IsZero() {
			next = ", the next of " + m.Next.Format(time.DateTime)
		}
		w.lead(yellow, "! ", fmt.Sprintf("nothing was recorded at %s: what follows is of the last sample before it%s", f.moment.Format(time.DateTime), next))
	}
	w.add(faint, "as it was at %s%s", m.Time.Format("2006-01-02 15:04:05.0"), onHost(sum.Host))
	if err := w.flush(); err != nil {
		return err
	}
	return a.printCheck(reports, worst, nil)
}

func onHost(name string) string {
	if name == "" {
		return ""
	}
	return " on " + clean(name)
}

func rfc3339(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z07:00") }

// reportOf is what check says of a namespace as it was.
func reportOf(f *historyFlags, n *record.Namespace) *report {
	flags := checkFlags{warn: defaultWarn, crit: defaultCrit}
	pools := n.Pools
	if f.query.Dst.IsValid() || f.query.Src.IsValid() || f.query.Proto != 0 {
		pools = nil
		for _, p := range n.Pools {
			if f.query.Wants(n.ID, n.Label, p.Key) {
				pools = append(pools, p)
			}
		}
	}
	capacity := n.Range.Len() - n.Blocked.Total
	r := &report{label: n.Label, pools: len(pools), limited: n.Limited, found: n.Findings}
	var bad []*pool.Pool
	r.level, bad = levels(pools, flags)
	if capacity <= 0 {
		r.level = levelCritical
	}
	r.verdict = verdict(bad, pools, capacity, r.level, flags)
	r.ports = rangeLine(n.Range, capacity, n.Blocked.Total)
	r.blocked = recordedBlocked(&n.Blocked)
	if n.Limited != "" {
		r.notes = append(r.notes, note{"limited", boundsLine(n.ID == 0, n.Limited)})
	}
	for i := range pools[:min(len(pools), screenPools)] {
		r.top = append(r.top, shown{severity(&pools[i], flags.warn, flags.crit), pools[i]})
	}
	r.json = checkNamespaceJSON{
		Netns: n.ID, Label: n.Label, Status: r.level.String(), Verdict: r.verdict, Range: rangeJSONOf(n.Range),
		Blocked: recordedBlockedJSON(&n.Blocked), Count: len(pools), Pools: []poolJSON{},
		Findings: jsonFindings(n.Findings), Notes: append(notesOf(n.Findings), r.notes...), Limited: n.Limited,
	}
	for i := range r.top {
		r.json.Pools = append(r.json.Pools, jsonPoolIn(n.ID, &r.top[i].pool))
	}
	return r
}

func rangeJSONOf(r port.Range) rangeJSON { return rangeJSON{r.First, r.Last, r.Len()} }

// recordedBlocked names who blocked ports.
func recordedBlocked(b *record.Blocked) (out []string) {
	for _, k := range []string{"reserved", "leftover", "out-of-reach"} {
		if n := b.Kinds[k]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, k))
		}
	}
	for i, by := range b.By {
		if i == 5 {
			out = append(out, "and others")
			break
		}
		who := "nobody known"
		if by.PID != 0 {
			who = fmt.Sprintf("%s[%d]", clean(by.Command), by.PID)
		}
		out = append(out, fmt.Sprintf("%d %s by %s", by.Ports, strings.ReplaceAll(by.Kind, "-", " "), who))
	}
	return out
}

func recordedBlockedJSON(b *record.Blocked) blockedJSON {
	j := blockedJSON{Total: b.Total, Kinds: b.Kinds, By: []blockedByJSON{}}
	if j.Kinds == nil {
		j.Kinds = make(map[string]int)
	}
	for _, by := range b.By {
		j.By = append(j.By, blockedByJSON(by))
	}
	return j
}
