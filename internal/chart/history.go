package chart

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-analyze/charts"
)

// A Curve is what became of one pool over time.
type Curve struct {
	Name   string
	Points []Point // of equal stretches, the same for all curves
}

// A Point is the fullest state of a pool in a stretch of time.
type Point struct {
	Time     time.Time // when the stretch begins
	Known    bool      // false: there was no such pool, or nothing was recorded
	Held     int       // ports, without those that could be reused
	TimeWait int
	Capacity int
	Refused  int // connects in this stretch
}

// The heights of the two panels of a history, in pixels.
const (
	heldHeight    = 340
	refusedHeight = 200
)

// History writes a picture of pools over time: of one pool the ports held, those in
// TIME_WAIT and the capacity; of several the share of each that was held; below it
// the connects that were refused.
func History(w io.Writer, format Format, title string, curves []Curve) error {
	if len(curves) == 0 || len(curves[0].Points) == 0 {
		return errors.New("draw a chart: there is no pool to draw")
	}
	points := curves[0].Points
	held, names, unit := heldLines(curves)
	runs := make([]Run, len(names))
	for i, n := range names {
		runs[i].Name = n
	}
	entries, rows := legend(runs)
	header := titleHeight + rows*rowHeight
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: string(format), Width: width, Height: header + heldHeight + refusedHeight, Theme: theme})
	p.FilledRect(0, 0, width, header+heldHeight+refusedHeight, theme.GetBackgroundColor(), theme.GetBackgroundColor(), 0)
	p.Text(title, margin, 30, 0, charts.FontStyle{FontSize: 15, FontColor: theme.GetTitleTextColor()})
	for i, e := range entries {
		p.LineStroke([]charts.Point{{X: e.x, Y: e.y}, {X: e.x + lineLength, Y: e.y}}, theme.GetSeriesColor(i), 3)
		p.Text(e.name, e.x+lineLength+6, e.y+4, 0, legendStyle)
	}
	for _, part := range []struct {
		title     string
		lines     [][]float64
		top, size int
	}{
		{unit, held, header, heldHeight},
		{"connects refused in each " + stretch(points), refusedLines(curves), header + heldHeight, refusedHeight},
	} {
		child := p.Child(charts.PainterBoxOption(charts.Box{Left: 0, Top: part.top, Right: width, Bottom: part.top + part.size, IsSet: true}))
		if err := child.LineChart(timeChart(part.title, part.lines, points)); err != nil {
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

// heldLines are the lines of the upper panel, with their names.
func heldLines(curves []Curve) (lines [][]float64, names []string, title string) {
	if len(curves) == 1 {
		c := &curves[0]
		return [][]float64{
			c.line(func(p *Point) float64 { return float64(p.TimeWait) }),
			c.line(func(p *Point) float64 { return float64(p.Capacity) }),
			c.line(func(p *Point) float64 { return float64(p.Held) }),
		}, []string{"in TIME_WAIT", "capacity", "held"}, "ports: " + c.Name
	}
	for i := range curves {
		lines = append(lines, curves[i].line(func(p *Point) float64 {
			if p.Capacity == 0 {
				return 100
			}
			return 100 * float64(p.Held) / float64(p.Capacity)
		}))
		names = append(names, curves[i].Name)
	}
	return lines, names, "share of the ports that is held, %"
}

// line has a gap where nothing is known.
func (c *Curve) line(value func(*Point) float64) []float64 {
	line := make([]float64, len(c.Points))
	for i := range c.Points {
		if p := &c.Points[i]; p.Known {
			line[i] = value(p)
		} else {
			line[i] = charts.GetNullValue()
		}
	}
	return line
}

func refusedLines(curves []Curve) (lines [][]float64) {
	for i := range curves {
		line := make([]float64, len(curves[i].Points))
		for j := range line {
			line[j] = float64(curves[i].Points[j].Refused)
		}
		lines = append(lines, line)
	}
	return lines
}

func timeChart(title string, lines [][]float64, points []Point) charts.LineChartOption {
	top := 0.0
	for _, line := range lines {
		for _, v := range line {
			if v != charts.GetNullValue() {
				top = max(top, v)
			}
		}
	}
	opt := charts.NewLineChartOptionWithData(lines)
	opt.Theme = theme
	opt.Title = charts.TitleOption{Text: title, FontStyle: charts.FontStyle{FontSize: 12}}
	opt.Legend.Show = charts.Ptr(false)
	opt.Padding = charts.NewBox(20, 10, 30, 10)
	opt.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	opt.LineStrokeWidth = 1.6
	opt.XAxis.BoundaryGap = charts.Ptr(false)
	opt.XAxis.Labels, opt.XAxis.LabelCount = clockLabels(points), 9
	opt.XAxis.LabelFontStyle = charts.FontStyle{FontSize: 9}
	limit, labels := scale(top)
	opt.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0), Max: charts.Ptr(limit), LabelCount: labels,
		LabelFontStyle: charts.FontStyle{FontSize: 9}, ValueFormatter: short}}
	return opt
}

// clockLabels labels every point with its time, as short as the time that is drawn
// permits.
func clockLabels(points []Point) []string {
	span := points[len(points)-1].Time.Sub(points[0].Time)
	layout := "15:04"
	switch {
	case span < 30*time.Minute:
		layout = "15:04:05"
	case span > 24*time.Hour:
		layout = "01-02 15:04"
	}
	labels := make([]string, len(points))
	for i := range points {
		labels[i] = points[i].Time.Format(layout)
	}
	return labels
}

// stretch writes how long the part of the time is that each point stands for.
func stretch(points []Point) string {
	if len(points) < 2 {
		return "part"
	}
	d := points[1].Time.Sub(points[0].Time)
	switch {
	case d >= time.Minute:
		return twoDigits(d.Minutes()) + " min"
	case d >= time.Second:
		return twoDigits(d.Seconds()) + " s"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func twoDigits(v float64) string {
	if v >= 9.95 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
