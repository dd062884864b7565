package cli

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/portroom/portroom/internal/winevent"
)

// eventAge is how far back the live log is looked at.
const eventAge = 24 * time.Hour

// eventsJSON is what Windows' event log says about ports.
type eventsJSON struct {
	Source string      `json:"source"` // the file, or "live"
	Total  int         `json:"total"`
	Cut    bool        `json:"cut"`
	Events []eventJSON `json:"events"`
}

type eventJSON struct {
	ID      int     `json:"id"`
	Title   string  `json:"title"`
	Count   int     `json:"count"`
	First   *string `json:"first"` // RFC 3339; null when no entry has a time
	Last    *string `json:"last"`
	Meaning string  `json:"meaning"`
}

func jsonEvents(source string, l *winevent.Log) *eventsJSON {
	j := &eventsJSON{Source: source, Total: l.Total, Cut: l.Cut, Events: []eventJSON{}}
	for _, c := range l.Counts {
		e := eventJSON{ID: c.ID, Title: c.Title, Count: c.Count, Meaning: c.Meaning}
		if !c.First.IsZero() {
			first, last := c.First.Format(time.RFC3339Nano), c.Last.Format(time.RFC3339Nano)
			e.First, e.Last = &first, &last
		}
		j.Events = append(j.Events, e)
	}
	return j
}

// eventTexts are the lines about a log.
func eventTexts(l *winevent.Log) []string {
	var out []string
	for _, c := range l.Counts {
		s := fmt.Sprintf("event %d, %s: %s", c.ID, c.Title, count(c.Count, "entry"))
		if !c.First.IsZero() {
			s += ", the last " + stamp(c.Last)
			if c.Count > 1 {
				s += ", the first " + stamp(c.First)
			}
		}
		out = append(out, s+"; "+c.Meaning)
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// checkEvents judges an exported event log by itself: it may be of another host.
func (a *app) checkEvents(file string) error {
	l, err := winevent.ReadFile(file)
	if err != nil {
		return err
	}
	worst := levelOK
	for _, c := range l.Counts {
		if c.ID != winevent.HalfOpen {
			worst = levelWarning
		}
	}
	if a.json {
		if err := printJSON(a.stdout, checkJSON{Status: worst.String(), Namespaces: []checkNamespaceJSON{}, Events: jsonEvents(file, l)}); err != nil {
			return err
		}
	} else {
		w := &lines{a: a}
		verdict := fmt.Sprintf("none of %s says that a port was short; Windows writes such entries rarely, so that proves little", count(l.Total, "event"))
		if worst != levelOK {
			verdict = fmt.Sprintf("ports were short, say entries among %s", count(l.Total, "event"))
		}
		if l.Total == 0 {
			verdict = "the file holds no event"
		}
		w.lead(worst.sgr(), upper(worst)+"  ", verdict)
		for _, s := range eventTexts(l) {
			w.lead(yellow, "! ", s)
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	if worst != levelOK {
		return statusError(worst)
	}
	return nil
}

// liveEvents reads this host's log, where there is one, and puts what it says into
// the report.
func liveEvents(ctx context.Context, r *report) *eventsJSON {
	if runtime.GOOS != "windows" {
		return nil
	}
	l, err := winevent.Live(ctx, eventAge)
	if err != nil {
		r.add(note{"events-unread", err.Error()})
		return nil
	}
	for _, s := range eventTexts(l) {
		r.add(note{"event", "in the last 24 hours: " + s})
	}
	return jsonEvents("live", l)
}
