package cli

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/model"
)

const planLong = `Say what a system can open: how many ports it has for a load, for how long each
connection holds one, and so the highest rate that lasts. For a rate, say whether it
lasts, when the first connect fails in each way to grow, and what would help.

--system is this host, or any of the systems that --list prints, with the settings
that --set gives it. --snat-ports adds a NAT on the way, which has so many ports for
each destination. --goal asks what it takes to sustain a rate.

Nothing is opened and nothing is changed. Where sources disagree the cautious end is
printed, with both ends beside it.

EXIT STATUS
  0   printed, whether the rate lasts or not
  3   this host could not be measured, or the file not be read
  64  wrong usage`

type planFlags struct {
	modelFlags
	system     string
	list, cite bool
	rate, goal float64
	keepalive  int
	snatPorts  int
	snatHold   time.Duration

	before, growth, leak float64
	double               time.Duration
	held                 int
}

func (a *app) planCommand() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan",
		Short: "Say which rate a system sustains, when it fails, and what would help",
		Long:  planLong,
		Example: `  portroom plan --rate 500 --lifetime 200ms
  portroom plan --system windows-server-2003 --rate 100
  portroom plan --system windows-server-2003 --set MaxUserPort=65534 --rate 100
  portroom plan --goal 5000 --destinations 3
  portroom plan --system linux --rate 400 --snat-ports 1024 --snat-hold 65s
  portroom plan --list
  portroom plan --list --system macos
  portroom pools --json > pools.json; portroom plan --pools pools.json --rate 500`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return a.listSystems(f.system, cmd.Flags().Changed("system"))
			}
			for _, name := range []string{"rate", "goal"} {
				if v, _ := cmd.Flags().GetFloat64(name); cmd.Flags().Changed(name) && !(v > 0 && v <= 1e12) {
					return usagef("--%s %g: want requests a second, above 0 and up to 1e12", name, v)
				}
			}
			if f.rate > 0 && f.goal > 0 {
				return usagef("--rate asks what comes of a rate and --goal what it takes: want one of the two")
			}
			if f.snatPorts == 0 && cmd.Flags().Changed("snat-hold") {
				return usagef("--snat-hold says how long a NAT holds a port: want --snat-ports as well")
			}
			return a.answerPlan(cmd, &f)
		},
	}
	c.Flags().StringVar(&f.system, "system", thisHost, "the `system`: this host, or one that --list prints")
	f.add(c)
	p := c.Flags()
	p.BoolVar(&f.list, "list", false, "print every system and its numbers; with --system, its settings")
	p.BoolVar(&f.cite, "cite", false, "print each number's source")
	p.Float64Var(&f.rate, "rate", 0, "how many `requests` a second come")
	p.Float64Var(&f.goal, "goal", 0, "how many `requests` a second are to be sustained")
	p.IntVar(&f.keepalive, "keepalive", 1, "how many `requests` share one connection")
	p.IntVar(&f.snatPorts, "snat-ports", 0, "a NAT on the way has so many `ports` for each destination")
	p.DurationVar(&f.snatHold, "snat-hold", 2*time.Minute, "how long that NAT holds a port after the close: a `duration`; 2m is that of Linux, 65s that of Azure's NAT gateway")
	p.Float64Var(&f.before, "before", 0, "the `rate` until now, for the ways to grow; else half of what lasts")
	p.Float64Var(&f.growth, "growth", 0, "by how much the rate grows each second: `requests` a second; else by itself in an hour")
	p.DurationVar(&f.double, "double", time.Hour, "in which `time` the rate doubles")
	p.Float64Var(&f.leak, "leak", 1, "how many `sockets` a second are never closed")
	p.IntVar(&f.held, "held", 0, "how many `ports` are held now, for the leak")
	_ = c.RegisterFlagCompletionFunc("system", cobra.FixedCompletions(systemNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// answer is what the model says, with what it was asked.
type answer struct {
	flags  *planFlags
	host   *model.Answer
	snat   *model.Answer // nil without --snat-ports
	notes  []string
	answer *model.Answer // the tighter of the two
}

// limit says which of the two is the tighter.
func (p *answer) limit() string {
	if p.answer == p.snat {
		return "snat"
	}
	return "system"
}

func (a *app) answerPlan(cmd *cobra.Command, f *planFlags) error {
	life, err := model.ParseLifetime(f.lifetime)
	if err != nil {
		return usagef("--lifetime %w", err)
	}
	server, err := f.serverCloses()
	if err != nil {
		return err
	}
	q := model.Question{
		Rate: max(f.rate, f.goal), KeepAlive: f.keepalive, Lifetime: life.Mean(), Sources: f.sources, Destinations: f.destinations,
		ServerCloses: server, Before: f.before, Growth: f.growth, Double: f.double.Seconds(), Leak: f.leak, Held: float64(f.held),
	}
	// What can be said without the host is said before it is measured.
	if err := q.Check(); err != nil {
		return usageError{err}
	}
	s, err := f.resolve(cmd.Context(), a, f.system)
	if err != nil {
		return err
	}
	q.Pool = s.pool
	if !cmd.Flags().Changed("held") {
		q.Held = float64(s.held)
	}
	p := answer{flags: f, notes: s.notes}
	if p.host, err = model.Plan(q); err != nil {
		return usageError{err}
	}
	p.answer = p.host
	if f.snatPorts != 0 {
		if f.snatPorts < 1 || f.snatPorts > 1<<24 || f.snatHold < 0 {
			return usagef("--snat-ports %d --snat-hold %s: want 1 to 16777216 ports and no negative time", f.snatPorts, f.snatHold)
		}
		q.Pool, q.Sources, q.Held = model.Upstream(f.snatPorts, f.snatHold.Seconds()), 1, 0
		if p.snat, err = model.Plan(q); err != nil {
			return usageError{err}
		}
		if p.snat.Ceiling.Low < p.host.Ceiling.Low {
			p.answer = p.snat
		}
	}
	if a.json {
		return printJSON(a.stdout, jsonPlan(&p))
	}
	return a.printPlan(&p)
}

// num writes a number for people: at most two decimals, and none of a large one.
func num(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "no limit"
	case v >= 1e6:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%g", model.Round(v))
}

// ends writes "240", or "240 (120 to 240)": the cautious end first.
func ends(b model.Bounds, cautious float64, unit string) string {
	s := num(cautious) + unit
	if math.IsInf(cautious, 1) {
		return num(cautious)
	}
	if !b.Certain() {
		s += fmt.Sprintf(" (%s to %s)", num(b.Low), num(b.High))
	}
	return s
}
