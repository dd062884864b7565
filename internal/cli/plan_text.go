package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/portroom/portroom/model"
)

func (a *app) printPlan(p *answer) error {
	w := &lines{a: a}
	ans := p.answer
	w.add(p.sgr(), "%s", p.verdict())
	w.add("", "")
	pool := &ans.Question.Pool
	pools := "one for each " + pool.Scope.String()
	if pool.Scope == model.PerHost {
		pools = "one pool for all destinations"
	}
	if ans.Pools > 1 {
		pools += fmt.Sprintf(", %d pools here", ans.Pools)
	}
	w.add("", "capacity  %s: %s", ends(ans.Capacity, ans.Capacity.Low, " ports"), pools)
	w.add("", "hold      %s for each connection: %s", ends(ans.Hold, ans.Hold.High, " s"), holdWords(ans))
	w.add("", "ceiling   %s", ends(ans.Ceiling, ans.Ceiling.Low, "/s")+keptFree(ans))
	if ans.Connects > 0 {
		w.add("", "load      %s", loadWords(p))
		if ans.Knee > 0 && ans.PastKnee {
			w.add(yellow, "past the knee (%s ports): each connect searches half of the range first", num(ans.Knee))
		}
	}
	if p.snat != nil {
		w.add("", "alone     the system %s/s, the NAT %s/s (%s ports for %s s): the %s limits", num(p.host.Ceiling.Low), num(p.snat.Ceiling.Low),
			num(p.snat.Question.Pool.Capacity.Low), num(p.snat.Question.Pool.Wait.High), map[string]string{"snat": "NAT", "system": "system"}[p.limit()])
	}
	if !ans.Sustainable {
		w.add("", "error     %s", pool.Error)
	}
	if err := w.flush(); err != nil {
		return err
	}
	if p.flags.goal > 0 {
		a.needs(w, ans)
		if err := w.flush(); err != nil {
			return err
		}
	}
	if ans.Connects > 0 && p.flags.goal == 0 {
		if err := a.printGrowth(ans); err != nil {
			return err
		}
	}
	if err := a.printRemedies(ans); err != nil {
		return err
	}
	a.doubts(w, p)
	return w.flush()
}

func (p *answer) sgr() string {
	switch {
	case p.answer.Connects == 0:
		return bold
	case p.answer.Sustainable:
		return green
	}
	return red
}

// verdict is the first line.
func (p *answer) verdict() string {
	a := p.answer
	title := p.host.Question.Pool.Title
	if p.answer == p.snat {
		title += " behind a NAT"
	}
	asked := num(a.Question.Rate) + "/s"
	switch {
	case a.Connects == 0:
		return fmt.Sprintf("%s: at most %s", title, perSecond(a.Ceiling.Low))
	case a.Sustainable:
		return fmt.Sprintf("%s: %s lasts, %s of the ports held", title, asked, percent(a.Occupancy.High/a.Capacity.Low))
	case a.Occupancy.Low <= a.Capacity.High:
		return fmt.Sprintf("%s: %s may not last: by the cautious numbers the first connect fails after %s", title, asked, seconds(a.FirstFailure.Low))
	}
	return fmt.Sprintf("%s: %s does not last: the first connect fails after %s, from then on %s/s succeed",
		title, asked, seconds(a.FirstFailure.Low), num(a.Ceiling.Low*float64(a.Question.KeepAlive)))
}

// seconds writes a time for people; "never" for what does not come.
func seconds(s float64) string {
	switch {
	case math.IsInf(s, 1):
		return "never"
	case s < 600:
		return num(s) + " s"
	case s < 1e9:
		return time.Duration(math.Round(s) * 1e9).String()
	}
	return num(s/31557600) + " years"
}

func holdWords(a *model.Answer) string {
	q := &a.Question
	life := num(q.Lifetime) + " s of life"
	wait := a.Hold.High - q.Lifetime
	switch {
	case wait == 0:
		return life + ", and no TIME_WAIT here: the server closes first"
	case q.Lifetime == 0:
		return "TIME_WAIT alone"
	}
	return fmt.Sprintf("%s, then %s s of TIME_WAIT", life, num(wait))
}

func keptFree(a *model.Answer) string {
	if math.IsInf(a.Safe.Low, 1) {
		return ""
	}
	return fmt.Sprintf(" of even arrivals, %s/s of random ones", num(a.Safe.Low))
}

func loadWords(p *answer) string {
	a := p.answer
	s := num(a.Connects) + " connects/s"
	if k := a.Question.KeepAlive; k > 1 {
		s = fmt.Sprintf("%s requests/s, %d on each connection: %s", num(a.Question.Rate), k, s)
	}
	s += fmt.Sprintf(" would hold %s ports", num(a.Occupancy.High))
	if a.Refused.High >= 1e-9 {
		s += fmt.Sprintf("; %s refused when they come at random", share(a.Refused.High))
	}
	return s
}

// perSecond writes a rate, which may have no limit.
func perSecond(v float64) string {
	if math.IsInf(v, 1) {
		return "no limit"
	}
	return num(v) + "/s"
}

// share writes a share that may be very small.
func share(v float64) string {
	if v >= 0.01 {
		return percent(v)
	}
	return fmt.Sprintf("%.2g%%", v*100)
}

func (a *app) needs(w *lines, ans *model.Answer) {
	n := ans.Needs()
	w.add("", "")
	w.add(bold, "%s/s needs one of these, all else as it is", num(ans.Question.Rate))
	line := func(ok bool, format string, args ...any) {
		if ok {
			w.add("", "  "+format, args...)
		}
	}
	each := "each pool"
	if ans.Pools == 1 {
		each = "the pool"
	}
	line(n.Ports > 0, "%d ports in %s", n.Ports, each)
	line(n.Hold > 0, "a hold of %s s at most", num(math.Floor(n.Hold*1000)/1000))
	line(n.Sources > 0, "%s", count(n.Sources, "source address"))
	line(n.Destinations > 0, "%s", count(n.Destinations, "destination"))
	line(n.KeepAlive > 0, "%s on each connection, if it lives no longer for it", count(n.KeepAlive, "request"))
}

func (a *app) printGrowth(ans *model.Answer) error {
	t := &table{head: []string{"FIRST FAILURE", "LOAD", "ASSUMES"}, drop: []string{"ASSUMES"}}
	for _, c := range ans.Cases {
		first := seconds(c.First.Low)
		if !c.First.Certain() {
			first += " to " + seconds(c.First.High)
		}
		t.add("", first, c.Case, c.Assumes)
	}
	return a.section(t)
}

func (a *app) printRemedies(ans *model.Answer) error {
	t := &table{head: []string{"AT MOST", "WITH", "ENOUGH HERE"}}
	if ans.Sustainable {
		t.head = t.head[:2]
	}
	for _, r := range ans.Remedies {
		row := []string{perSecond(r.Ceiling), r.Change}
		if !ans.Sustainable {
			enough := r.Least
			switch enough {
			case "":
				enough = "-"
			case r.Change:
				enough = "yes"
			}
			row = append(row, enough)
		}
		t.add("", row...)
	}
	if err := a.section(t); err != nil {
		return err
	}
	w := &lines{a: a}
	switch {
	case ans.Smallest != nil:
		w.add("", "")
		w.lead(green, "smallest change: ", fmt.Sprintf("%s, for %s", ans.Smallest.Least, perSecond(ans.Smallest.LeastCeiling)))
		if ans.Smallest.Hazard != "" {
			w.add("", "  beware: %s", ans.Smallest.Hazard)
		}
	case !ans.Sustainable:
		w.add("", "")
		w.add(red, "no single change of these is enough")
	}
	return w.flush()
}

// section prints a table with an empty line above it.
func (a *app) section(t *table) error {
	if len(t.rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(a.stdout); err != nil {
		return err
	}
	return a.writeTable(a.stdout, t)
}

// doubts are the remarks at the end: what is uncertain, what was assumed, and with
// --cite where each number is from.
func (a *app) doubts(w *lines, p *answer) {
	var said []string
	for _, f := range p.host.Question.Pool.Facts {
		if f.Uncertain != "" {
			said = append(said, fmt.Sprintf("%s %s: uncertain, %s (%s)", f.What, f.Value, f.Uncertain, f.Source))
		}
	}
	said = append(said, p.notes...)
	if p.snat != nil && p.answer == p.host && !p.snat.Sustainable || p.answer == p.snat && !p.host.Sustainable {
		said = append(said, "neither the system alone nor the NAT alone sustains the rate: both need a change")
	}
	if len(said) > 0 {
		w.add("", "")
	}
	for _, s := range said {
		w.lead(yellow, "! ", s)
	}
	if !p.flags.cite {
		return
	}
	w.add("", "")
	for _, f := range p.host.Question.Pool.Facts {
		w.add("", "%s = %s [%s]", f.What, strings.TrimSpace(f.Value), f.Source)
	}
}
