package cli

import (
	"math"

	"github.com/portroom/portroom/model"
)

// The JSON of plan. Fields that may be endless are null where they are.
type planJSON struct {
	System       string              `json:"system"`
	Title        string              `json:"title"`
	LimitedBy    string              `json:"limited_by"`
	Rate         *float64            `json:"rate_per_second"`
	Goal         *float64            `json:"goal_per_second"`
	KeepAlive    int                 `json:"keepalive"`
	Connects     float64             `json:"connects_per_second"`
	Lifetime     float64             `json:"lifetime_seconds"`
	Closes       string              `json:"closes"`
	Sources      int                 `json:"sources"`
	Destinations int                 `json:"destinations"`
	Scope        string              `json:"scope"`
	Pools        int                 `json:"pools"`
	Capacity     float64             `json:"capacity"`
	Hold         float64             `json:"hold_seconds"`
	Ceiling      *float64            `json:"ceiling_per_second"`
	Safe         *float64            `json:"safe_per_second"`
	Occupancy    float64             `json:"occupancy"`
	Sustainable  bool                `json:"sustainable"`
	FirstFailure *float64            `json:"first_failure_seconds"`
	Refused      float64             `json:"refused_share"`
	Knee         float64             `json:"knee,omitempty"`
	PastKnee     bool                `json:"past_knee"`
	Error        string              `json:"error"`
	Growth       []growthJSON        `json:"growth"`
	Remedies     []leverJSON         `json:"remedies"`
	Smallest     *leverJSON          `json:"smallest_change"`
	Needs        *needsJSON          `json:"needs,omitempty"`
	Uncertain    map[string]endsJSON `json:"uncertain"`
	Facts        []model.Fact        `json:"facts"`
	Notes        []string            `json:"notes"`
	Host         *limitJSON          `json:"system_alone,omitempty"`
	SNAT         *limitJSON          `json:"snat,omitempty"`
}

type endsJSON struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

// limitJSON is one of the two that limit a load where a NAT is on the way.
type limitJSON struct {
	Capacity     float64  `json:"capacity"`
	Hold         float64  `json:"hold_seconds"`
	Ceiling      *float64 `json:"ceiling_per_second"`
	Sustainable  bool     `json:"sustainable"`
	FirstFailure *float64 `json:"first_failure_seconds"`
}

type growthJSON struct {
	Case         string              `json:"case"`
	Assumes      string              `json:"assumes"`
	FirstFailure *float64            `json:"first_failure_seconds"`
	Uncertain    map[string]endsJSON `json:"uncertain"`
}

type leverJSON struct {
	Change       string   `json:"change"`
	Ceiling      *float64 `json:"ceiling_per_second"`
	Hazard       string   `json:"hazard"`
	Least        string   `json:"least"`
	LeastCeiling *float64 `json:"least_ceiling_per_second"`
}

type needsJSON struct {
	Ports        *float64 `json:"ports"`
	Hold         *float64 `json:"hold_seconds"`
	Sources      *float64 `json:"sources"`
	Destinations *float64 `json:"destinations"`
	KeepAlive    *float64 `json:"keepalive"`
}

// finite rounds, and is nil for what has no end.
func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	v = model.Round(v)
	return &v
}

// above is nil for 0, which stands for none.
func above(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return finite(v)
}

func endsOf(b model.Bounds) endsJSON { return endsJSON{finite(b.Low), finite(b.High)} }

func jsonEnds(all map[string]model.Bounds) map[string]endsJSON {
	out := make(map[string]endsJSON)
	for name, b := range all {
		if !b.Certain() {
			out[name] = endsOf(b)
		}
	}
	return out
}

func jsonPlan(p *answer) planJSON {
	a := p.answer
	q := &a.Question
	j := planJSON{
		System: p.host.Question.Pool.System, Title: p.host.Question.Pool.Title, LimitedBy: p.limit(),
		Rate: above(p.flags.rate), Goal: above(p.flags.goal), KeepAlive: q.KeepAlive, Connects: model.Round(a.Connects),
		Lifetime: model.Round(q.Lifetime), Closes: p.flags.closes, Sources: p.host.Question.Sources, Destinations: q.Destinations,
		Scope: q.Pool.Scope.String(), Pools: a.Pools, Capacity: a.Capacity.Low, Hold: round3(a.Hold.High),
		Ceiling: finite(a.Ceiling.Low), Safe: finite(a.Safe.Low), Occupancy: model.Round(a.Occupancy.High), Sustainable: a.Sustainable,
		FirstFailure: finite(a.FirstFailure.Low), Refused: a.Refused.High, Knee: a.Knee, PastKnee: a.PastKnee, Error: q.Pool.Error,
		Growth: []growthJSON{}, Remedies: []leverJSON{}, Facts: p.host.Question.Pool.Facts, Notes: p.notes,
		Uncertain: jsonEnds(map[string]model.Bounds{
			"capacity": a.Capacity, "hold_seconds": {Low: round3(a.Hold.Low), High: round3(a.Hold.High)}, "ceiling_per_second": a.Ceiling, "safe_per_second": a.Safe,
			"occupancy": a.Occupancy, "first_failure_seconds": a.FirstFailure, "refused_share": a.Refused,
		}),
	}
	if j.Facts == nil {
		j.Facts = []model.Fact{}
	}
	if j.Notes == nil {
		j.Notes = []string{}
	}
	if a.Connects > 0 {
		for _, c := range a.Cases {
			j.Growth = append(j.Growth, growthJSON{c.Case, c.Assumes, finite(c.First.Low), jsonEnds(map[string]model.Bounds{"first_failure_seconds": c.First})})
		}
	}
	for i := range a.Remedies {
		j.Remedies = append(j.Remedies, jsonChange(&a.Remedies[i]))
	}
	if a.Smallest != nil {
		c := jsonChange(a.Smallest)
		j.Smallest = &c
	}
	if p.flags.goal > 0 {
		n := a.Needs()
		j.Needs = &needsJSON{above(float64(n.Ports)), above(n.Hold), above(float64(n.Sources)), above(float64(n.Destinations)), above(float64(n.KeepAlive))}
	}
	if p.snat != nil {
		j.Host, j.SNAT = jsonLimit(p.host), jsonLimit(p.snat)
	}
	return j
}

// round3 keeps milliseconds.
func round3(v float64) float64 { return math.Round(v*1000) / 1000 }

func jsonLimit(a *model.Answer) *limitJSON {
	return &limitJSON{a.Capacity.Low, round3(a.Hold.High), finite(a.Ceiling.Low), a.Sustainable, finite(a.FirstFailure.Low)}
}

func jsonChange(r *model.Remedy) leverJSON {
	return leverJSON{r.Change, finite(r.Ceiling), r.Hazard, r.Least, above(r.LeastCeiling)}
}
