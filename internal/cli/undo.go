package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/remedy"
)

const undoLong = `Restore exactly what a change found, "absent" included: the latest that can be
undone, or the one with that number; --list shows them. What somebody else changed
since is left alone, and the command says what: --force restores it nevertheless.
An undo is a change like any other: planned, shown, read back and kept in the
journal.

EXIT STATUS
  0   undone, or printed
  3   not undone: everything is as it was before, or the message says what is not
  64  wrong usage`

func (a *app) undoCommand() *cobra.Command {
	f := new(changeFlags)
	var list bool
	c := &cobra.Command{
		Use:   "undo [ID]",
		Short: "Restore what a change found",
		Long:  undoLong,
		Example: `  portroom undo
  portroom undo 3 --yes
  portroom undo --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("undo takes the number of one change, got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				if len(args) > 0 || f.yes || f.dryRun || f.force {
					return usagef("--list shows all changes and does nothing: it goes with --json and --state-dir only")
				}
				return a.listChanges(f)
			}
			if _, err := f.parse(a); err != nil { // the journal knows the target
				return err
			}
			if a.netns != "" {
				return usagef("the journal knows which namespace a change was made in: leave out --netns")
			}
			id := 0
			if len(args) == 1 {
				var err error
				if id, err = strconv.Atoi(args[0]); err != nil || id < 1 {
					return usagef("%q is no number of a change: portroom undo --list shows them", args[0])
				}
			}
			ctx := cmd.Context()
			return a.change(ctx, f, true, func(j *remedy.Journal) (*remedy.Proposal, remedy.Driver, error) {
				c := j.Last()
				var err error
				if id > 0 {
					if c, err = j.Find(id); err != nil {
						return nil, nil, err
					}
				}
				if c == nil {
					return nil, nil, fmt.Errorf("there is nothing to undo: no change in %s is in force", f.stateDir)
				}
				d, err := a.openTarget(ctx, f, c.Plan.Target)
				if err != nil {
					return nil, nil, err
				}
				p := new(remedy.Proposal)
				p.Plan, p.Notes, err = j.Reverse(d, c, f.force)
				if err != nil {
					var changed *remedy.ChangedError
					if errors.As(err, &changed) {
						err = fmt.Errorf("change %d is not undone: %w; --force restores what was there before it", c.ID, err)
					}
					return nil, nil, errors.Join(err, d.Close())
				}
				return p, d, nil
			})
		},
	}
	f.addJournal(c)
	c.Flags().BoolVar(&list, "list", false, "print the changes that were made, and do nothing")
	c.Flags().BoolVar(&f.force, "force", false, "restore also what somebody else changed since")
	return c
}

type journalJSON struct {
	Journal string       `json:"state_dir"`
	Changes []loggedJSON `json:"changes"`
}

// loggedJSON is a change in the journal.
type loggedJSON struct {
	ID       int           `json:"id"`
	Time     time.Time     `json:"time"`
	Status   remedy.Status `json:"status"`
	Title    string        `json:"title"`
	Target   changeTarget  `json:"target"`
	Steps    []stepJSON    `json:"steps"`
	Undoes   int           `json:"undoes,omitempty"`
	UndoneBy int           `json:"undone_by,omitempty"`
	Until    *time.Time    `json:"until,omitempty"`
	Cause    string        `json:"cause,omitempty"`
	Left     []string      `json:"left,omitempty"`
}

func (a *app) listChanges(f *changeFlags) (err error) {
	if f.stateDir, err = filepath.Abs(f.stateDir); err != nil {
		return err
	}
	all, err := remedy.Read(f.stateDir)
	if err != nil {
		return err
	}
	slices.Reverse(all) // the latest first
	if a.json {
		j := journalJSON{f.stateDir, []loggedJSON{}}
		for _, c := range all {
			j.Changes = append(j.Changes, loggedJSON{
				c.ID, c.Time, c.Status, c.Plan.Title, changeTarget{c.Plan.Target.Kind, c.Plan.Target.Name},
				jsonSteps(c.Plan.Steps), c.Plan.Undoes, c.UndoneBy, c.Until, c.Cause, c.Left,
			})
		}
		return printJSON(a.stdout, j)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(a.stdout, "no change was made: there is no journal in %s\n", f.stateDir)
		return err
	}
	t := &table{head: []string{"ID", "TIME", "STATUS", "TARGET", "WHAT"}, right: map[int]bool{0: true}, drop: []string{"TARGET"}}
	for _, c := range all {
		status := string(c.Status)
		switch {
		case c.Status == remedy.Undone:
			status = fmt.Sprintf("undone by %d", c.UndoneBy)
		case c.Status == remedy.InForce && c.Until != nil:
			status = "until " + c.Until.Local().Format(time.TimeOnly)
		}
		t.add("", strconv.Itoa(c.ID), c.Time.Local().Format(time.DateTime), status, clean(c.Plan.Target.Name), clean(c.Plan.Title))
	}
	return a.writeTable(a.stdout, t)
}
