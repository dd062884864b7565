// Package emit writes plans as files for those who make changes in a way of their
// own: with a configuration management, in a pod's specification, by a script. It is
// pure.
//
// Each file has a counterpart of the same name in the folder restore, which brings
// back what the plan found. A folder rather than a name of its own: who copies the
// files to where they act then puts one in the place of the other, and cannot have
// both there at once.
package emit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/sysctl"
	"github.com/portroom/portroom/remedy/winreg"
)

// Format is a kind of files.
type Format string

// The formats.
const (
	Sysctl     Format = "sysctl"     // sysctl.d, FreeBSD's sysctl.conf, macOS's launchd
	Ansible    Format = "ansible"    // playbooks
	Kubernetes Format = "kubernetes" // patches of workloads
	Docker     Format = "docker"     // docker run, and an override for compose
	Systemd    Format = "systemd"    // units that run once
	Reg        Format = "reg"        // .reg files for regedit
	Cmd        Format = "cmd"        // batch files
	PowerShell Format = "ps1"        // PowerShell scripts
)

// Formats are all of them, in the order of the help.
var Formats = []Format{Sysctl, Ansible, Kubernetes, Docker, Systemd, Reg, Cmd, PowerShell}

// System is a kind of operating system that a plan is for.
type System string

// The systems.
const (
	Linux   System = "Linux"
	FreeBSD System = "FreeBSD"
	MacOS   System = "macOS"
	Windows System = "Windows"
)

// For says what the files are for.
type For struct {
	System System
	// Release is that of a Windows, such as "5.2"; "" when it is not known.
	Release string
	// Offline says that the registry is not that of a running system, so that its
	// control sets go by their numbers.
	Offline bool
}

// A File is one to be written.
type File struct {
	Name       string // below the folder, with slashes
	Executable bool
	Data       []byte
}

// restoreDir is the folder of the counterparts.
const restoreDir = "restore"

// A writer writes what a list of changes does in one format.
type writer struct {
	systems []System
	write   func(For, script) ([]File, error)
}

var writers = map[Format]writer{
	Sysctl:     {[]System{Linux, FreeBSD, MacOS}, writeSysctl},
	Ansible:    {[]System{Linux, FreeBSD, Windows}, writeAnsible},
	Kubernetes: {[]System{Linux}, writeKubernetes},
	Docker:     {[]System{Linux}, writeDocker},
	Systemd:    {[]System{Linux}, writeSystemd},
	Reg:        {[]System{Windows}, writeReg},
	Cmd:        {[]System{Windows}, writeCmd},
	PowerShell: {[]System{Windows}, writePowerShell},
}

// Files writes a plan. The error says what a format cannot hold, and which can.
func Files(f Format, to For, p remedy.Plan) ([]File, error) {
	w, ok := writers[f]
	if !ok {
		return nil, fmt.Errorf("%q is no format: want %s", f, names(Formats))
	}
	if !Suits(f, to.System) {
		return nil, fmt.Errorf("%s files are not for %s: want %s", f, to.System, names(formatsOf(to.System)))
	}
	apply, restore, err := scripts(to, p)
	if err != nil {
		return nil, err
	}
	if len(apply.changes) == 0 {
		return nil, fmt.Errorf("the plan changes nothing that %s files could hold", f)
	}
	files, err := w.write(to, apply)
	if err != nil {
		return nil, fmt.Errorf("write the plan as %s: %w", f, err)
	}
	back, err := w.write(to, restore)
	if err != nil {
		return nil, fmt.Errorf("write as %s what restores it: %w", f, err)
	}
	for _, b := range back {
		b.Name = path.Join(restoreDir, b.Name)
		files = append(files, b)
	}
	return files, nil
}

// Suits reports whether a format is for a system.
func Suits(f Format, s System) bool { return slices.Contains(writers[f].systems, s) }

// formatsOf are the formats for a system.
func formatsOf(s System) []Format {
	return slices.DeleteFunc(slices.Clone(Formats), func(f Format) bool { return !Suits(f, s) })
}

func names(list []Format) string {
	var text []string
	for _, f := range list {
		text = append(text, string(f))
	}
	return strings.Join(text, ", ")
}

// A script is what one set of files does.
type script struct {
	title   string // of the plan
	restore bool
	changes []change
}

// A change is one thing that a script does.
type change struct {
	kind   string // of package sysctl or winreg
	object string // the parameter, the dynamic range, or nothing
	key    string // of a value, below HKEY_LOCAL_MACHINE
	name   string // of a value
	to     remedy.State
	why    string
	// restart: the change acts after one only.
	restart bool
}

// live is the control set of a running system.
const live = "CurrentControlSet"

// scripts turns a plan into what carries it out and what takes it back. Files and
// directories are left out: they are where the formats put their own. Keys are
// made together with their values.
func scripts(to For, p remedy.Plan) (apply, restore script, err error) {
	apply, restore = script{title: p.Title}, script{title: p.Title, restore: true}
	set := ""
	for _, s := range p.Steps {
		c := change{kind: s.Kind, object: s.Object, to: s.To, why: s.Why, restart: s.Effect == remedy.Restart}
		switch s.Kind {
		case sysctl.Parameter, winreg.KindDynamic, winreg.KindAutoReuse:
		case winreg.KindValue:
			words := registry.Split(s.Object)
			if set == "" {
				set = words[0]
			}
			if !to.Offline {
				// The same value in the control set of the next start becomes that of
				// the running system by the restart itself.
				if words[0] != set {
					continue
				}
				words[0] = live
			}
			c.object = ""
			c.key, c.name = registry.Join(append([]string{"SYSTEM"}, words[:len(words)-1]...)...), words[len(words)-1]
		default:
			continue
		}
		apply.changes = append(apply.changes, c)
		c.to, c.why = s.From, ""
		restore.changes = append([]change{c}, restore.changes...)
	}
	return apply, restore, nil
}

// head are the lines that begin every file, without the sign of a comment.
func (s script) head(use ...string) []string {
	lines := []string{"portroom: " + oneLine(s.title)}
	if s.restore {
		lines[0] = "portroom: restores what was there before " + oneLine(s.title)
	}
	return append(lines, use...)
}

// needsRestart reports whether something acts after a restart only.
func (s script) needsRestart() bool {
	return slices.ContainsFunc(s.changes, func(c change) bool { return c.restart })
}

// comment puts a sign before each line.
func comment(sign string, lines []string, eol string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(sign+" "+l, " ") + eol)
	}
	return b.String()
}

// oneLine keeps text from a plan on its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
