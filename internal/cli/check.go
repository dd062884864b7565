package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/target"
)

const checkLong = `Print on one screen whether destinations are running out of source ports: the
verdict, the tightest pools with who holds them, the ports that are out of reach
for every destination, and findings: what is wrong or soon will be, by what
evidence, and what helps, with what it would gain on this host (docs/findings.md
describes each). On Windows it looks into the event log as well.

--events judges an event log instead, which was exported on any Windows since Vista
with: wevtutil qe System /f:xml > FILE

With --target it judges a Windows system by its settings alone: what Microsoft's
articles say of each value, and how much of the ephemeral range is reserved or
excluded. Default settings are no fault; settings that do not do what whoever set
them believes are a warning.

The exit status follows the convention of monitoring plugins.

EXIT STATUS
  0   every pool is below --warn, and no finding is critical; of a target, nothing is
      wrong with its settings
  1   a pool is at or above --warn percent held; of a target, a value is out of
      range, of a wrong type, not read or ignored there, or --warn percent of the
      range are reserved or excluded
  2   a pool is at or above --crit percent held, or has no port left, or another
      finding is critical, such as a connection tracking table at --crit percent
      (PR119) or tcp_tw_recycle (PR116); of a target, --crit percent of the range are
      reserved or excluded, or all of it
  3   could not be measured or read
  64  wrong usage`

type checkFlags struct {
	warn, crit int
	events     string
	sample     time.Duration
}

func (a *app) checkCommand() *cobra.Command {
	f := checkFlags{}
	var where targetFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Say on one screen whether ports are running out (the default)",
		Long:  checkLong,
		Example: `  portroom
  portroom check --warn 50 --crit 80
  portroom check --sample 2s
  portroom check --all-namespaces --json
  portroom check --target hive:/mnt/WINNT/system32/config/system`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.warn < 0 || f.crit > 100 || f.warn > f.crit {
				return usagef("--warn %d --crit %d: want percentages with 0 ≤ warn ≤ crit ≤ 100", f.warn, f.crit)
			}
			t, err := where.parse(a)
			if err != nil {
				return err
			}
			if err := f.sampled(t); err != nil {
				return err
			}
			if f.events != "" {
				if a.netns != "" || a.allNamespaces || t.Kind != target.Local {
					return usagef("--events reads a file; it does not go with --target, --netns or --all-namespaces")
				}
				return a.checkEvents(f.events)
			}
			if t.Kind != target.Local {
				return a.checkTarget(cmd.Context(), &where, t, f)
			}
			samples, err := a.sample(cmd.Context(), f.sample)
			if err != nil {
				return err
			}
			var reports []*report
			var events *eventsJSON
			beside := factsOptions(f)
			err = a.survey(cmd.Context(), survey.Options{Owners: true, Services: true, Visit: samples.visit()}, func(v *survey.View) error {
				r := assess(v, f, beside)
				samples.forecast(r, v)
				events = liveEvents(cmd.Context(), r)
				reports = append(reports, r)
				return nil
			})
			if err != nil {
				return err
			}
			worst := levelOK
			for _, r := range reports {
				worst = max(worst, r.level)
			}
			if err := a.printCheck(reports, worst, events); err != nil {
				return err
			}
			if worst != levelOK {
				return statusError(worst)
			}
			return nil
		},
	}
	where.add(c)
	c.Flags().DurationVar(&f.sample, "sample", 0, "measure twice, this `time` apart, and say when pools will be full")
	c.Flags().IntVar(&f.warn, "warn", defaultWarn, "warn when a pool is held to this `percent`")
	c.Flags().StringVar(&f.events, "events", "", "judge this `file` instead of the host: what wevtutil qe System /f:xml printed on a Windows")
	c.Flags().IntVar(&f.crit, "crit", defaultCrit, "critical when a pool is held to this `percent`")
	return c
}
