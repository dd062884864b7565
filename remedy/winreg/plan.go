package winreg

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
)

// A Request is what is known of a system that is to be changed.
type Request struct {
	Machine  nt.Machine
	Settings *nt.Settings // what Machine and Live are set to
	// Live is what the running system told when it is the one that is changed;
	// nil for every other: then only its registry can be changed.
	Live   *nt.Live
	Driver remedy.Driver
}

// A ValueError says that a value or a name is not accepted, and what is.
type ValueError struct{ msg string }

func (e *ValueError) Error() string { return e.msg }

func refuse(format string, args ...any) error {
	return &ValueError{fmt.Sprintf(format, args...)}
}

// A TypeError says that a value of another type stands where one is to be set.
type TypeError struct {
	Object string
	Found  remedy.State
	Want   string
}

func (e *TypeError) Error() string {
	_, name := split(e.Object)
	return fmt.Sprintf("%s is of type %s (%s), where %s: it is left as it is; portroom set %s=%s takes it away, so that it can be set",
		e.Object, e.Found.Form, e.Found, e.Want, name, absentWord)
}

// An assignment is one value that somebody or a remedy wants.
type assignment struct {
	name   string // as documented
	value  string // as it was typed
	to     remedy.State
	remedy string
	why    string
	hazard string
}

// byHand is the remedy of an assignment that somebody named.
const byHand = "set"

// absentWord is the value that stands for none.
const absentWord = "absent"

// Settable is what may be named, for messages.
var Settable = strings.Join([]string{
	nt.MaxUserPort, nt.TcpTimedWaitDelay, nt.ReservedPorts, dynamicName + "tcp4|tcp6|udp4|udp6", AutoReuse,
}, ", ")

// Set makes the plan that sets values, each named as NAME=VALUE. What is not
// accepted is a [ValueError], a value of another type in its place a [TypeError].
func (r *Request) Set(args []string) (*remedy.Proposal, error) {
	var set []assignment
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, refuse("%s: want NAME=VALUE with %s", quote(arg), Settable)
		}
		a, err := r.parse(strings.TrimSpace(name), strings.TrimSpace(value))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(set, func(o assignment) bool { return o.name == a.name }) {
			return nil, refuse("%s is given twice: want one value", a.name)
		}
		set = append(set, a)
	}
	return r.propose(set)
}

// propose turns assignments into a plan.
func (r *Request) propose(set []assignment) (*remedy.Proposal, error) {
	p := new(remedy.Proposal)
	var titles []string
	for _, a := range set {
		titles = append(titles, a.name+"="+a.value)
		steps, err := r.steps(a, p.Plan.Steps)
		if err != nil {
			return nil, err
		}
		if len(steps) == 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("%s is %s already", a.name, a.to))
			continue
		}
		p.Plan.Steps = append(p.Plan.Steps, steps...)
		r.remark(p, a)
	}
	if len(p.Plan.Steps) > 0 && r.Settings.System.Era == nt.UnknownEra {
		p.Notes = append(p.Notes, "which Windows this is cannot be told: up to Windows XP and Server 2003 it goes by these values, from Windows Vista on by its dynamic port range (netsh)")
	}
	p.Plan.Title = strings.Join(titles, ", ")
	if len(p.Plan.Steps) == 0 {
		p.Risks = nil
		return p, nil
	}
	if slices.ContainsFunc(p.Plan.Steps, func(s remedy.Step) bool { return s.Effect == remedy.Restart }) {
		p.Notes = append(p.Notes, "the system must be restarted before it goes by it (KB 196271)")
	}
	return p, r.gains(p)
}

// steps are what has to be done for one assignment, beside the steps before it.
func (r *Request) steps(a assignment, before []remedy.Step) ([]remedy.Step, error) {
	step := remedy.Step{Remedy: a.remedy, To: a.to, Why: a.why, Hazard: a.hazard}
	if d, ok := strings.CutPrefix(a.name, dynamicName); ok {
		step.Kind, step.Object, step.Effect = KindDynamic, d, remedy.Lasting
		return r.step(step)
	}
	if a.name == AutoReuse {
		return r.autoReuse(step)
	}
	var out []remedy.Step
	for _, set := range r.sets() {
		key := registry.Join(set, nt.ParametersKey)
		if !a.to.Absent {
			keys, err := r.missing(key, slices.Concat(before, out))
			if err != nil {
				return nil, err
			}
			for i := range keys {
				keys[i].Remedy = a.remedy
			}
			out = append(out, keys...)
		}
		name, err := r.spelling(key, a.name)
		if err != nil {
			return nil, err
		}
		step.Kind, step.Object, step.Effect = KindValue, registry.Join(key, name), remedy.Restart
		list, err := r.step(step)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// step completes a step with what is there; none when it is so already.
func (r *Request) step(s remedy.Step) ([]remedy.Step, error) {
	var err error
	if s.From, err = r.Driver.Read(s.Kind, s.Object); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Object, err)
	}
	if s.From == s.To {
		return nil, nil
	}
	if s.Kind == KindValue && !s.From.Absent && !s.To.Absent {
		if err := sameType(s); err != nil {
			return nil, err
		}
	}
	return []remedy.Step{s}, nil
}

// sameType refuses to put a value in the place of one of another type, or of a
// length that its type does not have.
func sameType(s remedy.Step) error {
	raw := strings.HasPrefix(s.From.Data, s.From.Form+hexMark)
	if s.From.Form == s.To.Form && (!raw || s.To.Form != registry.DWORD.String()) {
		return nil
	}
	_, name := split(s.Object)
	return &TypeError{Object: s.Object, Found: s.From, Want: want(name)}
}

// want says what is documented of a value.
func want(name string) string {
	v, _ := nt.Documented(name)
	text := fmt.Sprintf("%s documents a %s", v.Source, v.Type)
	if v.Min != nil && v.Max != nil {
		text += fmt.Sprintf(" of %d to %d", *v.Min, *v.Max)
	}
	return text
}

// sets are the control sets to be changed: the current one and, where that is
// another, the one that the next start takes, for a change that needs a restart
// acts in no other.
func (r *Request) sets() []string {
	set := r.Settings.ControlSet
	out := []string{set.Key}
	if set.Next == 0 || set.Number == 0 || set.Next == set.Number {
		return out
	}
	next := fmt.Sprintf("ControlSet%03d", set.Next)
	if _, err := r.Machine.System.Keys(next); err == nil {
		out = append(out, next)
	}
	return out
}

// missing are the steps that make a key and those above it.
func (r *Request) missing(key string, before []remedy.Step) ([]remedy.Step, error) {
	var out []remedy.Step
	names := registry.Split(key)
	for i := 2; i <= len(names); i++ { // a control set is always there
		s := remedy.Step{
			Kind: KindKey, Object: registry.Join(names[:i]...), From: remedy.Absent,
			Effect: remedy.Restart, Why: "the key that the value belongs into is absent",
		}
		if slices.ContainsFunc(before, func(b remedy.Step) bool { return b.Kind == KindKey && b.Object == s.Object }) {
			continue
		}
		now, err := r.Driver.Read(s.Kind, s.Object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Object, err)
		}
		if now.Absent {
			out = append(out, s)
		}
	}
	return out, nil
}

// spelling is how the name of a value is spelled where it is there: case does not
// count, and undo brings back every letter.
func (r *Request) spelling(key, name string) (string, error) {
	list, err := r.Machine.System.Values(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, v := range list {
		if strings.EqualFold(v.Name, name) {
			return v.Name, nil
		}
	}
	return name, nil
}

func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}
