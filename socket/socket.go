// Package socket reads the socket table of a network namespace as a stream.
//
// The types here are portable and hold what the port accounting needs to know
// of a socket; one reader per operating system fills them in. A fact that a
// reader could not learn is [Unknown], never a guess.
package socket

import (
	"fmt"
	"net/netip"
	"time"
)

// Proto is a transport protocol, numbered as in the IP header (IANA protocol
// numbers).
type Proto uint8

// The transports that have ephemeral ports here.
const (
	TCP Proto = 6
	UDP Proto = 17
)

// String returns "tcp" or "udp".
func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return "proto?"
}

// State is a TCP state with the number Linux gives it (include/net/tcp_states.h).
// UDP sockets are Established when connected and Closed when not.
type State uint8

// The states, numbered as in Linux. BoundInactive is a socket that holds a
// port by bind() and neither listens nor connects; sock_diag lists those since
// Linux 6.8.
const (
	Established   State = 1
	SynSent       State = 2
	SynRecv       State = 3
	FinWait1      State = 4
	FinWait2      State = 5
	TimeWait      State = 6
	Closed        State = 7
	CloseWait     State = 8
	LastAck       State = 9
	Listen        State = 10
	Closing       State = 11
	NewSynRecv    State = 12
	BoundInactive State = 13

	// NumStates is one more than the highest State.
	NumStates = 14
)

var stateNames = [NumStates]string{
	"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
	"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV", "BOUND",
}

// String returns the state's name as in ss(8) and /proc/net/tcp documentation,
// for example "TIME_WAIT".
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return "UNKNOWN"
}

// Tri is a fact that may be unknown.
type Tri uint8

// The values of a Tri. The zero value is Unknown.
const (
	Unknown Tri = iota
	No
	Yes
)

// TriOf returns Yes or No.
func TriOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Addr is an IPv6 address, or an IPv4 address in its v4-mapped form: Linux
// keeps both kinds of IPv4 socket in one table, so they compare equal here.
type Addr [16]byte

// AddrOf returns a as an Addr. The zone is dropped.
func AddrOf(a netip.Addr) Addr { return a.As16() }

// Netip returns a as a netip.Addr, IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Is4 reports whether a is an IPv4 address.
func (a Addr) Is4() bool {
	return a[0]|a[1]|a[2]|a[3]|a[4]|a[5]|a[6]|a[7]|a[8]|a[9] == 0 && a[10]&a[11] == 0xff
}

// IsUnspecified reports whether a is 0.0.0.0 or ::.
func (a Addr) IsUnspecified() bool {
	if a.Is4() {
		return a[12]|a[13]|a[14]|a[15] == 0
	}
	return a == Addr{}
}

// IsLoopback reports whether a is in 127.0.0.0/8 or is ::1.
func (a Addr) IsLoopback() bool {
	if a.Is4() {
		return a[12] == 127
	}
	return a == Addr{15: 1}
}

// Engine is a way to read the TCP table.
type Engine string

// The engines; docs/performance.md compares them.
const (
	// Auto reads by sock_diag, and by BPF iterators if sock_diag left open what
	// decides a number.
	Auto     Engine = ""
	Iterator Engine = "iter"  // BPF iterators
	Diag     Engine = "diag"  // sock_diag, and BPF for the bind buckets only
	Plain    Engine = "plain" // sock_diag alone
)

// ParseEngine returns the engine of that name.
func ParseEngine(name string) (Engine, error) {
	switch e := Engine(name); e {
	case Auto, Iterator, Diag, Plain:
		return e, nil
	}
	return Auto, fmt.Errorf("%q: want iter, diag or plain", name)
}

// Socket is one entry of the socket table. Readers reuse it from call to call:
// copy what is to be kept.
type Socket struct {
	Proto   Proto
	State   State
	IPv6    bool   // an AF_INET6 socket; its addresses may still be v4-mapped
	Src     Addr   // the local address as the kernel compares it (sk_rcv_saddr)
	Dst     Addr   // unspecified when not connected
	SrcPort uint16 // host byte order
	DstPort uint16 // 0 when not connected
	Ifindex uint32 // interface the socket is bound to, 0 for none
	UID     uint32
	Inode   uint64 // 0 when no file refers to it: TIME_WAIT, orphans, requests

	// HalfOpenTimeWait is a TIME_WAIT entry that stands for an orphan in
	// FIN_WAIT2; State is FinWait2 then. Since Linux 6.12 nothing may take its
	// place.
	HalfOpenTimeWait bool

	// Remaining is how long a TIME_WAIT entry still lives.
	Remaining time.Duration

	// V6Only is IPV6_V6ONLY, of AF_INET6 sockets.
	V6Only Tri
	// Auto says that the kernel chose the port (no SOCK_BINDPORT_LOCK), be it in
	// connect() or in bind() to port 0. Unknown behind TIME_WAIT.
	Auto Tri
	// ByConnect says that the port was chosen in connect() (SOCK_CONNECT_BIND).
	// Unknown before Linux 6.18.
	ByConnect Tri
	// Bound says that the port's bind bucket is owned by an explicit bind, so
	// that connect() passes over the port whoever asks (fastreuse or
	// fastreuseport ≥ 0 in inet_bind_bucket).
	Bound Tri
	// Stale says that a TIME_WAIT entry is old enough, and remembers the
	// timestamps it needs, to be taken over if tcp_tw_reuse permits.
	Stale Tri
}
