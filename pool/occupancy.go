package pool

import (
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// occupancy says which ports of the range are taken for an asker that names no
// peer: bind(addr, 0) for TCP, any automatic port for UDP. The kernel compares
// local addresses only, a wildcard being equal to every address of its families
// (inet_rcv_saddr_equal in net/ipv4/inet_connection_sock.c).
type occupancy struct {
	addr map[socket.Addr]*port.Set // sockets on one address

	any4     port.Set // on 0.0.0.0
	anyDual  port.Set // on ::, IPV6_V6ONLY off: occupies IPv4 too
	anyOnly6 port.Set // on ::, IPV6_V6ONLY on
	anyMaybe port.Set // on ::, IPV6_V6ONLY unknown

	all4     port.Set // IPv4 sockets on any address
	allDual  port.Set // IPv6 sockets on any address, IPV6_V6ONLY off
	allOnly6 port.Set
	allMaybe port.Set
}

func (o *occupancy) add(s *socket.Socket) {
	p := s.SrcPort
	wildcard := s.Src.IsUnspecified()
	if s.Src.Is4() {
		o.all4.Add(p)
		if wildcard {
			o.any4.Add(p)
		}
	} else {
		whole, part := &o.allMaybe, &o.anyMaybe
		switch s.V6Only {
		case socket.No:
			whole, part = &o.allDual, &o.anyDual
		case socket.Yes:
			whole, part = &o.allOnly6, &o.anyOnly6
		}
		whole.Add(p)
		if wildcard {
			part.Add(p)
		}
	}
	if wildcard {
		return
	}
	set := o.addr[s.Src]
	if set == nil {
		if o.addr == nil {
			o.addr = make(map[socket.Addr]*port.Set)
		}
		set = new(port.Set)
		o.addr[s.Src] = set
	}
	set.Add(p)
}

// has6 reports whether any IPv6 socket was added.
func (o *occupancy) has6() bool {
	return o.allDual.Len()+o.allOnly6.Len()+o.allMaybe.Len() > 0
}

// conflicts returns the ports that are taken for an asker on src, and those
// that may be.
func (o *occupancy) conflicts(src socket.Addr) (taken, maybe port.Set) {
	switch {
	case src.Is4() && src.IsUnspecified():
		taken = o.all4
		taken.Union(&o.allDual)
		maybe = o.allMaybe
	case src.Is4():
		taken = o.any4
		taken.Union(&o.anyDual)
		maybe = o.anyMaybe
	case src.IsUnspecified():
		// The asker's own IPV6_V6ONLY is off unless somebody turned it on.
		taken = o.all4
		taken.Union(&o.allDual)
		taken.Union(&o.allOnly6)
		taken.Union(&o.allMaybe)
	default:
		taken = o.anyDual
		taken.Union(&o.anyOnly6)
		taken.Union(&o.anyMaybe)
	}
	if set := o.addr[src]; set != nil {
		taken.Union(set)
	}
	maybe.Subtract(&taken)
	return taken, maybe
}
