package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/record"
)

// stamps writes the times of one story: with the date where it is more than one day.
type stamps struct{ dated bool }

func stampsOf(s *record.Story) stamps {
	y1, m1, d1 := s.Since.Date()
	y2, m2, d2 := s.Until.Date()
	return stamps{dated: y1 != y2 || m1 != m2 || d1 != d2}
}

func (st stamps) text(t time.Time) string {
	if st.dated {
		return t.Format("01-02 15:04:05")
	}
	return t.Format(time.TimeOnly)
}

func (st stamps) span(from, to time.Time, open bool) string {
	switch {
	case open:
		return st.text(from) + " – (goes on)"
	case to.Equal(from):
		return st.text(from)
	}
	return st.text(from) + " – " + st.text(to)
}

// printStory prints what happened on a screen or two.
func (a *app) printStory(f *historyFlags, s *record.Story, sum *record.Summary) error {
	st := stampsOf(s)
	w := &lines{a: a}
	l, headline := storyHeadline(s)
	about := f.about()
	if about != "" {
		headline = about + ": " + headline
	}
	w.lead(l.sgr(), strings.ToUpper(l.String())+"  ", headline)
	w.add(faint, "%s to %s%s, %s", s.Since.Format(time.DateTime), s.Until.Format(time.DateTime), onHost(sum.Host), count(s.Samples, "sample"))
	if len(s.Pools) > 0 {
		w.text = append(w.text, "")
		if err := w.flush(); err != nil {
			return err
		}
		if err := a.writeTable(a.stdout, a.storyTable(s, st)); err != nil {
			return err
		}
		if s.Others > 0 {
			w.add(faint, "… and %s (--top %d shows all)", count(s.Others, "more pool"), s.Others+len(s.Pools))
		}
	}
	if list := timeline(s, st); len(list) > 0 {
		w.text = append(w.text, "")
		const most = 40
		for i, e := range list {
			if i == most {
				w.add(faint, "… and %s (--json shows all)", count(len(list)-most, "more event"))
				break
			}
			w.lead(e.sgr, e.when+"  ", e.text)
		}
	}
	if l != levelOK || about == "" { // what was wrong elsewhere was not asked for
		a.remedies(w, s)
	}
	return w.flush()
}

// storyHeadline is how bad it was, and the sentence that says so.
func storyHeadline(s *record.Story) (level, string) {
	worst, empty, bad := levelOK, 0, 0
	for i := range s.Pools {
		p := &s.Pools[i]
		if p.PeakAt.IsZero() {
			continue
		}
		l := severity(&p.Peak, defaultWarn, defaultCrit)
		worst = max(worst, l)
		if l != levelOK {
			bad++
		}
		if p.Peak.HeadroomMax == 0 {
			empty++
		}
	}
	switch {
	case s.Refused > 0:
		text := count(s.Refused, "connect") + " refused for want of a port"
		if empty > 0 {
			text += "; " + count(empty, "pool") + " ran out of ports"
		}
		return levelCritical, text
	case empty > 0:
		return levelCritical, count(empty, "pool") + " ran out of ports"
	case bad > 0:
		return worst, fmt.Sprintf("%s held to %d%% or more; none ran out of ports", count(bad, "pool"), defaultWarn)
	case len(s.Pools) == 0:
		return levelOK, "no pool had a connection"
	}
	p := &s.Pools[0]
	return levelOK, fmt.Sprintf("no pool was held to %d%%; the fullest was %s with %s left", defaultWarn, poolName(p.Key), left(&p.Peak))
}

// storyTable has a row for each pool at its fullest.
func (a *app) storyTable(s *record.Story, st stamps) *table {
	t := &table{
		head:  []string{"PEAK", "OF", "USED", "LEFT", "WHEN", "REFUSED", "SOURCE", "DESTINATION", "TOP HOLDER", "CURVE"},
		right: map[int]bool{0: true, 1: true, 2: true, 3: true, 5: true},
		drop:  []string{"CURVE", "OF", "USED", "SOURCE", "TOP HOLDER"},
	}
	for i := range s.Pools {
		p := &s.Pools[i]
		cells := []string{"-", "-", "-", "-", "-"}
		l := levelOK
		if !p.PeakAt.IsZero() {
			l = severity(&p.Peak, defaultWarn, defaultCrit)
			cells = []string{strconv.Itoa(p.Peak.Held - p.Peak.Reusable), strconv.Itoa(p.Peak.Capacity), percent(p.Peak.Used()), left(&p.Peak), st.text(p.PeakAt)}
		}
		who := "-"
		if len(p.Peak.Owners) > 0 {
			who = fmt.Sprintf("%s %d", holder(p.Peak.Owners[0]), p.Peak.Owners[0].Ports)
		}
		dst := dstText(p.Key)
		if !p.Key.Dst.IsValid() {
			dst = p.Key.Proto.String()
		}
		if p.Label != "" {
			dst += " (" + clean(p.Label) + ")"
		}
		sgr := ""
		if l != levelOK || p.Refused > 0 {
			sgr = max(l, levelWarning).sgr()
		}
		t.add(sgr, append(cells, strconv.Itoa(p.Refused), p.Key.Src.String(), dst, who, a.spark(p.Points))...)
	}
	return t
}

// spark draws a curve as a line of blocks. Where nothing is known there is a blank.
func (a *app) spark(points []record.Point) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	if a.ascii {
		blocks = []rune("_.-=+*%#")
	}
	const most = 20 // characters
	each := max(1, (len(points)+most-1)/most)
	var b strings.Builder
	for i := 0; i < len(points); i += each {
		share, present := 0.0, false
		for _, p := range points[i:min(i+each, len(points))] {
			if p.Present {
				present = true
				if p.Capacity > 0 {
					share = max(share, float64(p.Taken)/float64(p.Capacity))
				}
			}
		}
		if !present {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(blocks[min(int(share*float64(len(blocks))), len(blocks)-1)])
	}
	return strings.TrimRight(b.String(), " ")
}

// entry is one line of what happened when.
type entry struct {
	at   time.Time
	when string
	sgr  string
	text string
}

// timeline is what happened, in the order of time.
func timeline(s *record.Story, st stamps) (list []entry) {
	for i := range s.Pools {
		p := &s.Pools[i]
		for _, sp := range p.Spells {
			text := fmt.Sprintf("held to %d%% or more", defaultCrit)
			if sp.Empty {
				text = "no port left"
			}
			list = append(list, entry{sp.From, st.span(sp.From, sp.To, sp.Open), red, poolName(p.Key) + inNamespace(p.Label) + ": " + text})
		}
	}
	for _, r := range sumRefusals(s) {
		list = append(list, entry{r.first, st.span(r.first, r.last, false), red, r.text()})
	}
	for _, g := range s.Gaps {
		list = append(list, entry{g.From, st.span(g.From, g.To, false), yellow, "nothing was recorded"})
	}
	for _, c := range s.Changes {
		list = append(list, entry{c.Time, st.text(c.Time), bold, fmt.Sprintf("%s was set to %s, before %s%s", c.Name, quoteEmpty(c.Value), quoteEmpty(c.Before), inNamespace(c.Label))})
	}
	for _, e := range s.Events {
		list = append(list, entry{e.Time, st.text(e.Time), faint, clean(e.Text)})
	}
	slices.SortStableFunc(list, func(a, b entry) int { return a.at.Compare(b.at) })
	return list
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return clean(strings.Join(strings.Fields(s), " "))
}

func inNamespace(label string) string {
	if label == "" {
		return ""
	}
	return " in " + clean(label)
}

// text is the sentence about the refusals of one process.
func (r *refusalSum) text() string {
	who := "a process that is not known"
	if r.process.PID != 0 {
		who = fmt.Sprintf("%s[%d]", clean(r.process.Command), r.process.PID)
	}
	if l := netns.Label(r.process.Cgroup); l != "" {
		who += " in " + clean(l)
	}
	s := fmt.Sprintf("%s of %s refused, %s", connects(uint64(r.count)), who, poolName(r.key))
	if r.reason == reasonTaken {
		s += ": the port that was bound was in use to this destination"
	}
	return s
}

// remedies adds what was wrong, the gravest, with what would have helped.
func (a *app) remedies(w *lines, s *record.Story) {
	st := stampsOf(s)
	shown := make(map[string]bool)
	for i := range s.Findings {
		f := &s.Findings[i]
		if f.Severity == finding.Info || shown[f.Code] || len(shown) == screenFindings {
			continue
		}
		if len(shown) == 0 {
			w.text = append(w.text, "")
		}
		shown[f.Code] = true
		sgr := yellow
		if f.Severity == finding.Critical {
			sgr = red
		}
		w.lead(sgr, "! ", clean(f.Code+" "+f.Title)+" ("+st.span(f.From, f.To, f.Open)+")")
		if len(f.Remedies) > 0 {
			w.lead(bold, "  remedy: ", clean(remedyText(&f.Remedies[0])))
		}
	}
}

// printRefused prints who was refused, one line for each process and pool.
func (a *app) printRefused(s *record.Story) error {
	st := stampsOf(s)
	list := sumRefusals(s)
	if len(list) == 0 {
		_, err := fmt.Fprintf(a.stdout, "no connect was refused from %s to %s%s\n", s.Since.Format(time.DateTime), s.Until.Format(time.DateTime), untraced(s))
		return err
	}
	slices.SortStableFunc(list, func(a, b *refusalSum) int { return cmp.Or(-cmp.Compare(a.count, b.count), a.first.Compare(b.first)) })
	t := &table{
		head:  []string{"REFUSED", "FIRST", "LAST", "SOURCE", "DESTINATION", "PROCESS", "CONTROL GROUP"},
		right: map[int]bool{0: true},
		drop:  []string{"CONTROL GROUP", "SOURCE", "LAST"},
	}
	for _, r := range list {
		who := "-"
		if r.process.PID != 0 {
			who = fmt.Sprintf("%s[%d]", clean(r.process.Command), r.process.PID)
		}
		t.add("", strconv.Itoa(r.count), st.text(r.first), st.text(r.last), r.key.Src.String(), dstText(r.key), who, cmp.Or(clean(r.process.Cgroup), "-"))
	}
	return a.writeTable(a.stdout, t)
}

// untraced says that refusals were not looked for, where that is so.
func untraced(s *record.Story) string {
	for _, e := range s.Events {
		if e.Kind == record.EventTrace {
			return "; " + e.Text
		}
	}
	return ""
}
