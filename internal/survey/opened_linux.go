package survey

import (
	"net/netip"

	"github.com/portroom/portroom/socket"
)

// opener returns the index of the process that opened what is now in TIME_WAIT, or
// NoOwner. Its control group is noted as well, for the process may have ended.
func (m *measure) opener(v *View, s *socket.Socket) int32 {
	if v.Owners == nil || s.Proto != socket.TCP || s.State != socket.TimeWait && !s.HalfOpenTimeWait {
		return socket.NoOwner
	}
	o, ok := m.Opened(v.Namespace.ID,
		netip.AddrPortFrom(s.Src.Netip(), s.SrcPort), netip.AddrPortFrom(s.Dst.Netip(), s.DstPort))
	if !ok {
		return socket.NoOwner
	}
	if _, ok := m.cgroups[o.PID]; !ok {
		m.cgroups[o.PID] = o.Cgroup
	}
	return v.Owners.Process(o.PID, func(int) string { return o.Command })
}
