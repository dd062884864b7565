package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/trace"
)

const watchLong = `Print a line for each pool in which connects are refused for want of a source port,
as it happens: when, whose, from where, to whom, how many in that second, and how
many ports of the pool are held. It watches all network namespaces, or the one of
--netns, until Ctrl-C or for the time of --for.

A refused connect changes no counter of the kernel; a BPF program sees it. Where
that cannot run, the pools are measured once a second instead, and what is printed
is only which of them are full: docs/trace.md says what is seen and what is not.

--exec runs a command at the first refusal of a pool, and not again for that pool
until --quiet-period has passed. It is run by sh -c (cmd /c on Windows) with
PORTROOM_TIME, PORTROOM_NETNS, PORTROOM_PROTO, PORTROOM_SRC, PORTROOM_DST,
PORTROOM_PID, PORTROOM_COMMAND, PORTROOM_CGROUP and PORTROOM_ERRNO set. What it
prints goes to stderr.

EXIT STATUS
  0   it has watched until it was told to end
  3   it could not watch
  64  wrong usage`

type watchFlags struct {
	span  time.Duration
	exec  string
	quiet time.Duration
}

func (a *app) watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch",
		Short: "Print each refused connect as it happens, and whose it was",
		Long:  watchLong,
		Example: `  portroom watch
  portroom watch --netns web1 --for 10m
  portroom watch --json --for 10s | jq -s 'map(.count) | add'
  portroom watch --exec 'logger "no port left to $PORTROOM_DST"' --quiet-period 10m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.span < 0 || f.quiet < 0 {
				return usagef("--for %s --quiet-period %s: want lengths of time such as 10s or 5m", f.span, f.quiet)
			}
			if cmd.Flags().Changed("quiet-period") && f.exec == "" {
				return usagef("--quiet-period is for --exec, which was not given")
			}
			return a.watchRefusals(cmd.Context(), f)
		},
	}
	c.Flags().DurationVar(&f.span, "for", 0, "end after this `time` instead of at Ctrl-C")
	c.Flags().StringVar(&f.exec, "exec", "", "run this `command` at the first refusal of a pool")
	c.Flags().DurationVar(&f.quiet, "quiet-period", 5*time.Minute, "how long after that the command is not run again for the pool")
	return c
}

// watchRefusals watches until its time is over or a signal comes; both are a good end.
func (a *app) watchRefusals(ctx context.Context, f watchFlags) error {
	if err := supported(); err != nil {
		return err
	}
	var only *netns.Namespace
	if a.netns != "" {
		ns, err := netns.Find(a.netns)
		if err != nil {
			return err
		}
		only = &ns
	}
	if f.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.span)
		defer cancel()
	}
	hook := newHook(f.exec, f.quiet, a.stderr)
	defer hook.wait()
	if a.noBPF {
		return a.poll(ctx, only, hook, errors.New("BPF was not to be used"))
	}
	tr, err := trace.Start(ctx, trace.Options{})
	var unavailable *trace.UnavailableError
	if errors.As(err, &unavailable) {
		return a.poll(ctx, only, hook, err)
	}
	if err != nil {
		return err
	}
	w := &watcher{a: a, tracer: tr, only: only, hook: hook, rooms: rooms{a: a}, begun: time.Now()}
	return errors.Join(w.run(ctx), tr.Close())
}

// A watcher turns what a tracer counts into lines.
type watcher struct {
	a      *app
	tracer *trace.Tracer
	only   *netns.Namespace // nil for all
	hook   *hook
	rooms  rooms

	begun    time.Time
	last     *trace.Aggregates
	lost     trace.Lost // as far as it was told
	refused  uint64     // printed so far
	connects uint64
}

func (w *watcher) run(ctx context.Context) error {
	where := "all network namespaces"
	if w.only != nil {
		where = "network namespace " + w.only.Label
	}
	fmt.Fprintf(w.a.stderr, "portroom: watching connects in %s\n", where)
	second := w.begun.Truncate(time.Second)
	timer := time.NewTimer(time.Until(second.Add(time.Second)))
	defer timer.Stop()
	refusals := w.tracer.Refusals()
	for {
		select {
		case r, ok := <-refusals:
			if !ok {
				refusals = nil // ctx has ended, or is about to
			} else if w.wants(r.Netns) {
				w.hook.fire(ctx, r)
			}
		case <-timer.C:
			if err := w.tick(ctx, second); err != nil {
				return err
			}
			now := time.Now()
			second = now.Truncate(time.Second)
			timer.Reset(second.Add(time.Second).Sub(now))
		case <-ctx.Done():
			// What was refused since the last second counts as well.
			if err := w.tick(context.WithoutCancel(ctx), second); err != nil {
				return err
			}
			w.summary()
			return nil
		}
	}
}

func (w *watcher) wants(id uint64) bool { return w.only == nil || w.only.ID == id }

// tick prints what was refused in the second that began at this time.
func (w *watcher) tick(ctx context.Context, second time.Time) error {
	now, err := w.tracer.Read()
	if err != nil {
		return err
	}
	var list []refusal
	for _, r := range now.Since(w.last) {
		if !w.wants(r.Netns) {
			continue
		}
		w.connects += r.Connects
		if r.Refused > 0 {
			list = append(list, newRefusal(second, &r, r.Refused, reasonNoPort))
		}
		if r.RefusedBound > 0 {
			list = append(list, newRefusal(second, &r, r.RefusedBound, reasonTaken))
		}
		if n := r.Refused + r.RefusedBound; n > 0 {
			w.refused += n
			// Its event may not have come: they are limited, and end with ctx.
			w.hook.fire(ctx, trace.Refusal{Flow: r.Flow, Time: now.At, Command: r.Command, Cgroup: r.Cgroup})
		}
	}
	w.last = now
	w.tell(now.Lost)
	if len(list) == 0 {
		return nil
	}
	w.rooms.fill(ctx, list)
	return w.a.printRefusals(list)
}

// tell says of each kind of loss when there is more of it.
func (w *watcher) tell(l trace.Lost) {
	if n := l.Refused - w.lost.Refused; n > 0 {
		fmt.Fprintf(w.a.stderr, "portroom: %s more cannot be shown: too many processes and destinations at a time\n", count(int(n), "refused connect"))
	}
	w.lost = l
}

func (w *watcher) summary() {
	if w.a.json {
		return
	}
	fmt.Fprintf(w.a.stderr, "portroom: %s refused of %d in %s\n",
		count(int(w.refused), "connect"), w.connects, time.Since(w.begun).Round(100*time.Millisecond))
}

// shell is how a command line is run here.
func shell(line string) (string, []string) {
	if runtime.GOOS == "windows" {
		return "cmd", []string{"/c", line}
	}
	return "sh", []string{"-c", line}
}
