package bsd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/portroom/portroom/remedy"
)

// Parameter is the kind of an object that is a kernel parameter, as in package
// sysctl. The other kind is a file.
const Parameter = "parameter"

// A Driver is the [remedy.Driver] of the running system.
type Driver struct {
	remedy.FileDriver
	System System
	Root   string // of the files, "/" for the system's own
	// Sysctl runs sysctl(8) and returns what it printed. What it says of a name that
	// it does not know is [ErrUnknown].
	Sysctl func(args ...string) (string, error)
	BootID string
}

// ErrUnknown says that the kernel has no such parameter.
var ErrUnknown = errors.New("unknown parameter")

// BootParameter is the parameter that tells one run of a system from another.
func (s System) BootParameter() string {
	if s == MacOS {
		return "kern.bootsessionuuid"
	}
	return "kern.boottime"
}

func (d *Driver) name() string {
	if d.System == MacOS {
		return "macOS"
	}
	return "FreeBSD"
}

// Read implements [remedy.Driver].
func (d *Driver) Read(kind, object string) (remedy.State, error) {
	if kind != Parameter {
		return d.FileDriver.Read(kind, object)
	}
	text, err := d.Sysctl("-n", object)
	if errors.Is(err, ErrUnknown) {
		return remedy.Absent, nil
	}
	return remedy.State{Data: strings.TrimSpace(text)}, err
}

// Write implements [remedy.Driver]. What sysctl(8) says is not gone by: what counts
// is what is read back, for the kernel clamps some values without a word.
func (d *Driver) Write(kind, object string, s remedy.State) error {
	if kind != Parameter {
		return d.FileDriver.Write(kind, object, s)
	}
	if s.Absent {
		return errors.New("a kernel parameter cannot be taken away")
	}
	_, err := d.Sysctl(object + "=" + s.Data)
	return err
}

// Torn implements [remedy.Driver].
func (d *Driver) Torn(s remedy.Step, now remedy.State) bool {
	return s.Kind != Parameter && d.FileDriver.Torn(s, now)
}

// Clean implements [remedy.Driver].
func (d *Driver) Clean(kind, object string) error {
	if kind == Parameter {
		return nil
	}
	return d.FileDriver.Clean(kind, object)
}

// Boot implements [remedy.Driver].
func (d *Driver) Boot() string { return d.BootID }

// conf is what FreeBSD's rc.d/sysctl reads at each start (sysctl.conf(5)).
const conf = "etc/sysctl.conf"

// permanent is the step that has FreeBSD set the same at each start, nil for none.
func (d *Driver) permanent(set []assignment) (*remedy.Step, error) {
	if d.System != FreeBSD || d.Root == "" || len(set) == 0 {
		return nil, nil
	}
	file := filepath.Join(d.Root, conf)
	from, err := d.FileDriver.Read(remedy.KindFile, file)
	if err != nil {
		return nil, err
	}
	to := remedy.NewFile(edit(from.Data, set))
	if !from.Absent {
		to.Form = from.Form
	}
	if to == from {
		return nil, nil
	}
	return &remedy.Step{
		Remedy: set[0].remedy, Kind: remedy.KindFile, Object: file, From: from, To: to,
		Effect: remedy.Permanent, Why: "so that it is set at each start",
	}, nil
}

// edit assigns parameters at the end of a file, and no longer elsewhere in it. All
// other lines stay as they are.
func edit(text string, set []assignment) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		bare, _, _ := strings.Cut(line, "#")
		key, _, _ := strings.Cut(bare, "=")
		ours := false
		for _, a := range set {
			ours = ours || strings.TrimSpace(key) == a.key
		}
		if ours {
			continue
		}
		b.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	for _, a := range set {
		fmt.Fprintf(&b, "%s=%s\n", a.key, a.value)
	}
	return b.String()
}
