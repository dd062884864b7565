// Package chart draws simulated runs: ports held and in TIME_WAIT, connects refused
// and what a search costs, over time, several systems in one picture.
package chart

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-analyze/charts"

	"github.com/portroom/portroom/model"
)

// A Format is a kind of picture.
type Format string

// The formats there are.
const (
	PNG Format = charts.ChartOutputPNG
	SVG Format = charts.ChartOutputSVG
)

// A Run is one line in each panel.
type Run struct {
	Name    string
	Samples []model.Sample // of equal stretches, the same for all runs
}

// The size of a picture in pixels.
const (
	width, body = 1200, 720
	titleHeight = 40
	rowHeight   = 20 // of the legend
	margin      = 24
)

// A panel is one of the four parts of the picture.
type panel struct {
	title string
	value func(s model.Sample, stretch float64) float64
}

var panels = [4]panel{
	{"ports held", func(s model.Sample, _ float64) float64 { return float64(s.Held) }},
	{"of these in TIME_WAIT", func(s model.Sample, _ float64) float64 { return float64(s.TimeWait) }},
	{"connects refused each second", func(s model.Sample, stretch float64) float64 { return float64(s.Refused) / stretch }},
	{"ports looked at for each connect", func(s model.Sample, _ float64) float64 {
		if c := s.Cost(); !math.IsNaN(c) {
			return c
		}
		return charts.GetNullValue() // a gap
	}},
}

// Draw writes the picture.
func Draw(w io.Writer, format Format, title string, runs []Run) error {
	if len(runs) == 0 || len(runs[0].Samples) == 0 {
		return errors.New("draw a chart: there is no sample to draw")
	}
	entries, rows := legend(runs)
	header := titleHeight + rows*rowHeight
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: string(format), Width: width, Height: header + body, Theme: theme})
	p.FilledRect(0, 0, width, header+body, theme.GetBackgroundColor(), theme.GetBackgroundColor(), 0)
	p.Text(title, margin, 30, 0, charts.FontStyle{FontSize: 15, FontColor: theme.GetTitleTextColor()})
	for i, e := range entries {
		p.LineStroke([]charts.Point{{X: e.x, Y: e.y}, {X: e.x + lineLength, Y: e.y}}, theme.GetSeriesColor(i), 3)
		p.Text(e.name, e.x+lineLength+6, e.y+4, 0, legendStyle)
	}
	for i, part := range panels {
		x, y := i%2*width/2, header+i/2*body/2
		child := p.Child(charts.PainterBoxOption(charts.Box{Left: x, Top: y, Right: x + width/2, Bottom: y + body/2, IsSet: true}))
		if err := child.LineChart(part.chart(runs)); err != nil {
			return fmt.Errorf("draw %q: %w", part.title, err)
		}
	}
	picture, err := p.Bytes()
	if err != nil {
		return err
	}
	_, err = w.Write(picture)
	return err
}

const lineLength = 22

var legendStyle = charts.FontStyle{FontSize: 11, FontColor: theme.GetLegendTextColor()}

// An entry is one line of the legend.
type entry struct {
	name string
	x, y int
}

// legend places the names of the lines, once for all panels.
func legend(runs []Run) (entries []entry, rows int) {
	measure := charts.NewPainter(charts.PainterOptions{Width: 1, Height: 1})
	x, rows := margin, 1
	for _, r := range runs {
		name := r.Name
		if n := []rune(name); len(n) > 90 {
			name = string(n[:89]) + "…"
		}
		w := lineLength + 6 + measure.MeasureText(name, 0, legendStyle).Width() + margin
		if x > margin && x+w > width {
			x = margin
			rows++
		}
		entries = append(entries, entry{name, x, titleHeight + rows*rowHeight - 14})
		x += w
	}
	return entries, rows
}

func (part *panel) chart(runs []Run) charts.LineChartOption {
	var data [][]float64
	top := 0.0
	for _, r := range runs {
		line := make([]float64, 0, len(r.Samples)+1)
		stretch := r.Samples[0].At
		for i, s := range r.Samples {
			v := part.value(s, stretch)
			if i == 0 { // a stretch is drawn at its end, and the run begins with nothing held
				line = append(line, begin(v))
			}
			line = append(line, v)
			if v != charts.GetNullValue() {
				top = max(top, v)
			}
		}
		data = append(data, line)
	}
	opt := charts.NewLineChartOptionWithData(data)
	opt.Theme = theme
	opt.Title = charts.TitleOption{Text: part.title, FontStyle: charts.FontStyle{FontSize: 12}}
	opt.Legend.Show = charts.Ptr(false)
	opt.Padding = charts.NewBox(20, 10, 30, 10)
	opt.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	opt.LineStrokeWidth = 1.6
	opt.XAxis.BoundaryGap = charts.Ptr(false)
	opt.XAxis.Labels, opt.XAxis.LabelCount = timeLabels(longest(runs))
	opt.XAxis.LabelFontStyle = charts.FontStyle{FontSize: 9}
	limit, lines := scale(top)
	opt.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0), Max: charts.Ptr(limit), LabelCount: lines,
		LabelFontStyle: charts.FontStyle{FontSize: 9}, ValueFormatter: short}}
	return opt
}

// begin is the value before the first sample.
func begin(v float64) float64 {
	if v == charts.GetNullValue() {
		return v
	}
	return 0
}

// longest returns the samples of the run with the most: one that was interrupted has
// fewer.
func longest(runs []Run) []model.Sample {
	l := runs[0].Samples
	for _, r := range runs {
		if len(r.Samples) > len(l) {
			l = r.Samples
		}
	}
	return l
}

// timeLabels labels every point, and says how many labels are to be shown: such that
// they are round times where that can be.
func timeLabels(samples []model.Sample) ([]string, int) {
	last := samples[len(samples)-1].At
	labels := make([]string, 0, len(samples)+1)
	labels = append(labels, "0")
	for _, s := range samples {
		labels = append(labels, timeText(s.At, last))
	}
	for _, parts := range []int{6, 5, 8, 10, 4} {
		if step := last / float64(parts); len(samples)%parts == 0 && isRound(step) {
			return labels, parts + 1
		}
	}
	return labels, 7
}

// isRound reports whether a step of time is one that a clock has.
func isRound(step float64) bool {
	for _, unit := range []float64{86400, 3600, 60, 1} {
		if n := step / unit; n >= 1 {
			return math.Abs(n-math.Round(n)) < 1e-6
		}
	}
	return false
}

// timeText writes a time on an axis that ends at last.
func timeText(s, last float64) string {
	switch {
	case last >= 7200:
		return strconv.FormatFloat(math.Round(s/36)/100, 'g', -1, 64) + " h"
	case last >= 600:
		return strconv.FormatFloat(math.Round(s/0.6)/100, 'g', -1, 64) + " min"
	}
	return strconv.FormatFloat(math.Round(s*100)/100, 'g', -1, 64) + " s"
}

// scale gives the upper end of an axis that holds top, and how many labels it has.
func scale(top float64) (limit float64, labels int) {
	if top <= 0 {
		return 1, 2
	}
	unit := math.Pow(10, math.Floor(math.Log10(top)))
	for _, m := range []struct {
		ends   float64
		labels int
	}{{1, 6}, {1.2, 7}, {1.5, 6}, {2, 5}, {2.5, 6}, {3, 7}, {4, 5}, {5, 6}, {6, 7}, {8, 5}, {10, 6}} {
		if limit := m.ends * unit; top <= limit {
			return limit, m.labels
		}
	}
	return 10 * unit, 6
}

// short writes a number on an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(math.Round(v/1e4)/100, 'f', -1, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(math.Round(v/100)/10, 'f', -1, 64) + "k"
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}
