// Package remedy changes what a host is set to, and can put everything back.
//
// # Plans
//
// A [Plan] is a list of steps. A [Step] says which object it changes, from which
// [State] to which; its undo is the same step the other way round. What the
// objects are, only a [Driver] knows: a kernel parameter, a file, a value of a
// registry.
//
// # How a plan is carried out
//
// Nothing is changed unless every object is still in the state that the plan was
// made for. The journal takes the plan with all former states before anything
// else happens: it is the backup. Then, for each step: the journal says that it
// begins, the object is written and read back, the journal says that it is done.
// A step that fails, or reads back as anything else than what was written, is
// undone with all before it.
//
// Each record is on the disk before what it announces happens. A process that is
// killed, or a machine that loses power, therefore leaves every single object in
// its old or its new state and a journal that says how far it came. The next
// [Open] rolls a half-done plan back.
package remedy

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A State is what an object holds. States are compared with ==, so a driver
// gives each content one form only.
type State struct {
	Absent bool   // there is no such object
	Data   string // the content: text, or bytes of any kind
	Form   string // what belongs to the content: the mode of a file, the type of a value
}

// Absent is the state of an object that does not exist.
var Absent = State{Absent: true}

// stateJSON has text as it is, for people who read the journal, and other bytes
// in base64, since JSON would mend them.
type stateJSON struct {
	Absent bool    `json:"absent,omitempty"`
	Text   *string `json:"text,omitempty"`
	Base64 *string `json:"base64,omitempty"`
	Form   string  `json:"form,omitempty"`
}

// MarshalJSON writes {"text": …}, {"base64": …} or {"absent": true}.
func (s State) MarshalJSON() ([]byte, error) {
	j := stateJSON{Absent: s.Absent, Form: s.Form}
	switch {
	case s.Absent:
	case utf8.ValidString(s.Data):
		j.Text = &s.Data
	default:
		b := base64.StdEncoding.EncodeToString([]byte(s.Data))
		j.Base64 = &b
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *State) UnmarshalJSON(b []byte) error {
	var j stateJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = State{Absent: j.Absent, Form: j.Form}
	switch {
	case j.Absent && (j.Text != nil || j.Base64 != nil), !j.Absent && (j.Text == nil) == (j.Base64 == nil):
		return errors.New("a state has one of absent, text and base64")
	case j.Text != nil:
		s.Data = *j.Text
	case j.Base64 != nil:
		data, err := base64.StdEncoding.DecodeString(*j.Base64)
		if err != nil {
			return err
		}
		s.Data = string(data)
	}
	return nil
}

// String writes the state for a sentence, long content cut.
func (s State) String() string {
	const most = 60
	text := s.Data
	switch {
	case s.Absent:
		return "absent"
	case strings.ContainsRune(text, '\n'):
		return fmt.Sprintf("a file of %d bytes", len(text))
	case len(text) > most:
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// Effect is when a step shows its effect.
type Effect string

// The effects.
const (
	Now       Effect = "now"       // at once, and until the next restart
	Permanent Effect = "permanent" // not now, but after each restart
	Restart   Effect = "restart"   // after a restart only
	Lasting   Effect = "lasting"   // at once, and after each restart, too
)

// A Step changes one object.
type Step struct {
	Remedy string `json:"remedy"` // such as widen-range
	Kind   string `json:"kind"`   // which sort of object; a word of the driver's
	Object string `json:"object"`
	From   State  `json:"from"`
	To     State  `json:"to"`
	Effect Effect `json:"effect"`
	Why    string `json:"why,omitempty"`
	Hazard string `json:"hazard,omitempty"` // what may go wrong with it; "" for nothing known
}

// Reverse returns the step that undoes the step.
func (s Step) Reverse() Step {
	s.From, s.To = s.To, s.From
	s.Why, s.Hazard = "", ""
	return s
}

// A Target names the place where the objects of a plan are, well enough to find
// it again from another process. Which fields matter depends on Kind.
type Target struct {
	Kind string `json:"kind"` // "local", "hive", …: which driver
	Name string `json:"name"` // for people
	Path string `json:"path,omitempty"`
	ID   uint64 `json:"id,omitempty"`   // tells the target from another of the same name
	Boot string `json:"boot,omitempty"` // the running system, for what ends with it
}

// Same reports whether two targets are one, before and after a restart.
func (t Target) Same(u Target) bool {
	return t.Kind == u.Kind && t.Path == u.Path && t.ID == u.ID
}

// A Plan is the steps of one change, in the order in which they are taken.
type Plan struct {
	Target Target `json:"target"`
	Title  string `json:"title"`
	Steps  []Step `json:"steps"`
	Undoes int    `json:"undoes,omitempty"` // the number of the change that this one takes back
}

// Reverse returns the plan that takes the plan back: the last step first.
func (p Plan) Reverse() Plan {
	r := Plan{Target: p.Target, Title: "undo: " + p.Title}
	for i := len(p.Steps) - 1; i >= 0; i-- {
		r.Steps = append(r.Steps, p.Steps[i].Reverse())
	}
	return r
}

// A Driver reads and writes the objects of one target.
type Driver interface {
	// Read returns the present state of an object. The error wraps [ErrGone] when
	// the place is no more in which the object was.
	Read(kind, object string) (State, error)
	// Write brings an object into a state. It may be cut off at any instant, and
	// leaves then the former or the new state, or one that Torn recognises. When
	// it returns nil the state lasts as long as the kind of object does.
	Write(kind, object string, s State) error
	// Torn reports whether now is what a write of s.To over s.From may leave when
	// it is cut off, though it is neither.
	Torn(s Step, now State) bool
	// Clean removes what writes that were cut off left beside an object.
	Clean(kind, object string) error
	// Boot identifies the running system, "" when nothing of the target ends with
	// a restart.
	Boot() string
	Close() error
}

// keeper is a driver of which some objects may have to stay when a plan is taken
// back: Keep says why, or "".
type keeper interface{ Keep(s Step, p Plan) string }

func keep(d Driver, s Step, p Plan) string {
	if k, ok := d.(keeper); ok && s.From.Absent {
		return k.Keep(s, p)
	}
	return ""
}

// ErrGone says that an object ended together with what it belonged to, such as a
// parameter with its network namespace: there is nothing left to change back.
var ErrGone = errors.New("it is gone, and what was set in it")

// A ChangedError says that an object is not in the state that a plan was made
// for: somebody else changed it.
type ChangedError struct {
	Object    string
	Want, Now State
	By        int // the later change in the journal that did it, 0 when it is not known
}

func (e *ChangedError) Error() string {
	who := "somebody changed it"
	if e.By > 0 {
		who = fmt.Sprintf("change %d did that", e.By)
	}
	return fmt.Sprintf("%s is %s now, and was expected to be %s: %s", e.Object, e.Now, e.Want, who)
}

// A RolledBackError says that a plan failed and that everything is as it was.
type RolledBackError struct {
	ID    int
	Cause error
	Left  []error // what could not be put back; empty when all was
	// Untold is why the journal does not know of the rolling back, if so.
	Untold error
}

func (e *RolledBackError) Error() string {
	switch {
	case len(e.Left) == 0 && e.Untold == nil:
		return fmt.Sprintf("%v; everything is as it was before", e.Cause)
	case len(e.Left) == 0:
		return fmt.Sprintf("%v; everything is as it was before, and the next run will note that in the journal, which cannot be written now", e.Cause)
	}
	return fmt.Sprintf("%v; and this could not be put back: %v", e.Cause, errors.Join(e.Left...))
}

func (e *RolledBackError) Unwrap() error { return e.Cause }
