package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/model"
)

// thisHost is the name of the host that the command runs on, among the systems.
const thisHost = "this"

// modelFlags say which system is asked about, and what connects to what. plan and
// simulate share them.
type modelFlags struct {
	set          []string
	hz           int
	pools, dst   string
	blocked      int
	lifetime     string
	sources      int
	destinations int
	closes       string
}

func (f *modelFlags) add(c *cobra.Command) {
	p := c.Flags()
	p.StringArrayVar(&f.set, "set", nil, "a setting of the system as `NAME=VALUE`, such as MaxUserPort=65534; may be given again")
	p.IntVar(&f.hz, "hz", 0, "`ticks` a second of a Linux kernel (CONFIG_HZ): they decide how late TIME_WAIT ends; of this host it is known")
	p.StringVar(&f.pools, "pools", "", "take the host from `FILE`, written by portroom pools --json, instead of measuring")
	p.StringVar(&f.dst, "dst", "", "with --pools: the pool of this `destination`; else the tightest TCP pool")
	p.IntVar(&f.blocked, "blocked", 0, "take so many `ports` away: listeners and explicit binds in the range")
	p.StringVar(&f.lifetime, "lifetime", "0s", "how long a connection lives: a `duration`, or exp:MEAN, uniform:FROM-TO, lognormal:MEDIAN,SIGMA, pareto:LEAST,SHAPE")
	p.IntVar(&f.sources, "sources", 1, "from how many source `addresses`; of a NAT, how many it has")
	p.IntVar(&f.destinations, "destinations", 1, "to how many `destinations`, address and port pairs")
	p.StringVar(&f.closes, "closes", "client", "`who` closes first and keeps TIME_WAIT: client or server")
	_ = c.RegisterFlagCompletionFunc("closes", cobra.FixedCompletions([]string{"client", "server"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("set", completeSetting)
	_ = c.MarkFlagFilename("pools", "json")
}

// systemNames are what --system takes.
func systemNames() []string {
	return slices.Concat([]string{thisHost}, model.Names(), model.WindowsReleases())
}

// completeSetting proposes the settings of the systems that were named before it.
func completeSetting(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, name := range strings.Split(cmd.Flag("system").Value.String(), ",") {
		if name = strings.Trim(name, "[]"); name == thisHost {
			name = "linux"
		}
		if p, err := model.Find(name); err == nil {
			for _, s := range p.Settings {
				if !slices.Contains(out, s.Name+"=") {
					out = append(out, s.Name+"=")
				}
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// serverCloses reads --closes.
func (f *modelFlags) serverCloses() (bool, error) {
	switch f.closes {
	case "client", "server":
		return f.closes == "server", nil
	}
	return false, usagef("--closes %q: want client or server", f.closes)
}

// subject is a system, all settings applied, and how many of its ports are held now.
type subject struct {
	pool model.Pool
	held int
	// notes are sentences on what was assumed.
	notes []string
}

// resolve makes the pool of a system: of this host by measuring it, or from a file.
func (f *modelFlags) resolve(ctx context.Context, a *app, system string) (s subject, err error) {
	set, err := loadSettings(f.set)
	if err != nil {
		return s, err
	}
	switch {
	case f.dst != "" && f.pools == "":
		return s, usagef("--dst picks one pool of a file: want --pools FILE as well")
	case f.hz < 0:
		return s, usagef("--hz %d: want ticks a second, 24 to 1200", f.hz)
	case f.pools != "" && system != thisHost:
		return s, usagef("--pools is a measured host and --system %s is none: want one of the two", system)
	case f.pools != "" && (len(set) > 0 || f.hz > 0):
		return s, usagef("--set and --hz do not go with --pools: a saved measurement has numbers and no settings")
	case f.pools != "":
		s, err = savedPool(f.pools, f.dst)
	case system == thisHost:
		s, err = a.livePool(ctx, set, f.hz)
	default:
		s.pool, err = catalogPool(system, set, f.hz)
	}
	if err != nil {
		return s, err
	}
	if f.blocked != 0 {
		if err := s.pool.Block(f.blocked); err != nil {
			return s, usageError{err}
		}
	}
	return s, nil
}

// catalogPool is the pool of a system that is not at hand.
func catalogPool(system string, set []model.Assignment, hz int) (model.Pool, error) {
	p, err := model.Find(system)
	if err != nil {
		return model.Pool{}, usagef("--system %w", err)
	}
	pool, err := p.Resolve(withHZ(set, hz))
	if err != nil {
		return pool, usageError{err}
	}
	return pool, nil
}

func loadSettings(words []string) (set []model.Assignment, err error) {
	for _, w := range words {
		s, err := model.ParseAssignment(w)
		if err != nil {
			return nil, usagef("--set %w", err)
		}
		set = append(set, s)
	}
	return set, nil
}

// setHZ is the setting that --hz stands for.
const setHZ = "CONFIG_HZ"

func withHZ(set []model.Assignment, hz int) []model.Assignment {
	if hz == 0 {
		return set
	}
	return append(slices.Clone(set), model.Assignment{Name: setHZ, Value: itoa(hz)})
}

// errNoPool says that a file has no pool of the kind.
var errNoPool = errors.New("there is no TCP pool in it: want what portroom pools --json writes on a host with connections")
