// Package cli is the command line: one file for each command, thin over the
// packages that measure.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/socket"
)

// The exit status. 1 and 2 are the convention of monitoring plugins and come
// from check alone.
const (
	exitOK       = 0
	exitWarning  = 1
	exitCritical = 2
	exitFailed   = 3
	exitUsage    = 64 // EX_USAGE of sysexits.h
)

// usageError is a wrong call; its sentence says what is accepted.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// statusError ends a command with a status and nothing more to say.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// app is what the commands share.
type app struct {
	stdout, stderr io.Writer
	width          int  // columns of the terminal, 0 when stdout is none
	color          bool // stdout takes colours
	ascii          bool // the font or the locale has no block glyphs
	progress       bool // stderr is a terminal

	json          bool
	netns         string
	allNamespaces bool
	engine        string
	noBPF         bool

	files remedy.Files // how files are changed; nil for the system's own
}

// Main runs the command line of the process and returns its exit status.
func Main() int { return mainWith(nil) }

// mainWith is Main with another way to change files.
func mainWith(files remedy.Files) int {
	if os.Getenv("GOGC") == "" {
		// A short life with a small heap: collect first at 16 MiB, not at 4.
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdout: os.Stdout, stderr: os.Stderr, files: files}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		a.width = 80
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			a.width = w
		}
		a.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	a.progress = term.IsTerminal(int(os.Stderr.Fd()))
	a.ascii = os.Getenv("TERM") == "linux" || !utf8Locale()
	a.engine = os.Getenv("PORTROOM_ENGINE")
	return a.run(ctx, os.Args[1:])
}

// utf8Locale reports whether the locale's characters are UTF-8; the first of
// these variables that is set decides (locale(7)).
func utf8Locale() bool {
	l := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG"))
	l = strings.ToLower(strings.ReplaceAll(l, "-", ""))
	return strings.Contains(l, "utf8")
}

// run executes one command line.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.command()
	root.SetArgs(joinEmit(args))
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	var status statusError
	var usage usageError
	var back *remedy.RolledBackError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &back): // also when it was interrupted: it says what became of it
		fmt.Fprintln(a.stderr, "portroom:", err)
		return exitFailed
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "portroom: interrupted")
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintln(a.stderr, "portroom:", err)
		return exitUsage
	}
	fmt.Fprintln(a.stderr, "portroom:", err)
	return exitFailed
}

const rootLong = `portroom measures how many more connections this host can open: for each
destination the number of source ports that the kernel will still grant, who
holds the others, and what is in the way. Without a command it runs "check".

It reads only, but for fix, set and undo, which show what they will change first.
As root its numbers are exact; without privilege they are lower bounds, shown as
"≥ 81", and it says what is missing.

EXIT STATUS
  0   fine (check: below --warn)
  1   check: a pool is above --warn
  2   check: a pool is above --crit, or has no port left
  3   could not be measured
  64  wrong usage`

// Command returns the command tree for those who document it.
func Command() *cobra.Command { return (&app{}).command() }

// command builds the command tree. A fresh one is built for each run.
func (a *app) command() *cobra.Command {
	check := a.checkCommand()
	root := &cobra.Command{
		Use:           "portroom",
		Short:         "How many more connections this host can open, to whom, and what is in the way",
		Long:          rootLong,
		Example:       check.Example,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q: see portroom --help", args[0])
			}
			return nil
		},
		RunE: check.RunE,
	}
	root.Flags().AddFlagSet(check.Flags())
	p := root.PersistentFlags()
	p.BoolVar(&a.json, "json", false, "print JSON (docs/json.md describes it)")
	p.StringVar(&a.netns, "netns", "", "measure this network namespace: a `name` under /run/netns, a path, or a process id")
	p.BoolVarP(&a.allNamespaces, "all-namespaces", "A", false, "measure every network namespace that has a process or a name")
	p.BoolVar(&a.noBPF, "no-bpf", false, "read by sock_diag alone, without BPF iterators")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(check, a.explainCommand(), a.roomCommand(), a.poolsCommand(), a.portsCommand(), a.settingsCommand(),
		a.fixCommand(), a.setCommand(), a.undoCommand(), a.confirmCommand(), a.watchdogCommand(), a.demoCommand(),
		a.planCommand(), a.simulateCommand(), a.watchCommand(), a.topCommand(), a.recordCommand(), a.historyCommand(), a.versionCommand())
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = noArgs
		}
	}
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if _, err := socket.ParseEngine(a.engine); err != nil {
			return usagef("PORTROOM_ENGINE=%w", err)
		}
		if a.netns != "" && a.allNamespaces {
			return usagef("--netns names one namespace and --all-namespaces means all: want one of the two")
		}
		if err := a.linuxOnly(runtime.GOOS); err != nil {
			return err
		}
		return nil
	}
	return root
}

// flagError says of a value that cannot be read what is accepted.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		switch invalid.GetFlag().Value.Type() {
		case "int", "uint64":
			return usagef("--%s %q: want a whole number", invalid.GetFlag().Name, invalid.GetValue())
		case "float64":
			return usagef("--%s %q: want a number", invalid.GetFlag().Name, invalid.GetValue())
		case "duration":
			return usagef("--%s %q: want a duration such as 30s or 2h", invalid.GetFlag().Name, invalid.GetValue())
		}
	}
	return usageError{err}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// linuxOnly says of flags that name what only Linux has that they do not go here.
func (a *app) linuxOnly(system string) error {
	var name string
	switch {
	case system == "linux":
		return nil
	case a.netns != "":
		name = "--netns"
	case a.allNamespaces:
		name = "--all-namespaces"
	case a.noBPF:
		name = "--no-bpf"
	default:
		return nil
	}
	return usagef("%s is for Linux: %s has neither network namespaces nor BPF", name, systemName(system))
}

func systemName(goos string) string {
	switch goos {
	case "windows":
		return "Windows"
	case "darwin":
		return "macOS"
	case "freebsd":
		return "FreeBSD"
	}
	return goos
}

// namespaces returns what the flags name.
func (a *app) namespaces() ([]netns.Namespace, error) {
	switch {
	case runtime.GOOS != "linux":
		return []netns.Namespace{{}}, nil
	case a.allNamespaces:
		return netns.All()
	case a.netns != "":
		ns, err := netns.Find(a.netns)
		return []netns.Namespace{ns}, err
	}
	ns, err := netns.Self()
	return []netns.Namespace{ns}, err
}

// survey measures the namespaces that the flags name.
func (a *app) survey(ctx context.Context, opt survey.Options, fn func(*survey.View) error) error {
	if err := supported(); err != nil {
		return err
	}
	list, err := a.namespaces()
	if err != nil {
		return err
	}
	opt.Namespaces = list
	opt.Engine = socket.Engine(a.engine)
	if a.noBPF {
		opt.Engine = socket.Plain
	}
	if a.progress && len(list) > 1 {
		bar := &progress{w: a.stderr}
		opt.Progress = bar.show
		defer bar.clear()
	}
	return survey.Each(ctx, opt, fn)
}
