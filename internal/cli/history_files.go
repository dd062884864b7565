package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/portroom/portroom/internal/chart"
	"github.com/portroom/portroom/record"
)

// writeFiles writes the pictures and the report that were asked for.
func (a *app) writeFiles(f *historyFlags, s *record.Story, sum *record.Summary) error {
	title := pictureTitle(s, sum)
	for _, out := range []struct {
		path string
		draw func(io.Writer) error
	}{
		{f.svg, func(w io.Writer) error { return chart.History(w, chart.SVG, title, curvesOf(s.Pools)) }},
		{f.png, func(w io.Writer) error { return chart.History(w, chart.PNG, title, curvesOf(s.Pools)) }},
		{f.report, func(w io.Writer) error { return writeReport(w, f, s, sum) }},
	} {
		if out.path == "" {
			continue
		}
		if len(s.Pools) == 0 && out.path != f.report {
			return fmt.Errorf("%s: there is no pool to draw %s", out.path, f.asked())
		}
		if err := a.toFile(out.path, func(w *os.File) error { return out.draw(w) }); err != nil {
			return err
		}
	}
	return nil
}

func pictureTitle(s *record.Story, sum *record.Summary) string {
	return fmt.Sprintf("Source ports%s, %s to %s", onHost(sum.Host), s.Since.Format(time.DateTime), s.Until.Format(time.DateTime))
}

// mostCurves is how many pools are told apart by colour.
const mostCurves = 8

func curvesOf(pools []record.PoolStory) (list []chart.Curve) {
	for i := range pools[:min(len(pools), mostCurves)] {
		p := &pools[i]
		c := chart.Curve{Name: poolName(p.Key) + inNamespace(p.Label)}
		for _, q := range p.Points {
			c.Points = append(c.Points, chart.Point{Time: q.Time, Known: q.Present, Held: q.Taken, TimeWait: q.TimeWait, Capacity: q.Capacity, Refused: q.Refused})
		}
		list = append(list, c)
	}
	return list
}
