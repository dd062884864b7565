// The bench measures portroom against its peers, side by side in one run:
//
//	go run ./test/bench [--quick] [--runs N] [--rows a,b,…] [--json]
//
// It makes socket populations in network namespaces of its own and a registry hive,
// runs portroom and a peer over them in turn, and prints one row for each claim of
// docs/performance.md. It needs Linux, root, ss(8) and ip(8) of iproute2, and for the
// rows about hives hivexget, hivexregedit and reglookup.
//
// EXIT STATUS: 0 all targets met · 1 one was missed · 3 could not be measured ·
// 64 wrong usage.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/portroom/portroom/test/load"
)

// options is what the command line says.
type options struct {
	runs     int
	quick    bool
	rows     []string // none means all
	portroom string   // a built portroom; empty means build one
	progress io.Writer
}

func (o options) wants(row string) bool { return len(o.rows) == 0 || slices.Contains(o.rows, row) }

// result is one row of the table, and with --json one object of the array.
type result struct {
	Row     string   `json:"row"`
	Work    string   `json:"work"`
	A       string   `json:"a"`
	B       string   `json:"b,omitempty"`
	ASecs   float64  `json:"a_seconds"`           // median
	BSecs   float64  `json:"b_seconds,omitempty"` // median
	ARuns   int      `json:"a_runs"`
	BRuns   int      `json:"b_runs,omitempty"`
	Ratio   float64  `json:"b_over_a,omitempty"` // how many times as long the peer takes
	PeakKiB int64    `json:"a_peak_rss_kib"`     // the highest of all runs
	Target  string   `json:"target,omitempty"`
	Met     *bool    `json:"met,omitempty"` // absent when there is no target to judge
	Notes   []string `json:"notes,omitempty"`
}

func main() {
	load.Child()
	bareChild()
	hiveChild()
	connectChild()
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	o := options{progress: os.Stderr}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.runs, "runs", 5, "measure each pair `N` times and print medians")
	f.BoolVar(&o.quick, "quick", false, "small populations, to try the bench itself: targets are not judged")
	f.StringVar(&o.portroom, "portroom", "", "measure the program at `PATH` instead of building one")
	rows := f.String("rows", "", "measure only these `rows`, such as a,b,f")
	asJSON := f.Bool("json", false, "print a JSON array")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 64
	}
	if *rows != "" {
		o.rows = strings.Split(*rows, ",")
	}
	for _, r := range o.rows {
		if !slices.Contains(rowNames, r) {
			return usage("there is no row %q; the rows are %s", r, strings.Join(rowNames, ","))
		}
	}
	if f.NArg() > 0 {
		return usage("unexpected argument %q", f.Arg(0))
	}
	if o.runs < 1 {
		return usage("--runs %d: must be at least 1", o.runs)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := measure(ctx, o)
	// What was measured before an error is printed all the same.
	if *asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if results == nil {
			results = []result{}
		}
		if e := e.Encode(results); e != nil && err == nil {
			err = e
		}
	} else if len(results) > 0 {
		printTable(os.Stdout, results)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "bench: interrupted:", err)
		return 3
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	}
	if slices.ContainsFunc(results, func(r result) bool { return r.Met != nil && !*r.Met }) {
		return 1
	}
	return 0
}

func usage(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
	return 64
}

func printTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\twork\tA\tB\tA median\tB median\tB ÷ A\tpeak of A\ttarget\tmet")
	for _, r := range results {
		b, bMedian, ratio, target, met := "–", "–", "–", "–", "–"
		if r.B != "" {
			b, bMedian, ratio = r.B, seconds(r.BSecs), fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Target != "" {
			target = r.Target
		}
		if r.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*r.Met]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Row, r.Work, r.A, b, seconds(r.ASecs), bMedian, ratio, fmt.Sprintf("%.1f MiB", float64(r.PeakKiB)/1024), target, met)
	}
	t.Flush()
	for _, r := range results {
		for _, n := range r.Notes {
			fmt.Fprintf(w, "%s: %s\n", r.Row, n)
		}
	}
}

// seconds prints s as milliseconds below 10 s, so that a column compares easily.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
