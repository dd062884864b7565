package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/sysctl"
)

// changeFlags are those of the commands that change something.
type changeFlags struct {
	where    targetFlags
	yes      bool
	dryRun   bool
	stateDir string
	accept   []string
	rollback time.Duration
	force    bool   // of undo
	emit     string // FORMAT:DIR

	// Of a Linux target.
	root string
	only string
}

// What a plan on Linux may be limited to.
const (
	onlyRunning   = "running"
	onlyPermanent = "permanent"
)

func (f *changeFlags) addState(c *cobra.Command) {
	c.Flags().StringVar(&f.stateDir, "state-dir", remedy.DefaultDir, "keep the journal, which is the backup, in `dir`")
}

func (f *changeFlags) addCommon(c *cobra.Command) {
	f.where.add(c)
	f.addState(c)
	f.addHow(c)
}

// addJournal adds the flags of a command whose targets the journal names.
func (f *changeFlags) addJournal(c *cobra.Command) {
	f.where.addConnection(c)
	f.addState(c)
	f.addHow(c)
}

func (f *changeFlags) addHow(c *cobra.Command) {
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the plan and change nothing")
}

func (f *changeFlags) addPlan(c *cobra.Command) {
	f.addCommon(c)
	c.Flags().StringArrayVar(&f.accept, "accept-risk", nil, "accept the risk of this `name`, which the plan shows")
	c.Flags().DurationVar(&f.rollback, "rollback-after", 0, "undo it after this `time` unless portroom confirm is run before, such as 60s")
	c.Flags().StringVar(&f.root, "root", "", "change the etc/sysctl.d under `dir`, the root of the files that the namespace starts with")
	c.Flags().StringVar(&f.emit, emitFlag, "", "write the plan as files of this `format` into a folder, and what takes it back, and change nothing: --emit FORMAT DIR with "+emitFormats())
	c.Flags().StringVar(&f.only, "only", "", "change the `running` kernel only, or only what is permanent: running or permanent")
}

func (f *changeFlags) parse(a *app) (target.Target, error) {
	t, err := f.where.parse(a)
	if err != nil {
		return t, err
	}
	switch {
	case a.allNamespaces:
		return t, usagef("one namespace is changed at a time: use --netns instead of --all-namespaces")
	case f.emit != "" && f.yes:
		return t, usagef("--emit writes files and changes nothing else: leave out --yes")
	case f.emit != "" && f.only == onlyPermanent:
		return t, usagef("--emit has formats of its own for what is permanent: leave out --only")
	case f.yes && f.dryRun:
		return t, usagef("--yes does it and --dry-run does not: want one of the two")
	case a.json && !f.yes && !f.dryRun && f.emit == "":
		return t, usagef("with --json nobody is asked: want --yes or --dry-run as well")
	case f.only != "" && f.only != onlyRunning && f.only != onlyPermanent:
		return t, usagef("--only %q: want running or permanent", f.only)
	case t.Kind != target.Local && (f.root != "" || f.only != ""):
		return t, usagef("--root and --only are for a Linux system: they do not go with --target")
	case f.root != "" && f.only == onlyRunning:
		return t, usagef("--root names files, and --only running changes none")
	case f.rollback != 0 && f.rollback < time.Second:
		return t, usagef("--rollback-after %s: want one second or more, such as 60s", f.rollback)
	}
	if f.emit != "" {
		if _, _, err := parseEmit(f.emit); err != nil {
			return t, err
		}
		// The formats make it permanent, each in its way.
		f.dryRun, f.only, f.root = true, onlyRunning, ""
	}
	if f.stateDir, err = filepath.Abs(f.stateDir); err != nil {
		return t, err
	}
	if f.root != "" {
		f.root, err = filepath.Abs(f.root)
	}
	return t, err
}

// A request is what a plan is to achieve: values, or remedies by name, none of
// them for those that portroom chooses.
type request struct {
	values   []string // NAME=VALUE
	remedies []string
}

// A changer makes and carries out plans for one kind of target.
type changer struct {
	// propose makes a plan. A plan without steps has a note that says why.
	propose func(context.Context, *app, *changeFlags, target.Target, request) (*remedy.Proposal, remedy.Driver, error)
	// open finds the target of a change in the journal again.
	open func(context.Context, *app, *changeFlags, remedy.Target) (remedy.Driver, error)
}

// changers are the kinds of target that can be changed, by the word that the
// journal has for them.
func changers() map[string]changer {
	m := make(map[string]changer)
	switch runtime.GOOS {
	case "linux":
		m[sysctl.Kind] = changer{proposeLocal, openLocal}
	case "windows":
		m[string(target.Local)] = changer{proposeRunning, openRunning}
	case "darwin", "freebsd":
		m[string(target.Local)] = changer{proposeBSD, openBSD}
	}
	for _, k := range registryKinds {
		m[string(k)] = changer{proposeRegistry, openRegistry}
	}
	return m
}

// changer returns who changes targets of a kind.
func (a *app) changer(kind string) (changer, error) {
	c, ok := changers()[kind]
	if !ok && kind == string(target.Local) {
		return c, fmt.Errorf("portroom cannot change settings of %s yet", systemName(runtime.GOOS))
	}
	if !ok {
		return c, fmt.Errorf("this portroom cannot change targets of the kind %s", kind)
	}
	return c, nil
}

// openTarget finds the target of a plan again.
func (a *app) openTarget(ctx context.Context, f *changeFlags, t remedy.Target) (remedy.Driver, error) {
	c, err := a.changer(t.Kind)
	if err != nil {
		return nil, err
	}
	return c.open(ctx, a, f, t)
}

func (a *app) journalOptions(ctx context.Context, f *changeFlags) remedy.Options {
	o := remedy.Options{
		Dir: f.stateDir, Files: a.files,
		Driver: func(t remedy.Target) (remedy.Driver, error) { return a.openTarget(ctx, f, t) },
		Report: func(s string) { fmt.Fprintln(a.stderr, "portroom:", s) },
	}
	if o.Files == nil {
		o.Files = remedy.Disk{}
	}
	return o
}

// journal locks the journal, and mends what earlier runs left to be mended.
func (a *app) journal(ctx context.Context, f *changeFlags) (*remedy.Journal, error) {
	j, err := remedy.Open(a.journalOptions(ctx, f))
	if err != nil {
		return nil, err
	}
	if err := j.Overdue(ctx); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// maker makes a plan from the journal, and opens its target.
type maker func(*remedy.Journal) (*remedy.Proposal, remedy.Driver, error)

// change shows a plan, asks, and carries it out. need says that the plan cannot
// be made without the journal.
func (a *app) change(ctx context.Context, f *changeFlags, need bool, plan maker) (err error) {
	if f.dryRun {
		var j *remedy.Journal
		if need {
			if j, err = remedy.Peek(a.journalOptions(ctx, f)); err != nil {
				return err
			}
		}
		p, d, err := plan(j)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		if f.emit != "" {
			return a.emit(f, p)
		}
		return a.printProposal(f, p, planned, 0, nil)
	}
	var j *remedy.Journal
	defer func() {
		if j != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	// A host without a journal has nothing to mend, and gets one only when there is
	// something to write down.
	if need || exists(f.stateDir) {
		if j, err = a.journal(ctx, f); err != nil {
			return err
		}
	}
	p, d, err := plan(j)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if len(p.Plan.Steps) == 0 {
		return a.printProposal(f, p, nothing, 0, nil)
	}
	if err := refused(f, p); err != nil {
		if !a.json {
			err = errors.Join(a.printProposal(f, p, planned, 0, nil), err)
		}
		return err
	}
	if !f.yes {
		// Nobody else has to wait for the answer. What changes meanwhile is noticed
		// when the plan is carried out.
		if j != nil {
			if err := j.Close(); err != nil {
				return err
			}
			j = nil
		}
		if err := a.ask(ctx, f, p); err != nil {
			return err
		}
	}
	if j == nil {
		if j, err = a.journal(ctx, f); err != nil {
			return err
		}
	}
	if err := j.Save(p.Backups); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	var until *time.Time
	if f.rollback > 0 {
		t := time.Now().Add(f.rollback).Truncate(time.Millisecond)
		until = &t
		if err := a.watch(ctx, f, len(j.Changes())+1, t); err != nil {
			return fmt.Errorf("nothing was changed, since nobody could be left behind to undo it: %w", err)
		}
	}
	id, err := j.Apply(ctx, d, p.Plan, until)
	if err != nil {
		return err
	}
	return a.printProposal(f, p, done, id, until)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// refused says which risks of a plan were not accepted.
func refused(f *changeFlags, p *remedy.Proposal) error {
	var names, texts []string
	for _, r := range p.Risks {
		if !slices.Contains(f.accept, r.Name) {
			names, texts = append(names, "--accept-risk="+r.Name), append(texts, r.Text)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("nothing was changed: %s. Whoever wants it nevertheless says %s", strings.Join(texts, "; "), strings.Join(names, " "))
}

// ask shows the plan and wants a yes.
func (a *app) ask(ctx context.Context, f *changeFlags, p *remedy.Proposal) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("nobody can be asked here, since standard input is no terminal: want --yes to do it, or --dry-run to see it")
	}
	if err := a.printProposal(f, p, planned, 0, nil); err != nil {
		return err
	}
	fmt.Fprint(a.stderr, "Do this? [y/N] ")
	answer := make(chan string, 1)
	// It is left behind at a Ctrl-C, and the process ends.
	go func() {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			fmt.Fprintln(a.stderr)
		}
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		return ctx.Err()
	case text := <-answer:
		if text != "y" && text != "yes" {
			return errors.New("nothing was changed: the answer was not yes")
		}
		return nil
	}
}
