package facts

import (
	"fmt"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// listening returns the ports of those who wait for others now, in the range and
// outside. A UDP socket on a port of the range has most likely been given it.
func listening(v *survey.View) claim.Claims {
	var out claim.Claims
	for i := range v.Services {
		h := &v.Services[i]
		if h.Proto == socket.UDP && v.Settings.Range.Contains(h.SrcPort) {
			continue
		}
		by := h.Proto.String()
		if h.Owner.PID > 0 {
			by = fmt.Sprintf("%s[%d]", h.Owner.Command, h.Owner.PID)
		}
		out = append(out, claim.Claim{Kind: claim.Listening, Ports: port.Range{First: h.SrcPort, Last: h.SrcPort}, By: by})
	}
	return out
}

// claims returns all that belongs to somebody in a namespace: who listens, and in the
// namespace that the system began with the socket units whose ports nobody listens on
// now and the NodePorts of Kubernetes.
func claims(v *survey.View, opt Options) claim.Claims {
	out := listening(v)
	if first, err := v.Namespace.First(); err != nil || !first {
		return out
	}
	now := out.Set()
	for _, c := range opt.Units {
		if now.LenIn(c.Ports) == 0 {
			out = append(out, c)
		}
	}
	return append(out, nodePorts(opt.Root, running(v, opt.Root))...)
}

// running are the processes among which those of Kubernetes are: all that have a
// socket, if those could be read, since to look at every process takes its time.
func running(v *survey.View, root string) []socket.Owner {
	if v.Owners == nil || v.Limited != nil {
		return processes(root)
	}
	out := make([]socket.Owner, v.Owners.Len())
	for i := range out {
		out[i] = v.Owners.At(int32(i))
	}
	return out
}
