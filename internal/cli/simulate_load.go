package cli

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/portroom/portroom/model"
)

// loadFlags say when connects come.
type loadFlags struct {
	rate      float64
	ramp      string
	steps     string
	trace     string
	random    bool
	keepalive int
}

func (f *loadFlags) add(c *cobra.Command) {
	p := c.Flags()
	p.Float64Var(&f.rate, "rate", 0, "how many `requests` a second come")
	p.StringVar(&f.ramp, "ramp", "", "a rate that changes evenly and then stays: `FROM-TO/TIME` such as 0-1000/5m")
	p.StringVar(&f.steps, "steps", "", "rates one after the other: `TIME=RATE,…` such as 0s=100,60s=500")
	p.StringVar(&f.trace, "trace", "", "connects as they were recorded: a `file` of times in seconds, one a line")
	p.BoolVar(&f.random, "random", false, "requests come at random (Poisson), not evenly")
	p.IntVar(&f.keepalive, "keepalive", 1, "how many `requests` share one connection")
	_ = c.MarkFlagFilename("trace")
}

// A load is a kind of arrivals that several systems get one after the other.
type load struct {
	words    string
	length   time.Duration // of a trace; else 0
	arrivals func() model.Arrivals
}

// load reads the flags.
func (f *loadFlags) load(flags *pflag.FlagSet, life model.Lifetime) (*load, error) {
	given := 0
	for _, name := range []string{"rate", "ramp", "steps", "trace"} {
		if flags.Changed(name) {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, usagef("the load is one of --rate, --ramp, --steps and --trace: want one of them, got %d", given)
	case f.keepalive < 1:
		return nil, usagef("--keepalive %d: want 1 or more", f.keepalive)
	case f.keepalive > 1 && life.Mean() == 0:
		return nil, usagef("a connection that carries %d requests does not live for 0 s: want --lifetime above 0 with --keepalive", f.keepalive)
	case f.trace != "" && (f.random || f.keepalive > 1):
		return nil, usagef("--trace says when each connect comes: it does not go with --random or --keepalive")
	case f.trace != "":
		return readTrace(f.trace)
	}
	var pieces model.Load
	var err error
	l := &load{}
	switch {
	case f.ramp != "":
		pieces, err = parseRamp(f.ramp)
		l.words = "ramp " + f.ramp
	case f.steps != "":
		if pieces, err = model.ParseSteps(f.steps); err != nil {
			return nil, usagef("--steps %w", err)
		}
		l.words = "steps " + f.steps
	default:
		if !(f.rate > 0 && f.rate <= 1e9) {
			return nil, usagef("--rate %g: want requests a second, above 0 and up to 1e9", f.rate)
		}
		pieces = model.Steady(f.rate)
		l.words = num(f.rate) + "/s"
	}
	if err != nil {
		return nil, err
	}
	if f.keepalive > 1 {
		for i := range pieces {
			pieces[i].Rate /= float64(f.keepalive)
			pieces[i].Slope /= float64(f.keepalive)
		}
		l.words += fmt.Sprintf(", %d requests on each connection", f.keepalive)
	}
	l.arrivals = func() model.Arrivals { return model.Even(pieces) }
	if f.random {
		l.arrivals = func() model.Arrivals { return model.Poisson(pieces) }
		l.words += " at random"
	}
	return l, nil
}

// parseRamp reads "0-1000/5m".
func parseRamp(s string) (model.Load, error) {
	rates, in, ok := strings.Cut(s, "/")
	from, to, ok2 := strings.Cut(rates, "-")
	a, err := strconv.ParseFloat(from, 64)
	b, err2 := strconv.ParseFloat(to, 64)
	d, err3 := time.ParseDuration(in)
	if !ok || !ok2 || err != nil || err2 != nil || err3 != nil || !(a >= 0 && a <= 1e9) || !(b >= 0 && b <= 1e9) || d <= 0 {
		return nil, usagef("--ramp %q is no ramp: want FROM-TO/TIME such as 0-1000/5m", s)
	}
	return model.Ramp(a, b, d.Seconds()), nil
}

// readTrace reads a file of times.
func readTrace(name string) (*load, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer f.Close()
	times, err := parseTrace(f)
	if err != nil {
		return nil, fmt.Errorf("--trace %s: %w", name, err)
	}
	return &load{
		words: fmt.Sprintf("%s of %s", count(len(times), "connect"), name), length: times[len(times)-1] + time.Second,
		arrivals: func() model.Arrivals { return model.Trace(times) },
	}, nil
}

// parseTrace reads the first field of each line as a time in seconds. A first line
// that begins with no number is a head. The first time is the begin of the run.
func parseTrace(r io.Reader) (times []time.Duration, err error) {
	first, last, line := 0.0, math.Inf(-1), 0
	for s := bufio.NewScanner(r); ; {
		if !s.Scan() {
			if err := s.Err(); err != nil {
				return nil, fmt.Errorf("line %d: %w", line+1, err)
			}
			break
		}
		line++
		text := strings.TrimSpace(s.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		field := text
		if i := strings.IndexAny(text, ",;\t "); i >= 0 {
			field = text[:i]
		}
		t, err := strconv.ParseFloat(field, 64)
		switch {
		case err != nil && line == 1:
			continue
		case err != nil || math.IsNaN(t) || math.IsInf(t, 0):
			return nil, fmt.Errorf("line %d: %q is no time: want seconds such as 12.345", line, cutText(field))
		case t < last:
			return nil, fmt.Errorf("line %d: %g s comes after %g s: want ascending times", line, t, last)
		}
		if len(times) == 0 {
			first = t
		}
		last = t
		if t-first > 3e8 {
			return nil, fmt.Errorf("line %d: the trace is longer than ten years", line)
		}
		times = append(times, time.Duration(math.Round((t-first)*1e9)))
	}
	if len(times) == 0 {
		return nil, fmt.Errorf("there is no time in it: want seconds, one a line")
	}
	return times, nil
}

// cutText shortens text from outside so that it fits into a sentence.
func cutText(s string) string {
	if s = clean(s); len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
