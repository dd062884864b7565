package cli

import (
	"fmt"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// screenPools is how many pools check shows.
const screenPools = 8

// A report is what check says of one namespace, the view let go.
type report struct {
	level   level
	verdict string
	label   string
	ports   string // the line about the range
	blocked []string
	found   []finding.Finding
	notes   []note // on how this was measured, and what the event log says
	limited string
	top     []shown
	pools   int

	json checkNamespaceJSON
}

// assess judges one namespace, on a thread inside it, with what is known beside it.
func assess(v *survey.View, f checkFlags, beside facts.Options) *report {
	pools := v.Pools()
	r := &report{label: v.Namespace.Label, pools: len(pools), limited: limitText(v)}
	worst, bad := levels(pools, f)
	r.level = worst
	blocked := v.Table.Blocked()
	capacity := v.Range(socket.TCP).Len() - blocked.Total
	if capacity <= 0 {
		r.level = levelCritical
	}
	r.ports = rangeLine(v.Range(socket.TCP), capacity, blocked.Total)
	r.blocked = blockedLines(v, blocked)
	if v.Hostwide() {
		r.ports = hostwideLine(v.Range(socket.TCP), capacity, blocked.Total)
		r.blocked = append(r.blocked, otherRanges(v)...)
	}
	r.found = finding.Judge(facts.Gather(v, pools, beside))
	r.verdict = verdict(bad, pools, capacity, r.level, f)
	if c := beyondPools(r.found); c != nil && r.level < levelCritical {
		r.level, r.verdict = levelCritical, clean(c.Title)
	}
	if v.Limited != nil {
		r.notes = append(r.notes, note{"limited", boundsLine(v.Hostwide(), v.Limited.Error())})
	}
	for i := range pools[:min(len(pools), screenPools)] {
		r.top = append(r.top, shown{severity(&pools[i], f.warn, f.crit), pools[i]})
	}
	r.json = checkNamespaceJSON{
		Netns: v.Namespace.ID, Label: v.Namespace.Label, Status: r.level.String(), Verdict: r.verdict,
		Range: jsonRange(v, socket.TCP), Ranges: jsonFamilyRanges(v), Blocked: jsonBlocked(v), Count: len(pools), Pools: []poolJSON{},
		Findings: jsonFindings(r.found), Notes: append(notesOf(r.found), r.notes...), Limited: r.limited,
	}
	for i := range r.top {
		r.json.Pools = append(r.json.Pools, jsonPool(v, &r.top[i].pool))
	}
	return r
}

// beyondPools is a critical finding, the first: connects fail for another reason than
// a full pool, such as a full connection tracking table. Nil when there is none.
func beyondPools(found []finding.Finding) *finding.Finding {
	for i := range found {
		if f := &found[i]; f.Severity == finding.Critical && f.MootBy == "" {
			return f
		}
	}
	return nil
}

// levels judges pools: how bad the worst is, and which are beyond --warn.
func levels(pools []pool.Pool, f checkFlags) (worst level, bad []*pool.Pool) {
	for i := range pools {
		if l := severity(&pools[i], f.warn, f.crit); l != levelOK {
			worst = max(worst, l)
			bad = append(bad, &pools[i])
		}
	}
	return worst, bad
}

// verdict is the sentence that a person reads first.
func verdict(bad []*pool.Pool, pools []pool.Pool, capacity int, l level, f checkFlags) string {
	switch {
	case capacity <= 0:
		return "no source port is left for any destination: every port of the range is blocked"
	case l == levelOK && len(pools) == 0:
		return fmt.Sprintf("no connection holds an ephemeral port; %d are free for every destination", capacity)
	case l == levelOK:
		p := &pools[0]
		return fmt.Sprintf("no pool is held to %d%%; tightest is %s with %s left", f.warn, poolName(p.Key), left(p))
	}
	p := bad[0]
	s := fmt.Sprintf("%s has %s left, %d of %d held", poolName(p.Key), left(p), p.Held-p.Reusable, p.Capacity)
	if p.HeadroomMax == 0 {
		s = fmt.Sprintf("%s has no port left, %d of %d held", poolName(p.Key), p.Held-p.Reusable, p.Capacity)
		if p.Held == 0 {
			s = fmt.Sprintf("%s has no port left", poolName(p.Key))
		}
	}
	if n := len(bad) - 1; n > 0 {
		s += fmt.Sprintf("; %s beyond %d%% as well", count(n, "more pool"), f.warn)
	}
	return s
}
