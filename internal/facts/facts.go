// Package facts gathers what the rules of package finding judge: the account of a
// measurement, and a few files beside it that say what no socket tells. It reads
// only, and what it cannot read it leaves unknown.
package facts

import (
	"fmt"
	"net/netip"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/winhost"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// Options choose what is gathered.
type Options struct {
	Root       string         // where the files are; "/" for this host
	Warn, Crit int            // the thresholds of the rules, in percent
	First      *host.Settings // of the namespace that others are compared with; nil for none
	Units      claim.Claims   // what [Units] returned
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
	if v.Windows != nil {
		f.System, f.Uptime = finding.Windows, winhost.Uptime()
		f.Windows = &finding.WindowsFacts{Settings: v.Windows}
		bound(f)
		return f
	}
	f.System, f.Settings, f.First = finding.Linux, v.Settings, opt.First
	f.Claims = claims(v, opt)
	if t, ok := v.Table.(*pool.Table); ok {
		f.Bound = t.Bound()
	}
	FromFiles(f, opt.Root)
	return f
}

// bound counts the sockets that hold a port without a connection.
func bound(f *finding.Facts) {
	for _, b := range f.Blockers {
		if b.Kind != pool.BoundIdle {
			continue
		}
		w := f.Windows
		w.Bound += b.Ports
		if b.PID != 0 && b.Ports > w.BoundMost {
			w.BoundBy, w.BoundMost = fmt.Sprintf("%s[%d]", b.Command, b.PID), b.Ports
		}
	}
}

// Holders returns the sockets on the port that a view was asked about.
func Holders(v *survey.View) []finding.Holder {
	out := []finding.Holder{}
	for i := range v.Sockets {
		s := &v.Sockets[i]
		h := finding.Holder{
			Proto: s.Proto, State: s.State, Local: netip.AddrPortFrom(s.Src.Netip(), s.SrcPort), PID: s.Owner.PID, Command: s.Owner.Command,
		}
		if s.DstPort != 0 {
			h.Peer = netip.AddrPortFrom(s.Dst.Netip(), s.DstPort)
		}
		if s.HalfOpenTimeWait {
			h.State = socket.TimeWait
		}
		out = append(out, h)
	}
	return out
}

// OfTarget returns the facts of a Windows that is not looked at while it runs. name
// is what its remedies call it: a --target, as a shell takes it.
func OfTarget(s *nt.Settings, name string, opt Options) *finding.Facts {
	return &finding.Facts{
		System: finding.Windows, Warn: opt.Warn, Crit: opt.Crit, Target: name,
		Windows: &finding.WindowsFacts{Settings: s}, SettingsOnly: true,
	}
}
