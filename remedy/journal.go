package remedy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	journalName = "journal.jsonl"
	lockName    = "lock"
	// maxJournal is more than a lifetime of changes: each takes a few kilobytes.
	maxJournal = 64 << 20
)

// A LockedError says that another portroom is changing settings.
type LockedError struct {
	Path string
	By   string // its process id, "" when it is not known
}

func (e *LockedError) Error() string {
	who := "another portroom"
	if e.By != "" {
		who += " (process " + e.By + ")"
	}
	return fmt.Sprintf("%s is changing settings now (it has the lock %s): nothing was done, try again when it has finished", who, e.Path)
}

// Options are what a journal needs.
type Options struct {
	Dir   string // see [DefaultDir]; it is made if it is absent
	Files Files
	// Driver opens the target of a plan.
	Driver func(Target) (Driver, error)
	Now    func() time.Time
	// Report, if set, is told in a sentence what was mended.
	Report func(string)
}

// A Journal is one that this process has locked. Close it.
type Journal struct {
	Options
	path string
	lock *os.File
	log  *log
}

// Read reads the journal of a state directory without changing anything. A
// journal that is not there is empty.
func Read(dir string) ([]*Change, error) {
	l, err := readLog(filepath.Join(dir, journalName))
	if err != nil {
		return nil, err
	}
	return l.changes, nil
}

func readLog(path string) (*log, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return new(log), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	if len(text) > maxJournal {
		return nil, fmt.Errorf("the journal %s is larger than %d bytes: move it away to begin a new one", path, maxJournal)
	}
	return parseLog(path, text)
}

// Open locks and reads the journal, making it if there is none, and rolls back
// what an earlier process left half done. Another process's lock is a
// [LockedError], a damaged journal a [CorruptError].
func Open(opt Options) (*Journal, error) {
	j := &Journal{Options: opt, path: filepath.Join(opt.Dir, journalName)}
	if j.Now == nil {
		j.Now = time.Now
	}
	if err := j.makeDir(opt.Dir); err != nil {
		return nil, fmt.Errorf("state directory: %w; --state-dir names another", err)
	}
	var err error
	if j.lock, err = lock(filepath.Join(opt.Dir, lockName)); err != nil {
		return nil, err
	}
	if err := j.begin(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// Peek reads a journal without locking it or changing anything, to see what could
// be done. Nothing can be applied to what it returns.
func Peek(opt Options) (*Journal, error) {
	j := &Journal{Options: opt, path: filepath.Join(opt.Dir, journalName)}
	var err error
	if j.log, err = readLog(j.path); err != nil {
		return nil, err
	}
	if c := j.log.open(); c != nil {
		return nil, fmt.Errorf("change %d is not finished: if no portroom runs, it was cut off, and the next fix, set or undo rolls it back first", c.ID)
	}
	return j, nil
}

// Close gives the lock back. A second call does nothing.
func (j *Journal) Close() error {
	if j.lock == nil {
		return nil
	}
	lock := j.lock
	j.lock = nil
	return unlock(lock)
}

// Changes returns what is in the journal, the oldest first.
func (j *Journal) Changes() []*Change { return j.log.changes }

// makeDir makes the directory and those above it, for this user only, and refuses
// one that others could put a journal into.
func (j *Journal) makeDir(dir string) error {
	fi, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if up := filepath.Dir(dir); up != dir {
			if err := j.makeDir(up); err != nil {
				return err
			}
		}
		if err := j.Files.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return j.Files.Sync(filepath.Dir(dir))
	}
	switch {
	case err != nil:
		return err
	case !fi.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case dir == j.Dir:
		return private(dir, fi)
	}
	return nil
}

// begin reads the journal and mends it and what it speaks of.
func (j *Journal) begin() (err error) {
	if j.log, err = readLog(j.path); err != nil {
		return err
	}
	if j.log.torn > 0 {
		if err := j.Files.Truncate(j.path, j.log.size); err != nil {
			return fmt.Errorf("cut off the unfinished last line of the journal: %w", err)
		}
		if err := j.Files.Sync(j.path); err != nil {
			return err
		}
		j.report("the last line of the journal was unfinished and is left out: what it was to announce had not begun")
		j.log.torn = 0
	}
	if c := j.log.open(); c != nil {
		return j.recover(c)
	}
	return nil
}

func (j *Journal) report(format string, args ...any) {
	if j.Report != nil {
		j.Report(fmt.Sprintf(format, args...))
	}
}

// journalError says that a record could not be written.
type journalError struct{ error }

func (e *journalError) Unwrap() error { return e.error }

// append puts a record on the disk.
func (j *Journal) append(r record) error {
	r.Time = j.Now().UTC().Truncate(time.Millisecond)
	text, sum, err := r.encode(j.log.sum)
	if err != nil {
		return err
	}
	if _, err := os.Stat(j.path); errors.Is(err, fs.ErrNotExist) && j.log.size == 0 {
		if err := j.Files.Create(j.path, nil); err != nil {
			return fmt.Errorf("make the journal: %w", err)
		}
		if err := j.Files.Sync(j.Dir); err != nil {
			return err
		}
	}
	err = j.Files.Append(j.path, text)
	if err == nil {
		err = j.Files.Sync(j.path)
	}
	if err != nil {
		// A part of the line may be there; nothing may be written after it.
		_ = j.Files.Truncate(j.path, j.log.size)
		return &journalError{fmt.Errorf("write the journal: %w", err)}
	}
	if err := j.log.take(&r); err != nil {
		return fmt.Errorf("the journal would contradict itself: %w", err)
	}
	j.log.sum = sum
	j.log.size += int64(len(text))
	return nil
}

// recover rolls back a change that was cut off.
func (j *Journal) recover(c *Change) error {
	d, err := j.Driver(c.Plan.Target)
	if err != nil {
		return fmt.Errorf("change %d was cut off and must be rolled back first: %w", c.ID, err)
	}
	left, err := j.rollBack(d, c, "cut off", false)
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("roll back change %d, which was cut off: %w", c.ID, err)
	}
	what := fmt.Sprintf("change %d of %s (%s) was cut off before its end and has been rolled back",
		c.ID, c.Time.Local().Format(time.DateTime), c.Plan.Title)
	if len(left) > 0 {
		what += "; left as it is: " + errors.Join(left...).Error()
	}
	j.report("%s", strings.ReplaceAll(what, "\n", "; "))
	return nil
}

// rollBack undoes the steps of a change that may have been taken, the last first,
// and ends it in the journal. left is what somebody else has changed since. mine
// says that this process took the last step a moment ago: whatever its object
// reads as is what the write made of it.
func (j *Journal) rollBack(d Driver, c *Change, cause string, mine bool) (left []error, err error) {
	for i := c.started - 1; i >= 0; i-- {
		s := c.Plan.Steps[i]
		if err := d.Clean(s.Kind, s.Object); err != nil && !errors.Is(err, ErrGone) {
			return left, fmt.Errorf("%s: %w", s.Object, err)
		}
		now, err := d.Read(s.Kind, s.Object)
		switch {
		case errors.Is(err, ErrGone), err == nil && now == s.From:
			continue
		case err != nil:
			return left, fmt.Errorf("%s: %w", s.Object, err)
		case now != s.To && !d.Torn(s, now) && (!mine || i < c.started-1):
			if !restarted(d, c.Plan, s) {
				left = append(left, &ChangedError{Object: s.Object, Want: s.To, Now: now})
			}
			continue
		}
		if why := keep(d, s, c.Plan); why != "" {
			left = append(left, errors.New(why))
			continue
		}
		back := s.Reverse()
		back.From = now
		if err := j.put(d, back); err != nil {
			return left, err
		}
	}
	r := record{Change: c.ID, Event: evAbort, Cause: cause}
	for _, e := range left {
		r.Left = append(r.Left, e.Error())
	}
	return left, j.append(r)
}

// restarted reports whether a step's effect has ended with the system that it was
// made in, so that another state there is nobody's interference.
func restarted(d Driver, p Plan, s Step) bool {
	return s.Effect == Now && p.Target.Boot != "" && d.Boot() != p.Target.Boot
}

// put takes one step and reads it back.
func (j *Journal) put(d Driver, s Step) error {
	if err := d.Write(s.Kind, s.Object, s.To); err != nil {
		return fmt.Errorf("set %s to %s: %w", s.Object, s.To, err)
	}
	now, err := d.Read(s.Kind, s.Object)
	if err != nil {
		return fmt.Errorf("read %s back: %w", s.Object, err)
	}
	if now != s.To {
		return fmt.Errorf("%s was set to %s and reads back as %s", s.Object, s.To, now)
	}
	return nil
}

// Save puts backups beside the journal, their names with the number that the next
// change will have in front.
func (j *Journal) Save(list []Backup) error {
	id := len(j.log.changes) + 1
	for i := range list {
		b := &list[i]
		b.Path = filepath.Join(j.Dir, fmt.Sprintf("%d-%s", id, b.Name))
		if err := j.save(b.Path, b.Data); err != nil {
			return fmt.Errorf("back up: %w", err)
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := j.Files.Sync(j.Dir); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// save writes a file. A run that was cut off before it announced its plan may have
// left one of the same name.
func (j *Journal) save(path string, data []byte) error {
	if _, err := os.Lstat(path); err == nil {
		if err := j.Files.Remove(path); err != nil {
			return err
		}
	}
	if err := j.Files.Create(path, data); err != nil {
		return err
	}
	return j.Files.Sync(path)
}

// Apply carries out a plan and returns its number. If it fails, everything is as
// before; once something had begun, the error is a [RolledBackError].
func (j *Journal) Apply(ctx context.Context, d Driver, p Plan, until *time.Time) (int, error) {
	for _, s := range p.Steps {
		if err := expect(d, s); err != nil {
			return 0, err
		}
	}
	id := len(j.log.changes) + 1
	if err := j.append(record{Change: id, Event: evPlan, Plan: &p, Until: until}); err != nil {
		return 0, err
	}
	c := j.log.find(id)
	if err := j.steps(ctx, d, c); err != nil {
		failed := &RolledBackError{ID: id, Cause: err}
		var rollErr error
		failed.Left, rollErr = j.rollBack(d, c, err.Error(), true)
		var untold *journalError
		switch {
		case errors.As(rollErr, &untold):
			failed.Untold = untold
		case rollErr != nil:
			failed.Left = append(failed.Left, rollErr)
		}
		return id, failed
	}
	return id, nil
}

func (j *Journal) steps(ctx context.Context, d Driver, c *Change) error {
	for i, s := range c.Plan.Steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted before %s was set: %w", s.Object, err)
		}
		if err := expect(d, s); err != nil {
			return err
		}
		if err := j.append(record{Change: c.ID, Event: evStart, Step: i + 1}); err != nil {
			return err
		}
		if err := j.put(d, s); err != nil {
			return err
		}
		if err := j.append(record{Change: c.ID, Event: evDone, Step: i + 1}); err != nil {
			return err
		}
	}
	return j.append(record{Change: c.ID, Event: evCommit})
}

// expect checks that an object is in the state that a step begins with.
func expect(d Driver, s Step) error {
	now, err := d.Read(s.Kind, s.Object)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Object, err)
	}
	if now != s.From {
		return &ChangedError{Object: s.Object, Want: s.From, Now: now}
	}
	return nil
}
