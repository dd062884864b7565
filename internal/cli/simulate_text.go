package cli

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/internal/chart"
	"github.com/portroom/portroom/model"
)

type simulateJSON struct {
	System       string   `json:"system"`
	Title        string   `json:"title"`
	Load         string   `json:"load"`
	Seed         uint64   `json:"seed"`
	Duration     float64  `json:"duration_seconds"`
	Interrupted  bool     `json:"interrupted"`
	Pools        int      `json:"pools"`
	Capacity     int      `json:"capacity"`
	FirstFailure *float64 `json:"first_failure_seconds"`
	Granted      int      `json:"granted"`
	Refused      int      `json:"refused"`
	PerSecond    float64  `json:"granted_per_second"`
	PeakHeld     int      `json:"peak_held"`
	Overflow     int      `json:"overflow"`
	Cost         costJSON `json:"search_cost"`
	LongSearch   *int     `json:"long_search_held"`
}

// costJSON counts ports looked at, in the mean; null without such a search.
type costJSON struct {
	BeforeKnee *float64 `json:"before_knee"`
	AfterKnee  *float64 `json:"after_knee"`
	Failed     *float64 `json:"failed"`
}

func (a *app) printSimulated(f *simulateFlags, load *load, all []simulated) error {
	if a.json {
		list := make([]simulateJSON, len(all))
		for i := range all {
			list[i] = jsonSimulated(f, load, &all[i])
		}
		if len(f.systems) == 1 {
			return printJSON(a.stdout, list[0])
		}
		return printJSON(a.stdout, list)
	}
	w := &lines{a: a}
	w.add(bold, "%s for %s, seed %d", load.words, plainDuration(f.duration), f.seed)
	if err := w.flush(); err != nil {
		return err
	}
	t := &table{head: []string{"SYSTEM", "FIRST FAILURE", "GRANTED", "REFUSED", "GRANTED/S", "PEAK HELD", "OF", "SEARCH", "PAST HALF", "IN VAIN"},
		right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true}}
	for _, s := range all {
		r := s.result
		sgr := ""
		if r.Refused > 0 {
			sgr = red
		}
		t.add(sgr, s.label, seconds(r.FirstFailure), strconv.Itoa(r.Granted), strconv.Itoa(r.Refused), num(r.GrantedPerSecond()),
			strconv.Itoa(r.PeakHeld), strconv.Itoa(r.Capacity), looks(r.BeforeKnee), looks(r.AfterKnee), looks(r.Failed))
	}
	if err := a.writeTable(a.stdout, t); err != nil {
		return err
	}
	w.add(faint, "SEARCH: ports looked at for each connect while at most half of the pool is held, past that, and in vain")
	for _, s := range all {
		r := s.result
		if s.pool.HasKnee() && r.AfterKnee.Searches > 0 {
			if mean := r.AfterKnee.Mean(); mean > 1000 {
				w.lead(yellow, "! ", fmt.Sprintf("%s: past half of the pool a connect takes %s to %s of processor time: a port looked at takes some 60 ns if a connection is open on it, 160 ns in TIME_WAIT",
					s.label, micros(mean*60e-9), micros(mean*160e-9)))
			}
		}
		if r.Overflow > 0 {
			w.lead(yellow, "! ", fmt.Sprintf("%s: %s closed without TIME_WAIT, because tcp_max_tw_buckets was reached", s.label, count(r.Overflow, "connection")))
		}
		if r.Duration < f.duration.Seconds() {
			w.lead(yellow, "! ", fmt.Sprintf("%s: interrupted after %s of the run's time", s.label, seconds(r.Duration)))
		}
	}
	if len(all) < len(f.systems) {
		w.lead(yellow, "! ", fmt.Sprintf("%s not played", count(len(f.systems)-len(all), "system")))
	}
	return w.flush()
}

func plainDuration(d time.Duration) string {
	if d < 10*time.Minute && d%time.Second == 0 {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func micros(s float64) string { return time.Duration(s * 1e9).Round(time.Microsecond).String() }

// looks writes the mean cost of searches, "-" without one.
func looks(c model.Cost) string {
	if c.Searches == 0 {
		return "-"
	}
	if m := c.Mean(); m < 100 {
		return fmt.Sprintf("%.1f", m)
	}
	return fmt.Sprintf("%.0f", c.Mean())
}

func jsonSimulated(f *simulateFlags, load *load, s *simulated) simulateJSON {
	r := s.result
	j := simulateJSON{
		System: s.label, Title: s.pool.Title, Load: load.words, Seed: f.seed, Duration: r.Duration, Interrupted: r.Duration < f.duration.Seconds(),
		Pools: r.Pools, Capacity: r.Capacity, FirstFailure: exact(r.FirstFailure), Granted: r.Granted, Refused: r.Refused,
		PeakHeld: r.PeakHeld, Overflow: r.Overflow,
		Cost: costJSON{cost(r.BeforeKnee), cost(r.AfterKnee), cost(r.Failed)},
	}
	if r.Duration > 0 {
		j.PerSecond = model.Round(r.GrantedPerSecond())
	}
	if r.LongSearch > 0 {
		j.LongSearch = &r.LongSearch
	}
	return j
}

// exact keeps a microsecond; nil for never.
func exact(v float64) *float64 {
	if math.IsInf(v, 0) {
		return nil
	}
	v = math.Round(v*1e6) / 1e6
	return &v
}

func cost(c model.Cost) *float64 {
	if c.Searches == 0 {
		return nil
	}
	return finite(c.Mean())
}

// writeSeries writes what --csv, --svg and --png ask for.
func (a *app) writeSeries(f *simulateFlags, load *load, all []simulated) error {
	switch f.csv {
	case "":
	case "-":
		if err := writeCSV(a.stdout, all); err != nil {
			return err
		}
	default:
		if err := a.toFile(f.csv, func(w *os.File) error { return writeCSV(w, all) }); err != nil {
			return err
		}
	}
	runs := make([]chart.Run, len(all))
	for i, s := range all {
		runs[i] = chart.Run{Name: s.label, Samples: s.result.Samples}
	}
	title := load.words + " for " + plainDuration(f.duration)
	for _, p := range []struct {
		name   string
		format chart.Format
	}{{f.svg, chart.SVG}, {f.png, chart.PNG}} {
		if p.name == "" {
			continue
		}
		if err := a.toFile(p.name, func(w *os.File) error { return chart.Draw(w, p.format, title, runs) }); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes the samples of all systems, one below the other.
func writeCSV(to io.Writer, all []simulated) error {
	buf := bufio.NewWriter(to)
	w := csv.NewWriter(buf)
	_ = w.Write([]string{"system", "seconds", "held", "time_wait", "granted", "refused", "ports_looked_at", "ports_for_each_search"})
	for _, s := range all {
		for _, p := range s.result.Samples {
			mean := ""
			if c := p.Cost(); !math.IsNaN(c) {
				mean = strconv.FormatFloat(model.Round(c), 'g', -1, 64)
			}
			_ = w.Write([]string{s.label, strconv.FormatFloat(model.Round(p.At), 'g', -1, 64), strconv.Itoa(p.Held), strconv.Itoa(p.TimeWait),
				strconv.Itoa(p.Granted), strconv.Itoa(p.Refused), strconv.FormatInt(p.Looked, 10), mean})
		}
	}
	w.Flush() // the first error stays with w
	if err := w.Error(); err != nil {
		return err
	}
	return buf.Flush()
}
