// Package facts gathers what the rules of package finding judge: the account of a
// measurement, and a few files beside it that say what no socket tells. It reads
// only, and what it cannot read it leaves unknown.
package facts

import (
	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// Options choose what is gathered.
type Options struct {
	Root       string         // where the files are; "/" for this host
	Warn, Crit int            // the thresholds of the rules, in percent
	First      *host.Settings // of the namespace that others are compared with; nil for none
}

// Gather returns the facts of a view. It is called as the view's function is, on a
// thread inside the namespace. pools are those of the view.
func Gather(v *survey.View, pools []pool.Pool, opt Options) *finding.Facts {
	f := &finding.Facts{Warn: opt.Warn, Crit: opt.Crit, Pools: pools, Blocked: v.Table.Blocked(), TimeWaits: v.TimeWaits}
	for _, by := range f.Blocked.By {
		b := finding.Blocker{Kind: by.Kind, Ports: by.Ports}
		if by.Owner != socket.NoOwner {
			o := v.Owners.At(by.Owner)
			b.PID, b.Command = o.PID, o.Command
		}
		f.Blockers = append(f.Blockers, b)
	}
	if v.Hostwide() {
		return f
	}
	f.System, f.Settings, f.First = finding.Linux, v.Settings, opt.First
	for _, s := range v.Services {
		if s.Proto == socket.TCP {
			f.Listeners.Add(s.SrcPort)
		}
	}
	FromFiles(f, opt.Root)
	return f
}
