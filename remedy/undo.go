package remedy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Last returns the latest change that can be undone, or nil.
func (j *Journal) Last() *Change {
	for i := len(j.log.changes) - 1; i >= 0; i-- {
		if c := j.log.changes[i]; c.Status == InForce {
			return c
		}
	}
	return nil
}

// Find returns a change that can be undone.
func (j *Journal) Find(id int) (*Change, error) {
	c := j.log.find(id)
	switch {
	case c == nil:
		return nil, fmt.Errorf("there is no change %d in %s: portroom undo --list shows them", id, j.path)
	case c.Status == Undone:
		return nil, fmt.Errorf("change %d is undone already, by change %d", id, c.UndoneBy)
	case c.Status == Undo:
		return nil, fmt.Errorf("change %d is itself an undo, of change %d", id, c.Plan.Undoes)
	case c.Status != InForce:
		return nil, fmt.Errorf("change %d is %s: there is nothing to undo", id, c.Status)
	}
	return c, nil
}

// Reverse returns the plan that restores what a change found, and remarks on
// objects that need no restoring. An object that was changed since is a
// [ChangedError] for each; with force their present states are what the plan
// starts from.
func (j *Journal) Reverse(d Driver, c *Change, force bool) (p Plan, remarks []string, err error) {
	p = c.Plan.Reverse()
	p.Undoes = c.ID
	p.Target.Boot = d.Boot()
	steps := p.Steps
	p.Steps = nil
	var changed []error
	for _, s := range steps {
		now, err := d.Read(s.Kind, s.Object)
		switch {
		case errors.Is(err, ErrGone):
			remarks = append(remarks, fmt.Sprintf("%s needs no undoing: %v", s.Object, err))
			continue
		case err != nil:
			return p, nil, fmt.Errorf("%s: %w", s.Object, err)
		case now == s.To:
			remarks = append(remarks, fmt.Sprintf("%s is %s already", s.Object, now))
			continue
		case keep(d, s.Reverse(), c.Plan) != "":
			remarks = append(remarks, keep(d, s.Reverse(), c.Plan))
			continue
		case now == s.From:
		case restarted(d, c.Plan, s):
			remarks = append(remarks, fmt.Sprintf("%s is %s since the last restart", s.Object, now))
			continue
		case !force:
			changed = append(changed, &ChangedError{Object: s.Object, Want: s.From, Now: now, By: j.changedBy(c, s)})
			continue
		}
		s.From = now
		p.Steps = append(p.Steps, s)
	}
	return p, remarks, errors.Join(changed...)
}

// changedBy returns the last change after c, still in force, that concerns the
// object of a step.
func (j *Journal) changedBy(c *Change, s Step) int {
	by := 0
	for _, later := range j.log.changes[c.ID:] {
		if later.Status != InForce || !later.Plan.Target.Same(c.Plan.Target) {
			continue
		}
		for _, t := range later.Plan.Steps {
			if t.Kind == s.Kind && t.Object == s.Object {
				by = later.ID
			}
		}
	}
	return by
}

// Confirm keeps the changes that are to be undone by themselves, and returns
// their numbers.
func (j *Journal) Confirm() (ids []int, err error) {
	for _, c := range j.log.changes {
		if c.Status != InForce || c.Until == nil {
			continue
		}
		if err := j.append(record{Change: c.ID, Event: evConfirm}); err != nil {
			return ids, err
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// Due returns when the next of some changes is to be undone by itself, nil for
// never.
func Due(changes []*Change) *time.Time {
	var due *time.Time
	for _, c := range changes {
		if c.Status == InForce && c.Until != nil && (due == nil || c.Until.Before(*due)) {
			due = c.Until
		}
	}
	return due
}

// Overdue undoes the changes whose time has run out without a confirmation, the
// latest first.
func (j *Journal) Overdue(ctx context.Context) error {
	for i := len(j.log.changes) - 1; i >= 0; i-- {
		c := j.log.changes[i]
		if c.Status != InForce || c.Until == nil || c.Until.After(j.Now()) {
			continue
		}
		until := c.Until.Local().Format(time.DateTime)
		if err := j.takeBack(ctx, c); err != nil {
			return fmt.Errorf("change %d was not confirmed in time and cannot be undone: %w; portroom confirm keeps it as it is, portroom undo %d --force restores what was there before", c.ID, err, c.ID)
		}
		j.report("change %d (%s) was not confirmed by %s and has been undone", c.ID, c.Plan.Title, until)
	}
	return nil
}

func (j *Journal) takeBack(ctx context.Context, c *Change) error {
	d, err := j.Driver(c.Plan.Target)
	if err != nil {
		return err
	}
	p, _, err := j.Reverse(d, c, false)
	if err == nil {
		_, err = j.Apply(ctx, d, p, nil)
	}
	return errors.Join(err, d.Close())
}
