package cli

import (
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/record"
)

// historyJSON is what happened in a time.
type historyJSON struct {
	File     string               `json:"file"`
	Host     string               `json:"host"`
	Kernel   string               `json:"kernel"`
	Since    string               `json:"since"`
	Until    string               `json:"until"`
	Samples  int                  `json:"samples"`
	Gaps     []gapJSON            `json:"gaps"`
	Refused  int                  `json:"refused"`
	Count    int                  `json:"pool_count"`
	Pools    []historyPoolJSON    `json:"pools"`
	Refusals []historyRefusalJSON `json:"refusals"`
	Changes  []historyChangeJSON  `json:"changes"`
	Findings []historyFindingJSON `json:"findings"`
	Events   []historyEventJSON   `json:"events"`
}

type gapJSON struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type historyPoolJSON struct {
	Label   string      `json:"label"`
	Refused int         `json:"refused"`
	PeakAt  string      `json:"peak_time"`
	Peak    poolJSON    `json:"peak"`
	Spells  []spellJSON `json:"spells"`
	Points  []pointJSON `json:"points"`
}

type spellJSON struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Empty bool   `json:"empty"`
	Open  bool   `json:"open"`
}

type pointJSON struct {
	Time     string `json:"time"`
	Held     int    `json:"held"`
	Capacity int    `json:"capacity"`
	Headroom int    `json:"headroom"`
	TimeWait int    `json:"time_wait"`
	Refused  int    `json:"refused"`
}

// historyRefusalJSON is a refusal in the form that watch prints.
type historyRefusalJSON struct {
	Time    string `json:"time"`
	Netns   uint64 `json:"netns"`
	Proto   string `json:"proto"`
	Src     string `json:"src"`
	Dst     string `json:"dst"`
	PID     int    `json:"pid"`
	Command string `json:"command"`
	Cgroup  string `json:"cgroup"`
	Errno   string `json:"errno"`
	Count   int    `json:"count"`
	Reason  string `json:"reason"`
}

type historyChangeJSON struct {
	Time   string `json:"time"`
	Netns  uint64 `json:"netns"`
	Name   string `json:"name"`
	Before string `json:"before"`
	Value  string `json:"value"`
}

type historyFindingJSON struct {
	Netns uint64 `json:"netns"`
	From  string `json:"from"`
	To    string `json:"to"`
	Open  bool   `json:"open"`
	findingJSON
}

type historyEventJSON struct {
	Time string `json:"time"`
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func jsonHistory(file string, sum *record.Summary, s *record.Story) historyJSON {
	j := historyJSON{
		File: file, Host: sum.Host, Kernel: sum.Kernel, Since: rfc3339(s.Since), Until: rfc3339(s.Until), Samples: s.Samples,
		Gaps: []gapJSON{}, Refused: s.Refused, Count: len(s.Pools) + s.Others,
		Pools: []historyPoolJSON{}, Refusals: jsonRefusals(s), Changes: []historyChangeJSON{}, Findings: []historyFindingJSON{}, Events: []historyEventJSON{},
	}
	for _, g := range s.Gaps {
		j.Gaps = append(j.Gaps, gapJSON{rfc3339(g.From), rfc3339(g.To)})
	}
	for i := range s.Pools {
		p := &s.Pools[i]
		peak := jsonPoolIn(p.Netns, &p.Peak)
		h := historyPoolJSON{Label: p.Label, Refused: p.Refused, PeakAt: optionalTime(p.PeakAt), Peak: peak, Spells: []spellJSON{}, Points: []pointJSON{}}
		for _, sp := range p.Spells {
			h.Spells = append(h.Spells, spellJSON{rfc3339(sp.From), rfc3339(sp.To), sp.Empty, sp.Open})
		}
		for _, q := range p.Points {
			if q.Present || q.Refused > 0 {
				h.Points = append(h.Points, pointJSON{rfc3339(q.Time), q.Taken, q.Capacity, q.Headroom, q.TimeWait, q.Refused})
			}
		}
		j.Pools = append(j.Pools, h)
	}
	for _, c := range s.Changes {
		j.Changes = append(j.Changes, historyChangeJSON{rfc3339(c.Time), c.Netns, c.Name, c.Before, c.Value})
	}
	for i := range s.Findings {
		f := &s.Findings[i]
		j.Findings = append(j.Findings, historyFindingJSON{f.Netns, rfc3339(f.From), rfc3339(f.To), f.Open, jsonFindings([]finding.Finding{f.Finding})[0]})
	}
	for _, e := range s.Events {
		j.Events = append(j.Events, historyEventJSON{rfc3339(e.Time), e.Kind, e.Text})
	}
	return j
}

func optionalTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rfc3339(t)
}

func jsonRefusals(s *record.Story) []historyRefusalJSON {
	list := []historyRefusalJSON{}
	for i := range s.Refusals {
		r := &s.Refusals[i]
		list = append(list, historyRefusalJSON{
			rfc3339(r.Time), r.Netns, r.Key.Proto.String(), r.Key.Src.String(), dstText(r.Key),
			r.Process.PID, r.Process.Command, r.Process.Cgroup, r.Errno, r.Count, r.Reason,
		})
	}
	return list
}

func (a *app) printRefusalsJSON(s *record.Story) error {
	list := jsonRefusals(s)
	return printJSONArray(a.stdout, len(list), func(i int) any { return list[i] })
}

// refusalSum is how often one process was refused by one pool, in all.
type refusalSum struct {
	netns       uint64
	label       string
	key         pool.Key
	process     record.Process
	reason      string
	first, last time.Time
	count       int
}

// sumRefusals adds up the refusals of each process and pool, in the order of their
// first.
func sumRefusals(s *record.Story) []*refusalSum {
	type name struct {
		netns   uint64
		key     pool.Key
		process record.Process
		reason  string
	}
	byName := make(map[name]*refusalSum)
	var list []*refusalSum
	for i := range s.Refusals {
		r := &s.Refusals[i]
		n := name{r.Netns, r.Key, r.Process, r.Reason}
		sum := byName[n]
		if sum == nil {
			sum = &refusalSum{netns: r.Netns, label: r.Label, key: r.Key, process: r.Process, reason: r.Reason, first: r.Time}
			byName[n] = sum
			list = append(list, sum)
		}
		sum.last = r.Time
		sum.count += r.Count
	}
	return list
}
