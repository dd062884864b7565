package remedy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/remedy"
)

// objects is a driver over a map, with faults.
type objects struct {
	state  map[string]remedy.State
	boot   string
	gone   bool
	writes int
	fail   int // the write that fails
	lie    int // the write that reads back as something else
	stop   func()
}

var errFault = errors.New("the disk is on fire")

func (o *objects) Read(_, object string) (remedy.State, error) {
	if o.gone {
		return remedy.State{}, fmt.Errorf("%s: %w", object, remedy.ErrGone)
	}
	if s, ok := o.state[object]; ok {
		return s, nil
	}
	return remedy.Absent, nil
}

func (o *objects) Write(_, object string, s remedy.State) error {
	o.writes++
	switch o.writes {
	case o.fail:
		return errFault
	case o.lie:
		o.state[object] = remedy.State{Data: s.Data + "?"}
		return nil
	}
	if s.Absent {
		delete(o.state, object)
	} else {
		o.state[object] = s
	}
	if o.stop != nil {
		o.stop()
	}
	return nil
}

func (o *objects) Torn(remedy.Step, remedy.State) bool { return false }
func (o *objects) Clean(string, string) error          { return nil }
func (o *objects) Boot() string                        { return o.boot }
func (o *objects) Close() error                        { return nil }

func open(t testing.TB, dir string, o *objects, report func(string)) (*remedy.Journal, error) {
	t.Helper()
	return remedy.Open(remedy.Options{
		Dir: dir, Files: remedy.Disk{}, Report: report,
		Driver: func(remedy.Target) (remedy.Driver, error) { return o, nil },
	})
}

func mustOpen(t testing.TB, dir string, o *objects) *remedy.Journal {
	t.Helper()
	j, err := open(t, dir, o, func(s string) { t.Errorf("reported: %s", s) })
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func plan(steps ...remedy.Step) remedy.Plan {
	return remedy.Plan{Target: remedy.Target{Kind: "test", Boot: "one"}, Title: "a plan", Steps: steps}
}

func step(object, from, to string) remedy.Step {
	s := remedy.Step{Kind: "object", Object: object, From: remedy.State{Data: from}, To: remedy.State{Data: to}, Effect: remedy.Now}
	if from == "" {
		s.From = remedy.Absent
	}
	if to == "" {
		s.To = remedy.Absent
	}
	return s
}

// Whatever step fails and however, all is as before; what succeeds can be undone,
// and then all is as before as well.
func TestAPlanIsDoneWholeOrNotAtAll(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		o := &objects{state: map[string]remedy.State{}, boot: "one"}
		content := rapid.SampledFrom([]string{"", "1", "2", "\xff\x00", "line\nline\n"})
		var p remedy.Plan
		for i := range rapid.IntRange(0, 5).Draw(r, "steps") {
			name := fmt.Sprint("object", i)
			s := step(name, content.Draw(r, "from"), content.Draw(r, "to"))
			if s.From == s.To {
				continue
			}
			if !s.From.Absent {
				o.state[name] = s.From
			}
			p.Steps = append(p.Steps, s)
		}
		before := maps.Clone(o.state)
		o.fail = rapid.IntRange(0, 6).Draw(r, "fail")
		o.lie = rapid.IntRange(0, 6).Draw(r, "lie")
		j := mustOpen(t, dir, o)
		id, err := j.Apply(context.Background(), o, p, nil)
		var back *remedy.RolledBackError
		switch {
		case errors.As(err, &back):
			if len(back.Left) == 0 && !maps.Equal(o.state, before) {
				r.Fatalf("%v: the state is %v, want %v", err, o.state, before)
			}
			if len(back.Left) > 0 && (o.fail == 0 || o.lie == 0) {
				r.Fatalf("one fault, and yet: %v", err)
			}
			if j.Last() != nil {
				r.Fatal("a plan that failed can be undone")
			}
		case err != nil:
			r.Fatal(err)
		default:
			for _, s := range p.Steps {
				if now, _ := o.Read("", s.Object); now != s.To {
					r.Fatalf("%s is %v after a plan that succeeded", s.Object, now)
				}
			}
			o.fail, o.lie = 0, 0
			c, err := j.Find(id)
			if err != nil {
				r.Fatal(err)
			}
			undo, _, err := j.Reverse(o, c, false)
			if err != nil {
				r.Fatal(err)
			}
			if _, err := j.Apply(context.Background(), o, undo, nil); err != nil {
				r.Fatal(err)
			}
			if !maps.Equal(o.state, before) {
				r.Fatalf("after undo the state is %v, want %v", o.state, before)
			}
		}
		if err := j.Close(); err != nil {
			r.Fatal(err)
		}
		if _, err := remedy.Read(dir); err != nil {
			r.Fatal(err)
		}
	})
}

func TestAStateComesBackFromJSONAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := remedy.State{
			Data: string(rapid.SliceOf(rapid.Byte()).Draw(t, "data")),
			Form: rapid.String().Draw(t, "form"),
		}
		if rapid.Bool().Draw(t, "absent") {
			s = remedy.Absent
		}
		b, err := json.Marshal(s)
		var back remedy.State
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || back != s {
			t.Fatalf("%q became %s and %q, %v", s, b, back, err)
		}
	})
	for _, bad := range []string{`{}`, `{"absent":true,"text":"x"}`, `{"text":"x","base64":"eA=="}`, `{"base64":"!"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), new(remedy.State)); err == nil {
			t.Errorf("%s is taken for a state", bad)
		}
	}
}

func TestAnObjectThatIsNotAsPlannedStopsThePlanBeforeItBegins(t *testing.T) {
	o := &objects{state: map[string]remedy.State{"a": {Data: "1"}, "b": {Data: "9"}}}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, dir, o)
	defer j.Close()
	_, err := j.Apply(t.Context(), o, plan(step("a", "1", "2"), step("b", "1", "2")), nil)
	var changed *remedy.ChangedError
	if !errors.As(err, &changed) || changed.Object != "b" || o.writes != 0 || len(j.Changes()) != 0 {
		t.Errorf("%v after %d writes and %d changes", err, o.writes, len(j.Changes()))
	}
}

func TestAnInterruptedPlanIsRolledBack(t *testing.T) {
	o := &objects{state: map[string]remedy.State{"a": {Data: "1"}, "b": {Data: "1"}}}
	ctx, cancel := context.WithCancel(t.Context())
	o.stop = cancel // with the first write
	j := mustOpen(t, filepath.Join(t.TempDir(), "new", "dir"), o)
	defer j.Close()
	_, err := j.Apply(ctx, o, plan(step("a", "1", "2"), step("b", "1", "2")), nil)
	if !errors.Is(err, context.Canceled) || o.state["a"].Data != "1" || o.state["b"].Data != "1" {
		t.Errorf("%v, and the state is %v", err, o.state)
	}
}

// cutOff leaves a journal whose last change was cut off after its first step.
func cutOff(t *testing.T, dir string, o *objects, steps ...remedy.Step) {
	t.Helper()
	j := mustOpen(t, dir, o)
	defer j.Close()
	if _, err := j.Apply(t.Context(), o, plan(steps...), nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:3], "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasCutOffIsRolledBack(t *testing.T) {
	for name, c := range map[string]struct {
		now, boot string
		gone      bool
		want      string // of the object
		left      bool
	}{
		"done":                             {now: "2", want: "1"},
		"not done":                         {now: "1", want: "1"},
		"changed by somebody else":         {now: "9", want: "9", left: true},
		"another value since a restart":    {now: "9", boot: "two", want: "9"},
		"the new value since a restart":    {now: "2", boot: "two", want: "1"},
		"gone together with its namespace": {now: "2", gone: true, want: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			o := &objects{state: map[string]remedy.State{"a": {Data: "1"}, "b": {Data: "1"}}, boot: "one"}
			cutOff(t, dir, o, step("a", "1", "2"), step("b", "1", "2"))
			o.state["a"], o.state["b"] = remedy.State{Data: c.now}, remedy.State{Data: "1"}
			o.gone = c.gone
			if c.boot != "" {
				o.boot = c.boot
			}
			var said []string
			j, err := open(t, dir, o, func(s string) { said = append(said, s) })
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			ch := j.Changes()[0]
			if ch.Status != remedy.RolledBack || len(said) != 1 || !strings.Contains(said[0], "rolled back") {
				t.Errorf("the change is %s, and it says %q", ch.Status, said)
			}
			if got := o.state["a"].Data; got != c.want || len(ch.Left) > 0 != c.left {
				t.Errorf("the object is %q and %q was left: want %q", got, ch.Left, c.want)
			}
		})
	}
}

func TestUndoAfterARestartLeavesWhatTheRestartEnded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	o := &objects{state: map[string]remedy.State{"runs": {Data: "1"}, "file": {Data: "1"}}, boot: "one"}
	j := mustOpen(t, dir, o)
	defer j.Close()
	file := step("file", "1", "2")
	file.Effect = remedy.Permanent
	if _, err := j.Apply(t.Context(), o, plan(file, step("runs", "1", "2")), nil); err != nil {
		t.Fatal(err)
	}
	o.boot, o.state["runs"] = "two", remedy.State{Data: "7"}
	p, remarks, err := j.Reverse(o, j.Last(), false)
	if err != nil || len(p.Steps) != 1 || p.Steps[0].Object != "file" || len(remarks) != 1 {
		t.Errorf("the undo is %v, remarks %q, %v", p.Steps, remarks, err)
	}
	o.state["file"] = remedy.State{Data: "7"}
	if _, _, err := j.Reverse(o, j.Last(), false); !strings.Contains(fmt.Sprint(err), "file is") {
		t.Errorf("a file that was changed is no conflict: %v", err)
	}
}

func TestAnOverdueChangeThatCannotBeUndoneSaysWhatToDo(t *testing.T) {
	o := &objects{state: map[string]remedy.State{"a": {Data: "1"}}, boot: "one"}
	j := mustOpen(t, filepath.Join(t.TempDir(), "state"), o)
	defer j.Close()
	past := time.Now().Add(-time.Minute)
	if _, err := j.Apply(t.Context(), o, plan(step("a", "1", "2")), &past); err != nil {
		t.Fatal(err)
	}
	o.state["a"] = remedy.State{Data: "3"}
	if err := j.Overdue(t.Context()); !strings.Contains(fmt.Sprint(err), "portroom confirm keeps it as it is") {
		t.Errorf("the error is %v", err)
	}
	if ids, err := j.Confirm(); err != nil || len(ids) != 1 || remedy.Due(j.Changes()) != nil {
		t.Errorf("confirmed %v, %v", ids, err)
	}
}

// A journal of any bytes is read or refused with the line that is damaged.
func FuzzJournal(f *testing.F) {
	o := &objects{state: map[string]remedy.State{"a": {Data: "1"}}, boot: "one"}
	dir := filepath.Join(f.TempDir(), "state")
	j := mustOpen(f, dir, o)
	if _, err := j.Apply(context.Background(), o, plan(step("a", "1", "2")), nil); err != nil {
		f.Fatal(err)
	}
	j.Close()
	path := filepath.Join(dir, "journal.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)-5])
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := remedy.Read(dir)
		var corrupt *remedy.CorruptError
		if err != nil && !errors.As(err, &corrupt) {
			t.Fatalf("the error is %v", err)
		}
	})
}

func TestABackupLiesBesideTheJournalUnderTheNumberOfTheChange(t *testing.T) {
	o := &objects{state: map[string]remedy.State{"a": {Data: "1"}}, boot: "one"}
	dir := filepath.Join(t.TempDir(), "state")
	j := mustOpen(t, dir, o)
	defer j.Close()
	if _, err := j.Apply(context.Background(), o, plan(step("a", "1", "2")), nil); err != nil {
		t.Fatal(err)
	}
	// What a run left that was cut off before its plan was announced is replaced.
	for _, text := range []string{"of a run that was cut off", "the backup"} {
		list := []remedy.Backup{{Name: "backup.reg", Data: []byte(text)}}
		if err := j.Save(list); err != nil {
			t.Fatal(err)
		}
		want := filepath.Join(dir, "2-backup.reg")
		if b, err := os.ReadFile(want); list[0].Path != want || string(b) != text {
			t.Errorf("%s: %q, %v", list[0].Path, b, err)
		}
	}
	if fi, err := os.Stat(filepath.Join(dir, "2-backup.reg")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
}
