package facts

import (
	"fmt"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// Configured returns the ports of those who need not listen now, by the files under
// a root: systemd's socket units and the NodePorts of Kubernetes. They are those of
// the namespace that the system began with. What cannot be read is passed over: a
// port too few is reserved then, as without portroom.
func Configured(root string) claim.Claims { return append(units(root), nodePorts(root)...) }

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
// first namespace what is configured and does not listen now.
func claims(v *survey.View, configured claim.Claims) claim.Claims {
	out := listening(v)
	if len(configured) == 0 {
		return out
	}
	if first, err := v.Namespace.First(); err != nil || !first {
		return out
	}
	now := out.Set()
	for _, c := range configured {
		if c.Kind == claim.NodePort || now.LenIn(c.Ports) == 0 {
			out = append(out, c)
		}
	}
	return out
}
