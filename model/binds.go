package model

import (
	"math/rand/v2"

	"github.com/portroom/portroom/port"
)

// Open is a way to get a source port on Linux.
type Open int

// The ways there are.
const (
	Connect    Open = iota // connect(), also after bind() with IP_BIND_ADDRESS_NO_PORT
	Bind                   // bind(ADDRESS, 0)
	BindShared             // the same with SO_REUSEADDR
)

// Network is one network namespace of Linux as the search for a port sees it, for one
// protocol: which of the ways to open a connection stand in the way of which. It holds
// the rules of net/ipv4/inet_hashtables.c, inet_connection_sock.c and udp.c; addresses
// are any strings, "" is the wildcard address.
type Network struct {
	Range         port.Range
	UDP           bool
	AutobindReuse bool // ip_autobind_reuse
	Rand          *rand.Rand

	buckets map[uint16]*bucket
}

// A bucket is what one port has seen.
type bucket struct {
	bound  []binding
	tuples map[tuple]bool
}

type binding struct {
	addr   string
	shared bool
}

type tuple struct{ src, dst string }

// Listen binds a port of the range, as a server does.
func (n *Network) Listen(addr string, p uint16) {
	n.at(p).bound = append(n.at(p).bound, binding{addr, false})
}

// Open gets a port for a socket at src, by bind or, where that leaves it to connect,
// for dst.
func (n *Network) Open(how Open, src, dst string) (p uint16, ok bool) {
	if n.UDP {
		return n.bind(how, src)
	}
	switch how {
	case Connect:
		for p := range n.order() {
			b := n.at(p)
			if len(b.bound) == 0 && !b.tuples[tuple{src, dst}] {
				b.tuples[tuple{src, dst}] = true
				return p, true
			}
		}
		return 0, false
	default:
		return n.bind(how, src)
	}
}

// ConnectBound connects a socket that has a port from bind. It fails when the very
// tuple is taken.
func (n *Network) ConnectBound(p uint16, src, dst string) bool {
	b := n.at(p)
	if b.tuples[tuple{src, dst}] {
		return false
	}
	b.tuples[tuple{src, dst}] = true
	return true
}

// bind is inet_csk_find_open_port, and for UDP udp_lib_get_port.
func (n *Network) bind(how Open, src string) (uint16, bool) {
	shared := how == BindShared
	for _, reuse := range []bool{false, true} {
		if reuse && (!shared || !n.AutobindReuse) {
			break // sharing is the last resort, and only if it is allowed
		}
		order := n.order()
		if reuse {
			order = n.lastResort()
		}
		for p := range order {
			if b := n.at(p); b.free(src, reuse) {
				b.bound = append(b.bound, binding{src, shared})
				return p, true
			}
		}
	}
	return 0, false
}

// free reports whether src may be bound: no other socket has the port at that address
// or at the wildcard, unless both share.
func (b *bucket) free(src string, share bool) bool {
	for _, o := range b.bound {
		if (o.addr == src || o.addr == "" || src == "") && (!share || !o.shared) {
			return false
		}
	}
	for t := range b.tuples {
		if (t.src == src || src == "") && !share {
			return false
		}
	}
	return true
}

func (n *Network) at(p uint16) *bucket {
	if n.buckets == nil {
		n.buckets = make(map[uint16]*bucket)
	}
	b := n.buckets[p]
	if b == nil {
		b = &bucket{tuples: make(map[tuple]bool)}
		n.buckets[p] = b
	}
	return b
}

// lastResort yields the upper half of the range from a random port on, the odd ones
// first: where inet_csk_find_open_port has come to when it begins to share. How few
// they are decides how soon two sockets share a port towards one destination.
func (n *Network) lastResort() func(func(uint16) bool) {
	low, ports := n.Range.First, n.Range.Len()
	if ports >= 4 {
		half := ports >> 2 << 1
		low, ports = low+uint16(half), ports-half
	}
	steps := max(1, ports/2)
	start := n.Rand.IntN(steps)
	return func(yield func(uint16) bool) {
		for parity := 1; parity >= 0; parity-- {
			for i := range steps {
				p := low + uint16(2*((start+i)%steps)+parity)
				if n.Range.Contains(p) && !yield(p) {
					return
				}
			}
		}
	}
}

// order yields the range once round from a random port: which port a search comes to
// first does not matter for how many there are.
func (n *Network) order() func(func(uint16) bool) {
	start := n.Rand.IntN(n.Range.Len())
	return func(yield func(uint16) bool) {
		for i := range n.Range.Len() {
			if !yield(n.Range.First + uint16((start+i)%n.Range.Len())) {
				return
			}
		}
	}
}
