package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/secret"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/registry/remote"
	"github.com/portroom/portroom/remedy"
)

// targetFlags say where the settings live.
type targetFlags struct {
	target       string
	user         string // of a remote target, as the others below
	passwordFile string
	kerberos     bool
	smb1         bool
	timeout      time.Duration
	journal      bool // the target is that of a change in the journal

	files remedy.Files // how a file target is changed; nil for the system's own way
}

func (f *targetFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.target, "target", string(target.Local), "where the settings live: `target` "+target.Want)
	f.addConnection(c)
}

// addConnection adds how to reach a remote target.
func (f *targetFlags) addConnection(c *cobra.Command) {
	f.journal = f.target == ""
	c.Flags().StringVar(&f.user, "user", "", `who connects to remote:HOST: DOMAIN\user or `+"`user`")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "the password of --user, in the first line of `file`; else "+secret.Variable+" or a prompt")
	c.Flags().BoolVar(&f.kerberos, "kerberos", false, "connect to remote:HOST by Kerberos only; without --user by the tickets at hand")
	c.Flags().BoolVar(&f.smb1, "smb1", false, "let remote:HOST speak SMB1, the only version that Windows NT 4.0 to Server 2003 know")
	c.Flags().DurationVar(&f.timeout, "timeout", remote.DefaultTimeout, "how long one call to remote:HOST may take: a `duration` such as 30s")
}

// parse reads the flags. What belongs to this host alone does not go with another.
func (f *targetFlags) parse(a *app) (target.Target, error) {
	if f.journal {
		f.target = string(target.Local)
	}
	t, err := target.Parse(f.target)
	if err != nil {
		return t, usagef("--target %w", err)
	}
	if t.Kind != target.Remote && !f.journal && (f.user != "" || f.passwordFile != "" || f.kerberos || f.smb1) {
		return t, usagef("--user, --password-file, --kerberos and --smb1 go with --target remote:HOST")
	}
	if f.timeout <= 0 {
		return t, usagef("--timeout %s: want a time above zero, such as 30s", f.timeout)
	}
	if f.passwordFile != "" && f.user == "" {
		return t, usagef("--password-file: want --user as well, to say whose password it is")
	}
	if t.Kind != target.Local && (a.netns != "" || a.allNamespaces) {
		return t, usagef("--target %s is a Windows system: it does not go with --netns or --all-namespaces", t.Kind)
	}
	return t, nil
}

// readTarget reads the settings of a target other than this host.
func (f *targetFlags) read(ctx context.Context, t target.Target) (*nt.Settings, error) {
	o, err := t.Open(ctx, f.openers())
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Close() }() // it was read from only
	s, err := o.Settings(nil)
	if err != nil {
		return nil, targetError{t, err}
	}
	s.Notes = append(o.Notes, s.Notes...)
	return s, nil
}

// targetError says which target something went wrong with.
type targetError struct {
	target target.Target
	err    error
}

func (e targetError) Error() string { return e.target.String() + ": " + e.err.Error() }
func (e targetError) Unwrap() error { return e.err }
