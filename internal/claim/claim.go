// Package claim says to whom ports belong that no connect() should be given: to
// those who listen on them now, to services that are configured and would listen,
// and to the NodePorts of Kubernetes.
//
// What is configured is read where a port stands in a form that has one meaning:
// the socket units of systemd. Configuration files of single programs are not
// read, and /etc/services is not either: it names 6,000 ports, nearly all of
// which nobody uses on a given host.
package claim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/portroom/portroom/port"
)

// Kind is how a port came to belong to somebody.
type Kind string

// The kinds, the strongest first.
const (
	Listening  Kind = "listening"  // a socket listens, or waits for datagrams
	Configured Kind = "configured" // a socket unit names it, and nobody listens
	NodePort   Kind = "node-port"  // Kubernetes may give it to a service
)

// A Claim is ports that belong to somebody.
type Claim struct {
	Kind  Kind
	Ports port.Range
	By    string // who: "redis-server[812]", "cockpit.socket"
}

// String writes the claim for a sentence.
func (c Claim) String() string {
	ports := c.Ports.String()
	if c.Ports.Len() == 1 {
		ports = fmt.Sprint(c.Ports.First)
	}
	return ports + " (" + c.By + ")"
}

// Claims are those of one namespace.
type Claims []Claim

// Set returns the ports of all claims of these kinds, of every kind without.
func (c Claims) Set(kinds ...Kind) port.Set {
	var s port.Set
	for _, one := range c {
		if len(kinds) == 0 || slices.Contains(kinds, one.Kind) {
			s.AddRange(one.Ports)
		}
	}
	return s
}

// In returns the claims that concern a port of the set, by their ports.
func (c Claims) In(s *port.Set) Claims {
	var out Claims
	for _, one := range c {
		if s.LenIn(one.Ports) > 0 && !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	slices.SortStableFunc(out, func(a, b Claim) int { return cmp.Compare(a.Ports.First, b.Ports.First) })
	return out
}

// String writes the first few.
func (c Claims) String() string {
	const most = 6
	var parts []string
	for i, one := range c {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(c)-most))
			break
		}
		parts = append(parts, one.String())
	}
	return strings.Join(parts, ", ")
}
