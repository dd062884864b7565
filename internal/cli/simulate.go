package cli

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/model"
)

const simulateLong = `Play connections one by one against a system's own way to find a port, and count what
is granted and what is refused. This answers what no formula does: bursts after the
first failure, the cost of the search, searches that give up before all is taken.

--system may be given several times, and may carry settings of its own:
--system 'linux tcp_tw_reuse=1'. All systems get the same arrivals. The load is one of
--rate, --ramp, --steps and --trace. The same --seed gives the same result.

Of what is uncertain the cautious end is played, with --hopeful the other one. Ctrl-C
ends a run early and prints what there is.

EXIT STATUS
  0   played to the end
  3   interrupted; or this host, or a file, could not be read or written
  64  wrong usage`

type simulateFlags struct {
	modelFlags
	loadFlags
	systems  []string
	hopeful  bool
	duration time.Duration
	seed     uint64
	samples  int

	csv, svg, png string
}

func (a *app) simulateCommand() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Play a load against a system's search for ports",
		Long:  simulateLong,
		Example: `  portroom simulate --system linux --rate 1000 --duration 10m
  portroom simulate --system windows-2000 --rate 100 --duration 1h --csv run.csv
  portroom simulate --system linux --system 'linux tcp_tw_reuse=1' --steps 0s=100,2m=2000
  portroom simulate --ramp 0-1000/5m --lifetime exp:2s --random
  portroom simulate --system nf_nat --rate 530 --random --duration 1h --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd, &f) },
	}
	p := c.Flags()
	p.StringArrayVar(&f.systems, "system", []string{thisHost}, "the `system`: this host, or one that portroom plan --list prints, with settings or without; may be given again")
	f.modelFlags.add(c)
	f.loadFlags.add(c)
	p.BoolVar(&f.hopeful, "hopeful", false, "play the end of uncertain numbers that fails later")
	p.DurationVar(&f.duration, "duration", 10*time.Minute, "how long the load goes on: a `duration`; of a trace all of it")
	p.Uint64Var(&f.seed, "seed", 1, "the `number` that chance is drawn from")
	p.IntVar(&f.samples, "samples", 600, "into how many `stretches` of time the series of --csv, --svg and --png is cut")
	p.StringVar(&f.csv, "csv", "", "write the series to this `file`; - is the output")
	p.StringVar(&f.svg, "svg", "", "draw the series into this `file`: held, TIME_WAIT, refused, search")
	p.StringVar(&f.png, "png", "", "the same as PNG into this `file`")
	_ = c.RegisterFlagCompletionFunc("system", cobra.FixedCompletions(systemNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// simulated is one system with how it did.
type simulated struct {
	label  string // as it was asked for
	pool   model.Pool
	result *model.Result
}

func (f *simulateFlags) check() error {
	const longest = 10 * 365 * 24 * time.Hour
	switch {
	case f.duration <= 0 || f.duration > longest:
		return usagef("--duration %s: want a time above 0 and up to ten years", f.duration)
	case f.samples < 1 || f.samples > 1_000_000:
		return usagef("--samples %d: want 1 to 1000000", f.samples)
	case len(f.systems) > 8:
		return usagef("%d systems: want up to 8", len(f.systems))
	case f.pools != "" && (len(f.systems) > 1 || f.systems[0] != thisHost):
		return usagef("--pools is a measured host and goes with no other --system")
	}
	return nil
}

func (a *app) simulate(cmd *cobra.Command, f *simulateFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	life, err := model.ParseLifetime(f.lifetime)
	if err != nil {
		return usagef("--lifetime %w", err)
	}
	server, err := f.serverCloses()
	if err != nil {
		return err
	}
	load, err := f.load(cmd.Flags(), life)
	if err != nil {
		return err
	}
	if load.length > 0 && !cmd.Flags().Changed("duration") {
		f.duration = load.length
	}
	// The first release comes at no time of note.
	phase := rand.New(rand.NewPCG(f.seed, 1)).Int64N(1 << 15)
	runs := make([]model.Run, len(f.systems))
	out := make([]simulated, len(f.systems))
	for i, system := range f.systems {
		s, err := f.resolveWith(cmd.Context(), a, system)
		if err != nil {
			return err
		}
		for _, n := range s.notes {
			a.note(n)
		}
		if f.hopeful {
			s.pool = s.pool.Hopeful()
		}
		out[i] = simulated{label: system, pool: s.pool}
		runs[i] = model.Run{Pool: s.pool, Lifetime: life, ServerCloses: server, Sources: f.sources, Destinations: f.destinations,
			Duration: f.duration, Seed: f.seed, Samples: f.samples,
			Phase: phase, Clock: time.Duration(phase) * time.Millisecond / 10}
		if err := runs[i].Check(); err != nil {
			return usageError{err}
		}
	}
	stopped := a.play(cmd.Context(), runs, out, load)
	if stopped != nil && !errors.Is(stopped, context.Canceled) {
		return usageError{stopped} // the load brings no connect
	}
	for len(out) > 0 && out[len(out)-1].result == nil {
		out = out[:len(out)-1] // its turn did not come
	}
	if len(out) == 0 {
		return stopped
	}
	if err := a.writeSeries(f, load, out); err != nil {
		return err
	}
	if f.csv != "-" {
		if err := a.printSimulated(f, load, out); err != nil {
			return err
		}
	}
	return stopped
}

// play runs one system after the other, and says how far it is.
func (a *app) play(ctx context.Context, runs []model.Run, out []simulated, load *load) error {
	bar := &progress{w: a.stderr}
	defer bar.clear()
	for i := range runs {
		r := &runs[i]
		r.Arrivals = load.arrivals()
		if a.progress {
			r.Progress = func(done float64) { bar.bar(out[i].label, done) }
		}
		var err error
		if out[i].result, err = model.Simulate(ctx, *r); err != nil {
			return err
		}
	}
	return nil
}

// resolveWith reads a system with its own settings, "linux tcp_tw_reuse=1". What
// --set says holds for all.
func (f *simulateFlags) resolveWith(ctx context.Context, a *app, system string) (subject, error) {
	words := strings.Fields(system)
	if len(words) == 0 {
		return subject{}, usagef("--system names nothing: want %s or one that portroom plan --list prints", thisHost)
	}
	one := f.modelFlags
	if p, err := model.Find(words[0]); err == nil && len(f.systems) > 1 && !p.Has(setHZ) {
		one.hz = 0 // --hz is for those that have a tick
	}
	one.set = append(append([]string{}, f.set...), words[1:]...)
	return one.resolve(ctx, a, words[0])
}

// note says something that is not a result.
func (a *app) note(s string) { _, _ = a.stderr.Write([]byte("portroom: " + s + "\n")) }

// toFile writes to a file as a whole, or to the output for "-".
func (a *app) toFile(name string, write func(w *os.File) error) error {
	if err := writeFile(name, write); err != nil {
		return err
	}
	if !a.json {
		a.note("wrote " + name)
	}
	return nil
}
