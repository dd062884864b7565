package cli

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/finding/errtext"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/survey"
)

const explainLong = `Say what an error of the network means: which call failed, what each system means
by it, whether it is port exhaustion, and what else may have caused it, weighed by
what this host shows now.

WHAT is a number (10055, 99, 0xC0000209), a name (WSAENOBUFS, EADDRNOTAVAIL), an
event of Windows (event 4227), or a message as a program printed it. A number is one
of this system if it has it, else of another; --system says which. - reads a log from
standard input and says what was recognised in it, how often and when. The code of a
finding, such as PR105, says what the rule is and whether this host breaks it.

Of a port that is in use, who holds it is said where the message names the port, or
--port does.

The causes are those of docs/findings.md. Weights are judgements, and add up to 1; a
host that shows nothing now may have been short of ports at the time. Without
privilege less is seen; with --no-host, and for errors of another system, nothing is
looked at.

EXIT STATUS
  0   explained; of a log, also when nothing was recognised
  3   standard input, or the namespace that --netns names, could not be read
  64  wrong usage, or nothing that is known`

const explainWant = "a number such as 10055, a name such as EADDRNOTAVAIL, event 4227, or a message that names an error of the network"

// targets of an explanation.
var errorSystems = []finding.System{finding.Linux, finding.Windows, finding.Darwin, finding.FreeBSD}

type explainFlags struct {
	system string
	noHost bool
	port   uint16
}

func (a *app) explainCommand() *cobra.Command {
	f := explainFlags{}
	c := &cobra.Command{
		Use:   "explain WHAT",
		Short: "Say what an error means here, and what caused it",
		Long:  explainLong,
		Example: `  portroom explain 10055
  portroom explain EADDRNOTAVAIL --json
  portroom explain 'dial tcp 10.0.0.5:80: connect: cannot assign requested address'
  portroom explain 'listen tcp :8080: bind: address already in use'
  portroom explain EADDRINUSE --port 8080
  portroom explain event 4227
  journalctl -u web1 | portroom explain -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("explain: want %s, or - for a log on standard input", explainWant)
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(errtext.Names(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			here, err := f.parse(a)
			if err != nil {
				return err
			}
			e := &explainer{app: a, here: here, asked: f.system != "", noHost: f.noHost, port: f.port}
			what := strings.Join(args, " ")
			if f.port != 0 && (what == "-" || ruleOf(what) != nil) {
				return usagef("--port goes with one error: leave it out")
			}
			if what == "-" {
				return e.log(cmd.Context(), cmd.InOrStdin())
			}
			if r := ruleOf(what); r != nil {
				return e.rule(cmd.Context(), r)
			}
			return e.one(cmd.Context(), what)
		},
	}
	c.Flags().StringVar(&f.system, "system", "", "the `system` that the error is from: linux, windows, darwin or freebsd (default: this one)")
	c.Flags().Uint16Var(&f.port, "port", 0, "the `port` that a server could not listen on, where the message does not say it")
	c.Flags().BoolVar(&f.noHost, "no-host", false, "do not look at this host")
	_ = c.RegisterFlagCompletionFunc("system", cobra.FixedCompletions([]string{"linux", "windows", "darwin", "freebsd"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// parse reads the flags and returns the system that errors are taken for.
func (f *explainFlags) parse(a *app) (finding.System, error) {
	switch {
	case a.allNamespaces:
		return "", usagef("explain looks at one namespace: use --netns instead of --all-namespaces")
	case a.netns != "" && f.noHost:
		return "", usagef("--netns names what to look at and --no-host means nothing: want one of the two")
	}
	here := finding.System(strings.ToLower(f.system))
	switch here {
	case "":
		here = finding.System(runtime.GOOS)
	case "macos":
		here = finding.Darwin
	}
	if !slices.Contains(errorSystems, here) {
		if f.system != "" {
			return "", usagef("--system %q: want linux, windows, darwin or freebsd", f.system)
		}
		here = finding.Linux
	}
	return here, nil
}

// An explainer explains errors by the evidence of this host, which it looks at once
// and only if an error may be its own.
type explainer struct {
	*app
	here   finding.System // that numbers and names are taken for
	asked  bool           // the caller named it
	noHost bool
	port   uint16 // that a server could not listen on; 0 when not said

	looked  bool
	facts   *finding.Facts
	found   []finding.Finding
	limited string // why the evidence is less than it might be, or there is none
}

// explain explains one match. The error is that of a namespace that cannot be
// measured though the caller named it.
func (e *explainer) explain(ctx context.Context, m errtext.Match) (errtext.Explanation, error) {
	if !e.noHost && (m.System == "" || m.System == finding.System(runtime.GOOS)) {
		if err := e.look(ctx); err != nil {
			return errtext.Explanation{}, err
		}
		if err := e.holders(ctx, m.Port); err != nil {
			return errtext.Explanation{}, err
		}
		return errtext.Explain(m, e.facts, e.found), nil
	}
	return errtext.Explain(m, nil, nil), nil
}

// look gathers the evidence of this host.
func (e *explainer) look(ctx context.Context) error {
	if e.looked {
		return nil
	}
	e.looked = true
	if err := host.Supported(); err != nil {
		e.limited = err.Error()
		return nil
	}
	beside := factsOptions(checkFlags{})
	err := e.survey(ctx, survey.Options{Owners: true, Services: true}, func(v *survey.View) error {
		e.facts = facts.Gather(v, v.Pools(), beside)
		e.found = finding.Judge(e.facts)
		e.limited = limitText(v)
		return nil
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case e.netns != "":
		return err
	default:
		// The error can be explained without the host.
		e.facts, e.limited = nil, "this host could not be measured: "+err.Error()
	}
	return nil
}

// holders finds out who holds a port that somebody asked for by number.
func (e *explainer) holders(ctx context.Context, port uint16) error {
	if port == 0 || e.facts == nil || e.facts.Held[port] != nil {
		return nil
	}
	err := e.survey(ctx, survey.Options{Owners: true, Port: port}, func(v *survey.View) error {
		if e.facts.Held == nil {
			e.facts.Held = make(map[uint16][]finding.Holder)
		}
		e.facts.Held[port] = facts.Holders(v)
		return nil
	})
	if err != nil && ctx.Err() == nil && e.netns == "" {
		return nil // it can be explained without
	}
	return err
}

// one explains a word or a message.
func (e *explainer) one(ctx context.Context, what string) error {
	m, ok := errtext.Lookup(what, e.here)
	if !ok {
		return usagef("%q is nothing that explain knows: want %s", errtext.Readable(what, 60), explainWant)
	}
	if e.port != 0 {
		if m.Err == nil || m.Err.Name != "EADDRINUSE" {
			return usagef("--port is for a port that is in use (EADDRINUSE), not for %s", m.Name)
		}
		m.Port = e.port
	}
	x, err := e.explain(ctx, m)
	if err != nil {
		return err
	}
	if e.json {
		return printJSON(e.stdout, e.jsonExplanation(&x))
	}
	return e.printExplanation(&x)
}
