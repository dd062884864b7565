package socket

import (
	"encoding/binary"
	"fmt"
)

// A layout says where the fields of a row are in a table of the IP Helper API
// (tcpmib.h, udpmib.h): a count of 32 bits, then rows of one size. An offset of -1
// stands for a field that the row does not have.
type layout struct {
	proto        Proto
	six          bool
	size         int
	state        int // -1 for none
	local, port  int
	remote, peer int // -1 for none
	pid          int // -1 for none
}

// The tables, named after the structures of their rows.
var (
	tcpRow         = layout{proto: TCP, size: 20, state: 0, local: 4, port: 8, remote: 12, peer: 16, pid: -1}
	tcpRowOwnerPID = layout{proto: TCP, size: 24, state: 0, local: 4, port: 8, remote: 12, peer: 16, pid: 20}
	tcpRow2        = layout{proto: TCP, size: 28, state: 0, local: 4, port: 8, remote: 12, peer: 16, pid: 20}

	tcp6Row         = layout{proto: TCP, six: true, size: 52, state: 0, local: 4, port: 24, remote: 28, peer: 48, pid: -1}
	tcp6RowOwnerPID = layout{proto: TCP, six: true, size: 56, state: 48, local: 0, port: 20, remote: 24, peer: 44, pid: 52}
	tcp6Row2        = layout{proto: TCP, six: true, size: 60, state: 48, local: 0, port: 20, remote: 24, peer: 44, pid: 52}

	udpRow          = layout{proto: UDP, size: 8, state: -1, local: 0, port: 4, remote: -1, peer: -1, pid: -1}
	udpRowOwnerPID  = layout{proto: UDP, size: 12, state: -1, local: 0, port: 4, remote: -1, peer: -1, pid: 8}
	udp6Row         = layout{proto: UDP, six: true, size: 24, state: -1, local: 0, port: 20, remote: -1, peer: -1, pid: -1}
	udp6RowOwnerPID = layout{proto: UDP, six: true, size: 28, state: -1, local: 0, port: 20, remote: -1, peer: -1, pid: 24}
)

// mibStates are the states of MIB_TCP_STATE by number (tcpmib.h). DELETE_TCB, 12,
// is a connection about to go.
var mibStates = [...]State{
	1: Closed, 2: Listen, 3: SynSent, 4: SynRecv, 5: Established, 6: FinWait1, 7: FinWait2,
	8: CloseWait, 9: Closing, 10: LastAck, 11: TimeWait, 12: Closed,
}

// mibBound is what MSFT_NetTCPConnection calls Bound.
const mibBound = 100

// rows calls fn for each row of a table, with the process it belongs to, 0 for
// none. The socket is reused from call to call.
func (l *layout) rows(table []byte, fn func(s *Socket, pid int) error) error {
	if len(table) < 4 {
		return fmt.Errorf("a table of %d bytes: want 4 or more", len(table))
	}
	n := int64(binary.LittleEndian.Uint32(table))
	rest := table[4:]
	if n*int64(l.size) > int64(len(rest)) {
		return fmt.Errorf("a table of %d rows of %d bytes in a buffer of %d", n, l.size, len(rest))
	}
	var s Socket
	for range n {
		pid := l.row(rest[:l.size], &s)
		if err := fn(&s, pid); err != nil {
			return err
		}
		rest = rest[l.size:]
	}
	return nil
}

// row takes in one row and returns its process.
func (l *layout) row(b []byte, s *Socket) (pid int) {
	*s = Socket{Proto: l.proto, IPv6: l.six, State: Closed, Src: l.addr(b, l.local), SrcPort: portOf(b, l.port)}
	if l.state >= 0 {
		switch n := binary.LittleEndian.Uint32(b[l.state:]); {
		case n == mibBound:
			s.State = BoundInactive
		case n > 0 && int64(n) < int64(len(mibStates)):
			s.State = mibStates[n]
		}
	}
	// The peer of a listener was a random number on old systems.
	if l.remote >= 0 && s.State != Listen && s.State != BoundInactive {
		s.Dst, s.DstPort = l.addr(b, l.remote), portOf(b, l.peer)
	}
	if l.pid >= 0 {
		pid = int(binary.LittleEndian.Uint32(b[l.pid:]))
	}
	return pid
}

func (l *layout) addr(b []byte, at int) (a Addr) {
	if l.six {
		copy(a[:], b[at:at+16])
		return a
	}
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b[at:at+4])
	return a
}

// portOf reads a port: network order in the first two of four bytes; the others
// may hold anything.
func portOf(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
