package pool

import (
	"time"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// timeWait is how long Linux keeps a closed connection's tuple: TCP_TIMEWAIT_LEN
// in include/net/tcp.h, 60 s and not to be changed.
const timeWait = 60 * time.Second

// Table is the account of one network namespace. Make one with [New], say with
// [Table.Block] which ports are bound, add every socket, and ask.
type Table struct {
	settings *host.Settings
	rng      port.Range

	exact       bool // Block is called for every bound port
	hidden      int  // at most so many sockets hold a port without being listed
	interrupted bool // the socket table could not be read consistently
	questions   int  // sockets of which something that matters was not known

	reserved port.Set // within the range
	blocked  port.Set // within the range: reserved or bound or out of reach
	bound    port.Set // in the range and outside: bound or listening
	unsure   port.Set // used by a socket whose bucket's state is not known
	blockers blockers

	tcp        map[tuple]*account
	lastKey    tuple
	last       *account
	bindTCP    occupancy
	bindUDP    occupancy
	udp        map[socket.Addr]*account
	udpHolders map[holder]bool
	sawMap     *Map
	mapProto   socket.Proto
	byOwners   bool
}

// tuple is what the pools of TCP are told apart by.
type tuple struct {
	src, dst socket.Addr
	dstPort  uint16
	ifindex  uint32
}

// account is what is counted of one pool.
type account struct {
	held, reusable, maybeReusable int
	orphans                       int  // of maybeReusable: the kernel's version decides
	firstHeld, lastHeld           bool // the ends of the range are taken
	states                        [socket.NumStates]int
	owners                        map[int32]int
}

// Options choose what a table keeps beyond the numbers.
type Options struct {
	Owners   bool         // who holds the ports of each pool
	Map      bool         // what each single port is used for
	MapProto socket.Proto // by this protocol
}

// New returns an empty account for a namespace with these settings. exact says
// that [Table.Block] will be called for every port whose bind bucket is bound:
// any other port is then open to connect() but for the tuples that are taken.
func New(s *host.Settings, exact bool, opt Options) *Table {
	t := &Table{
		settings: s, exact: exact, rng: s.Range,
		tcp: make(map[tuple]*account), udp: make(map[socket.Addr]*account),
		byOwners: opt.Owners, udpHolders: make(map[holder]bool),
	}
	for p := range s.Reserved.All() {
		if t.rng.Contains(p) {
			t.reserved.Add(p)
		}
	}
	t.blocked = t.reserved
	if t.rng.Len() == 3 {
		// The offset is taken modulo 2 and made even: always 0, so that the search
		// visits the first and the second port only (measured; __inet_hash_connect).
		t.block(t.rng.Last)
		t.blockers.add(OutOfReach, t.rng.Last, socket.NoOwner)
	}
	if opt.Map {
		t.sawMap, t.mapProto = new(Map), opt.MapProto
		for p := range s.Reserved.All() {
			t.sawMap[p] = UseReserved
		}
	}
	return t
}

// Block says that a port's bind bucket is owned by an explicit bind. Call it for
// all such ports before the first Add.
func (t *Table) Block(p uint16) {
	t.bound.Add(p)
	if t.rng.Contains(p) {
		t.block(p)
	}
}

func (t *Table) block(p uint16) { t.blocked.Add(p) }

// Bound returns the TCP ports, in the range and outside, that no connect() is given
// whatever the range: bound by somebody, or listened on. Reserved ports are not
// among them.
func (t *Table) Bound() port.Set { return t.bound }

// Hidden says that up to n sockets may hold a port without being listed.
func (t *Table) Hidden(n int) { t.hidden = n }

// Interrupted says that the socket table could not be read consistently.
func (t *Table) Interrupted() { t.interrupted = true }

// Add takes one socket into the account. owner is its index in the
// [socket.Owners], or [socket.NoOwner]. Listening sockets, and those that are bound
// and no more, must come before the others, as the kernel lists them.
func (t *Table) Add(s *socket.Socket, owner int32) {
	if s.SrcPort == 0 {
		return
	}
	if t.sawMap != nil && s.Proto == t.mapProto {
		t.sawMap.note(s)
	}
	if s.Proto == socket.TCP && (s.State == socket.Listen || s.State == socket.BoundInactive) {
		t.bound.Add(s.SrcPort)
	}
	if !t.rng.Contains(s.SrcPort) {
		return
	}
	if s.Proto == socket.UDP {
		t.addUDP(s, owner)
	} else {
		t.addTCP(s, owner)
	}
}

func (t *Table) addUDP(s *socket.Socket, owner int32) {
	t.bindUDP.add(s)
	if s.IPv6 && s.V6Only == socket.Unknown && !s.Src.Is4() {
		t.questions++
	}
	a := t.udp[s.Src]
	if a == nil {
		a = &account{}
		t.udp[s.Src] = a
	}
	a.states[s.State]++
	// Several sockets may share a port (SO_REUSEPORT).
	holding := holder{s.Src, s.SrcPort, owner}
	if t.byOwners && !t.udpHolders[holding] {
		t.udpHolders[holding] = true
		t.own(a, owner)
	}
}

// holder is a process that holds a UDP port of an address.
type holder struct {
	src   socket.Addr
	port  uint16
	owner int32
}

func (t *Table) own(a *account, owner int32) {
	if !t.byOwners || owner == socket.NoOwner {
		return
	}
	if a.owners == nil {
		a.owners = make(map[int32]int, 1)
	}
	a.owners[owner]++
}

func (t *Table) addTCP(s *socket.Socket, owner int32) {
	p := s.SrcPort
	t.bindTCP.add(s)
	switch s.State {
	case socket.Listen:
		t.blockers.add(Listening, p, owner)
		t.block(p)
		return
	case socket.BoundInactive:
		t.blockers.add(BoundIdle, p, owner)
		t.block(p)
		return
	}
	if t.blockers.seen[Listening].Contains(p) {
		return // accepted here: the peer's port, not ours, makes the tuple differ
	}
	a := t.account(s)
	a.states[s.State]++
	t.own(a, owner)
	if t.blocked.Contains(p) {
		// Whoever did not get the port from connect() bound it, or was accepted on
		// it by a listener that has gone: both keep the bucket bound.
		if !t.reserved.Contains(p) && s.ByConnect != socket.Yes {
			if t.sawMap != nil && t.mapProto == socket.TCP {
				t.sawMap[p] = max(t.sawMap[p], UseBound)
			}
			t.blockers.add(BoundFirst, p, owner)
			if s.ByConnect == socket.Unknown && t.settings.Kernel.AtLeast(6, 18) {
				t.questions++
			}
		}
		return
	}
	if !t.exact {
		t.unsure.Add(p)
	}
	a.held++
	switch t.takeover(s) {
	case socket.Yes:
		a.reusable++
		return
	case socket.Unknown:
		a.maybeReusable++
		if s.HalfOpenTimeWait {
			a.orphans++
		}
		if s.Stale == socket.Unknown {
			t.questions++
		}
	}
	if p == t.rng.First {
		a.firstHeld = true
	}
	if p == t.rng.Last {
		a.lastHeld = true
	}
}

func (t *Table) account(s *socket.Socket) *account {
	k := tuple{s.Src, s.Dst, s.DstPort, s.Ifindex}
	if t.last != nil && k == t.lastKey {
		return t.last
	}
	a := t.tcp[k]
	if a == nil {
		a = &account{}
		t.tcp[k] = a
	}
	t.lastKey, t.last = k, a
	return a
}

// loopbackIfindex is the index of lo in every namespace (LOOPBACK_IFINDEX).
const loopbackIfindex = 1

// takeover says whether connect() may take this entry's place now: a TIME_WAIT
// that tcp_tw_reuse lets go (tcp_twsk_unique in net/ipv4/tcp_ipv4.c).
func (t *Table) takeover(s *socket.Socket) socket.Tri {
	if s.State != socket.TimeWait && !s.HalfOpenTimeWait {
		return socket.No
	}
	if !t.reuse(s.Src, s.Dst, s.Ifindex) {
		return socket.No
	}
	if s.HalfOpenTimeWait {
		// Linux 6.12 stopped this (commit 0d9e5df4a257), and so did the stable
		// releases of October 2024; a distribution's version number does not tell.
		if t.settings.Kernel.AtLeast(6, 12) || s.Stale == socket.No {
			return socket.No
		}
		return socket.Unknown
	}
	if s.Stale != socket.Unknown {
		return s.Stale
	}
	// Only sock_diag was read: the age is known, the timestamps are not. Before
	// 6.14 the delay ends with a second of the clock: at any time within it.
	age := timeWait - s.Remaining
	if s.Remaining > 0 && t.settings.Kernel.AtLeast(6, 14) && age+10*time.Millisecond < t.settings.TWReuseDelay {
		return socket.No
	}
	return socket.Unknown
}

// reuse reports whether tcp_tw_reuse applies between two addresses.
func (t *Table) reuse(src, dst socket.Addr, ifindex uint32) bool {
	switch t.settings.TWReuse {
	case 1:
		return true
	case 2:
		return src.IsLoopback() || dst.IsLoopback() || ifindex == loopbackIfindex
	}
	return false
}

// Questions reports whether something was not known that the BPF iterators can
// tell: the age of TIME_WAIT entries that tcp_tw_reuse concerns, which sockets
// bound a port, which IPv6 sockets occupy IPv4 as well.
func (t *Table) Questions() bool { return t.questions > 0 }

// unseen returns the ports that are bound though no socket was seen on them.
func (t *Table) unseen() port.Set {
	rest := t.blocked
	rest.Subtract(&t.reserved)
	for _, seen := range []*port.Set{&t.bindTCP.all4, &t.bindTCP.allDual, &t.bindTCP.allOnly6, &t.bindTCP.allMaybe, &t.blockers.seen[OutOfReach]} {
		rest.Subtract(seen)
	}
	return rest
}

// Unseen returns how many ports are bound though no socket was seen on them.
func (t *Table) Unseen() int {
	rest := t.unseen()
	return rest.Len()
}

// PortMap returns what each port is used for, or nil if the option was not set.
func (t *Table) PortMap() *Map { return t.sawMap }
