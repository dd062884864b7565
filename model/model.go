// Package model says how each operating system, NAT and cloud gives out source
// ports, and what follows: how many connects a second it sustains, when it fails
// first, and what would help.
//
// [Find] returns a [Profile], [Profile.Resolve] applies settings to it and gives a
// [Pool], [Plan] does the arithmetic that is exact, and [Simulate] plays the
// connections one by one for what has no formula: bursts, the cost of the search,
// searches that give up early.
//
// The package is pure: no I/O, no operating system.
//
// # Uncertain numbers
//
// Where the sources of a number disagree it is a [Bounds] of two ends. The cautious
// end is the one that fails sooner: the smaller capacity, the longer hold. What is
// computed from it is given for the cautious end, and as bounds.
package model

import (
	"fmt"
	"math"

	"github.com/portroom/portroom/port"
)

// Bounds are the lowest and highest value that the sources allow. Equal ends are
// a certain value.
type Bounds struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// exactly is a certain value.
func exactly(v float64) Bounds { return Bounds{v, v} }

// Certain reports whether the sources agree.
func (b Bounds) Certain() bool { return b.Low == b.High }

// String writes "240", or "120 to 240".
func (b Bounds) String() string {
	if b.Certain() {
		return number(b.Low)
	}
	return number(b.Low) + " to " + number(b.High)
}

func number(v float64) string {
	if math.IsInf(v, 1) {
		return "no limit"
	}
	return fmt.Sprintf("%g", Round(v))
}

// Round keeps two decimals, or three digits of what is smaller than one.
func Round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	decimals := 2.0
	if a := math.Abs(v); a < 0.1 {
		decimals = 2 - math.Floor(math.Log10(a))
	}
	p := math.Pow(10, decimals)
	return math.Round(v*p) / p
}

// Scope is what has one pool of ports to itself.
type Scope int

// The scopes there are.
const (
	PerHost   Scope = iota // the host: one pool whatever the addresses
	PerSource              // a local address, whatever the destination
	PerTuple               // a source address, destination address and destination port
)

func (s Scope) String() string {
	return [...]string{"host", "source address", "source and destination"}[s]
}

// Pools returns how many pools so many source addresses and destinations make.
func (s Scope) Pools(sources, destinations int) int {
	switch s {
	case PerSource:
		return sources
	case PerTuple:
		return sources * destinations
	}
	return 1
}

// Search is the order in which a system looks for a free port.
type Search int

// The searches there are.
const (
	// Lowest: from the low end, the first that is free. Windows NT4 to Server 2003
	// (KB194952).
	Lowest Search = iota
	// Sequential: from where the search before ended. Windows Vista and later
	// (field reports).
	Sequential
	// RandomStart: from a random port upwards, once round. FreeBSD in_pcb.c, macOS
	// in_pcb.c, gVisor ports.go.
	RandomStart
	// HashedStart: from a hash of the addresses plus a counter, every port.
	// Linux before 4.2, inet_hashtables.c.
	HashedStart
	// ParityConnect: the same, first the parity of the low end, then the other one.
	// Linux from 4.2, __inet_hash_connect in inet_hashtables.c.
	ParityConnect
	// ParityBind: from a random port, first the other parity than connect() prefers.
	// Linux from 4.2, inet_csk_find_open_port in inet_connection_sock.c.
	ParityBind
	// NATRounds: the port of the inside if it is free, else five rounds from random
	// ports, of 128, 64, 32, 16 and 8 ports. nf_nat_core.c.
	NATRounds
)

func (s Search) String() string {
	return [...]string{"lowest free port first", "next in order", "random start, then upwards",
		"hashed start, then upwards", "hashed start, even ports before odd ones", "random start, odd ports before even ones",
		"the inside's port, else 248 probes"}[s]
}

// Pool is what one pool of a system is, all settings applied.
type Pool struct {
	System string
	Title  string
	Range  port.Range // zero where a product states a number only
	// Capacity is how many ports an empty pool gives.
	Capacity Bounds
	// Wait is for how many seconds a port stays held after this side closed.
	Wait Bounds
	// Entry is for how many seconds the entry remains in sight when Wait is shorter,
	// because connect() may take it over (tcp_tw_reuse); 0 when it is Wait itself.
	Entry   float64
	MaxWait int // most entries in TIME_WAIT, beyond which closing frees at once; 0 none
	// HZ is how many ticks a second the kernel's timers have, which makes the end of
	// TIME_WAIT late: Wait has that as its high end, [Simulate] plays the timers. 0 is
	// not known, and on time.
	HZ int
	// Clock is the unit, in seconds, in which connect() sees how old an entry is that
	// it may take over: it may once more than Wait has passed in whole units. 0 is none.
	Clock float64
	Scope Scope
	// ScopeUncertain: no source says what the scope is; Scope is the cautious one.
	ScopeUncertain bool
	Search         Search
	Hints          int // counters that the hashed searches share among destinations
	Error          string
	Reserved       port.Set
	Facts          []Fact

	family  family
	release release // of Linux
}

// A family of systems has the same means of change.
type family int

const (
	unixes family = iota
	legacyMicrosoft
	microsoft
	linuxes
	netfilter
	clouded
)

// Fact is one number of a profile with where it comes from.
type Fact struct {
	What      string `json:"what"`
	Value     string `json:"value"`
	Source    string `json:"source"`
	Uncertain string `json:"uncertain,omitempty"` // why the value is in doubt
}

// cautious and hopeful give the end that fails sooner, and the other.
func (p *Pool) cautious() (capacity, wait float64) { return p.Capacity.Low, p.Wait.High }
func (p *Pool) hopeful() (capacity, wait float64)  { return p.Capacity.High, p.Wait.Low }

// Hopeful is the pool with each uncertain number at the end that fails later, for
// sure. [Simulate] plays the cautious end of what it is given.
func (p Pool) Hopeful() Pool {
	capacity, wait := p.hopeful()
	p.Capacity = exactly(capacity)
	if p.Clock == 0 && (p.HZ == 0 || p.Entry > 0) { // else it is played as it is
		p.Wait = exactly(wait)
	}
	return p
}

// waits reports whether a port stays held after the close. A NAT sees both ends, so
// that who closes first is no matter to it.
func (p *Pool) waits(serverCloses bool) bool {
	return !serverCloses || p.family == netfilter || p.family == clouded
}

// HasKnee reports whether the cost of a search jumps at half of the capacity.
func (p *Pool) HasKnee() bool { return p.Search == ParityConnect || p.Search == ParityBind }
