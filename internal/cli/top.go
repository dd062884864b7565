package cli

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/portroom/portroom/internal/top"
)

const topLong = `Show the pools live, tightest first: how full each is, how many ports are taken and
given back a second, when it will be full, and how many connects are refused. Enter
looks into a pool: who holds its ports, in which states, how long connections live,
and each port on a map. ? shows what the columns mean, and the keys.

It measures once a second, and less often when that would take more than 18 % of one
processor: with a million sockets every few seconds. Refusals are seen where BPF can
run; docs/trace.md says what is counted.

EXIT STATUS
  0   it was quit
  3   it could not measure
  64  wrong usage, or the output is no terminal`

// topShare is the part of one processor that top may take. It is to remain under 20 %
// with what no sample accounts for.
const topShare = 0.18

// leastInterval is the shortest time from one measurement to the next.
const leastInterval = 100 * time.Millisecond

func (a *app) topCommand() *cobra.Command {
	interval := time.Second
	c := &cobra.Command{
		Use:   "top",
		Short: "Show the pools live, tightest first, and look into one",
		Long:  topLong,
		Example: `  portroom top
  portroom top --netns web1
  portroom top --all-namespaces --interval 5s`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case a.json:
				return usagef("top draws a screen: for JSON use pools --json")
			case interval < leastInterval || interval > time.Hour:
				return usagef("--interval %s: want %s to %s", interval, leastInterval, time.Hour)
			case a.width == 0 || !term.IsTerminal(int(os.Stdin.Fd())):
				return usagef("top draws a screen and needs a terminal, and here is none: use pools, which prints the same once")
			}
			return a.top(cmd.Context(), interval)
		},
	}
	c.Flags().DurationVar(&interval, "interval", interval, "measure at most once in this `time`")
	return c
}

// top runs the screen, and beside it what measures.
func (a *app) top(ctx context.Context, interval time.Duration) error {
	if err := supported(); err != nil {
		return err
	}
	scope, err := a.topScope()
	if err != nil {
		return err
	}
	m, err := a.newTopMeasurer(interval, scope)
	if err != nil {
		return err
	}
	// It lives long, unlike what the default is chosen for.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	model := top.New(top.Options{Color: a.color, ASCII: a.ascii, Request: m.request, Ask: m.ask})
	// Signals come by ctx, and are a good end.
	p := tea.NewProgram(model, tea.WithContext(ctx), tea.WithoutSignalHandler())
	measured := make(chan error, 1)
	go func() {
		measured <- m.run(ctx, func(s *top.Snapshot) { p.Send(s) })
	}()
	_, err = p.Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil && !errors.Is(err, tea.ErrProgramPanic) {
		err = nil
	}
	stop()
	return errors.Join(err, <-measured)
}

// topScope is what the flags name.
func (a *app) topScope() (top.Scope, error) {
	if a.allNamespaces || runtime.GOOS != "linux" {
		return top.Scope{All: a.allNamespaces}, nil
	}
	list, err := a.namespaces()
	if err != nil {
		return top.Scope{}, err
	}
	return top.Scope{ID: list[0].ID}, nil
}
