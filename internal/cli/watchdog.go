package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/remedy"
)

// watchdogCommand is what --rollback-after leaves behind. It waits, and undoes
// what is not confirmed by then.
const watchdogCommand = "watchdog"

func (a *app) watchdogCommand() *cobra.Command {
	f := new(changeFlags)
	var until string
	var id int
	c := &cobra.Command{
		Use:    watchdogCommand,
		Hidden: true,
		Short:  "Undo what is not confirmed in time",
		Long:   "What --rollback-after leaves behind. It is not for people.\n\nEXIT STATUS\n  0   confirmed or undone\n  3   could not be undone\n  64  wrong usage",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := time.Parse(time.RFC3339Nano, until)
			if err != nil {
				return usagef("--until %q: want a time such as 2006-01-02T15:04:05Z", until)
			}
			ignoreHangup()
			return a.guard(cmd.Context(), f, id, t)
		},
	}
	f.addState(c)
	c.Flags().StringVar(&until, "until", "", "undo what is not confirmed by this `time`")
	c.Flags().IntVar(&id, "change", 0, "end early when the change of this `number` is confirmed or undone")
	return c
}

// look is how often the watchdog looks at the clock, which may be set, and at the
// journal.
const look = 200 * time.Millisecond

// guard waits for a time and undoes what is due then. It ends early when there is
// nothing to undo any more. The change that it is there for may not have begun.
func (a *app) guard(ctx context.Context, f *changeFlags, id int, until time.Time) error {
	for time.Now().Round(0).Before(until) {
		if changes, err := remedy.Read(f.stateDir); err == nil && id > 0 && id <= len(changes) {
			c := changes[id-1]
			if c.Status != remedy.Pending && (c.Status != remedy.InForce || c.Until == nil) {
				return nil
			}
		}
		if err := sleep(ctx, min(look, time.Until(until)+time.Millisecond)); err != nil {
			return err
		}
	}
	for {
		j, err := a.journal(ctx, f)
		var locked *remedy.LockedError
		switch {
		case errors.As(err, &locked):
			if err := sleep(ctx, look); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		return j.Close()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// watch leaves a process behind that outlives this one, its shell and its session.
func (a *app) watch(ctx context.Context, f *changeFlags, id int, until time.Time) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{watchdogCommand, "--state-dir", f.stateDir, "--change", strconv.Itoa(id), "--until", until.UTC().Format(time.RFC3339Nano)}
	if run := systemdRun(self, args); run != nil {
		if out, err := exec.CommandContext(ctx, run[0], run[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", run[0], err, out)
		}
		return nil
	}
	cmd := exec.Command(self, args...) // not with ctx: it is to outlive this process
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// systemdRun returns the command that makes the watchdog a unit of its own: where
// systemd runs, logging out may end every process of the session, those that left
// it too (KillUserProcesses= in logind.conf(5)). It is nil where there is no
// systemd, and where this process has other mounts than it: the unit would not see
// the files that were changed.
func systemdRun(self string, args []string) []string {
	if fi, err := os.Stat("/run/systemd/system"); err != nil || !fi.IsDir() {
		return nil
	}
	path, err := exec.LookPath("systemd-run")
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if init, err2 := os.Readlink("/proc/1/ns/mnt"); err != nil || err2 != nil || mine != init {
		return nil
	}
	return append([]string{path, "--quiet", "--collect", "--description=portroom: undo what is not confirmed", self}, args...)
}
