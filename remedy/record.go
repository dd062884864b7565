package remedy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// event is what a record says of a change.
type event string

const (
	evPlan    event = "plan"    // this will be done; holds all former states
	evStart   event = "start"   // the step begins
	evDone    event = "done"    // the step was read back
	evCommit  event = "commit"  // all is done
	evAbort   event = "abort"   // all that was done of it was undone
	evConfirm event = "confirm" // it is not to be undone by itself
)

// A record is one line of the journal.
type record struct {
	Time   time.Time  `json:"time"`
	Change int        `json:"change"`
	Event  event      `json:"event"`
	Step   int        `json:"step,omitempty"` // of start and done: counted from 1
	Plan   *Plan      `json:"plan,omitempty"`
	Until  *time.Time `json:"until,omitempty"` // of plan: undone by itself then, unless confirmed
	Cause  string     `json:"cause,omitempty"`
	Left   []string   `json:"left,omitempty"` // of abort: what was not put back
}

// line is how a record is written. The sum is that of the former line's sum and
// the record, so that a line that was changed, left out or moved shows.
type line struct {
	Sum    string          `json:"sum"`
	Record json.RawMessage `json:"record"`
}

func sum(former string, raw []byte) string {
	h := sha256.New()
	h.Write([]byte(former))
	h.Write(raw)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// encode writes a record as a line that follows one with the sum former.
func (r *record) encode(former string) (text []byte, s string, err error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, "", err
	}
	s = sum(former, raw)
	text, err = json.Marshal(line{s, raw})
	return append(text, '\n'), s, err
}

// A CorruptError says that the journal is not what was written.
type CorruptError struct {
	Path string
	Line int
	Why  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the journal %s is damaged in line %d: %s; nothing was changed. Its lines hold the former values: put back by hand what you need, then move the file away",
		e.Path, e.Line, e.Why)
}

// log is a journal that was read.
type log struct {
	changes []*Change
	sum     string // of the last line
	size    int64  // of what is whole
	torn    int    // bytes of an unfinished line after that
}

// parseLog reads a journal. A last line that was cut off is left out: what it was
// to announce had not happened yet.
func parseLog(path string, text []byte) (*log, error) {
	l := new(log)
	for n := 1; len(text) > 0; n++ {
		raw, rest, whole := bytes.Cut(text, []byte("\n"))
		// A machine that lost power may leave zeros where data was still to come.
		if !whole || len(rest) == 0 && bytes.IndexByte(raw, 0) >= 0 {
			l.torn = len(text)
			return l, nil
		}
		var r record
		s, err := decode(l.sum, raw, &r)
		if err == nil {
			err = l.take(&r)
		}
		if err != nil {
			return nil, &CorruptError{path, n, err.Error()}
		}
		l.sum = s
		l.size += int64(len(raw)) + 1
		text = rest
	}
	return l, nil
}

func decode(former string, raw []byte, r *record) (string, error) {
	var ln line
	if err := json.Unmarshal(raw, &ln); err != nil {
		return "", errors.New("it is no record")
	}
	if sum(former, ln.Record) != ln.Sum {
		return "", errors.New("its checksum is wrong")
	}
	dec := json.NewDecoder(bytes.NewReader(ln.Record))
	dec.DisallowUnknownFields() // a later portroom wrote it
	if err := dec.Decode(r); err != nil {
		return "", fmt.Errorf("this version cannot read it: %w", err)
	}
	return ln.Sum, nil
}

// take follows one record.
func (l *log) take(r *record) error {
	if r.Event == evPlan {
		if c := l.open(); c != nil {
			return fmt.Errorf("change %d begins before change %d ended", r.Change, c.ID)
		}
		if r.Change != len(l.changes)+1 || r.Plan == nil {
			return fmt.Errorf("change %d is announced where change %d was to come", r.Change, len(l.changes)+1)
		}
		l.changes = append(l.changes, &Change{ID: r.Change, Time: r.Time, Plan: *r.Plan, Status: Pending, Until: r.Until})
		return nil
	}
	c := l.find(r.Change)
	if c == nil {
		return fmt.Errorf("there is no change %d", r.Change)
	}
	if r.Event == evConfirm {
		if c.Status != InForce {
			return fmt.Errorf("change %d is confirmed and not in force", c.ID)
		}
		c.Until = nil
		return nil
	}
	if c.Status != Pending {
		return fmt.Errorf("change %d goes on after its end", c.ID)
	}
	switch r.Event {
	case evStart:
		if r.Step != c.started+1 || r.Step > len(c.Plan.Steps) {
			return fmt.Errorf("change %d starts step %d out of order", c.ID, r.Step)
		}
		c.started = r.Step
	case evDone:
		if r.Step != c.started {
			return fmt.Errorf("change %d ends step %d, which has not started", c.ID, r.Step)
		}
	case evCommit:
		c.Status = InForce
		if u := c.Plan.Undoes; u != 0 {
			undone := l.find(u)
			if undone == nil || undone.Status != InForce || u == c.ID {
				return fmt.Errorf("change %d undoes change %d, which is not in force", c.ID, u)
			}
			c.Status, undone.Status, undone.UndoneBy = Undo, Undone, c.ID
			undone.Until = nil
		}
	case evAbort:
		c.Status, c.Cause, c.Left = RolledBack, r.Cause, r.Left
		c.Until = nil
	default:
		return fmt.Errorf("%q is no event that this version knows", r.Event)
	}
	return nil
}

func (l *log) find(id int) *Change {
	if id < 1 || id > len(l.changes) {
		return nil
	}
	return l.changes[id-1]
}

// open returns the change that has not ended, or nil.
func (l *log) open() *Change {
	if n := len(l.changes); n > 0 && l.changes[n-1].Status == Pending {
		return l.changes[n-1]
	}
	return nil
}

// Status is what became of a change.
type Status string

// The statuses of a change.
const (
	Pending    Status = "pending"     // it runs now, or was cut off
	InForce    Status = "in force"    // it can be undone
	Undone     Status = "undone"      // a later change undid it
	Undo       Status = "undo"        // it undid an earlier change
	RolledBack Status = "rolled back" // it failed or was cut off, and left nothing behind
)

// A Change is a plan in the journal.
type Change struct {
	ID       int
	Time     time.Time
	Plan     Plan
	Status   Status
	UndoneBy int
	Until    *time.Time // it is undone by itself then, unless confirmed
	Cause    string     // of RolledBack
	Left     []string   // of RolledBack: what could not be put back

	started int // steps that may have been taken
}
