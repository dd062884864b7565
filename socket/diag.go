package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The wire form of sock_diag: include/uapi/linux/netlink.h, sock_diag.h and
// inet_diag.h. The codec is portable so that it can be tested and fuzzed
// anywhere; reader_linux.go does the system calls.
const (
	nlmsgHdrLen  = 16
	nlmsgNoop    = 1
	nlmsgError   = 2
	nlmsgDone    = 3
	nlmsgOverrun = 4

	nlmFRequest  = 0x1
	nlmFDumpIntr = 0x10
	nlmFDump     = 0x300

	// tcpdiagGetsock is the older request, which ss(8) still uses too: one walk
	// of the hash tables returns both address families.
	tcpdiagGetsock    = 18
	sockDiagByFamily  = 20
	inetDiagMsgLen    = 72
	inetDiagReqLen    = 60 // struct inet_diag_req
	inetDiagReqV2Len  = 56 // struct inet_diag_req_v2
	inetDiagReqByteco = 1  // INET_DIAG_REQ_BYTECODE
	inetDiagBCJmp     = 1  // INET_DIAG_BC_JMP
	inetDiagBCAuto    = 6  // INET_DIAG_BC_AUTO
	inetDiagSKV6Only  = 11 // INET_DIAG_SKV6ONLY

	afINET  = 2
	afINET6 = 10

	// timerTimeWait marks a TIME_WAIT entry in idiag_timer, whatever its
	// substate (inet_twsk_diag_fill).
	timerTimeWait = 3
)

// allStates asks for every state there is. Bit 13, bound but inactive, is
// ignored by kernels before 6.8.
const allStates = 1<<NumStates - 2

var errTruncated = errors.New("sock_diag: message is cut short")

// putHeader writes struct nlmsghdr for a dump request of the given length.
func putHeader(b []byte, typ uint16, seq uint32) {
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], uint32(len(b)))
	ne.PutUint16(b[4:], typ)
	ne.PutUint16(b[6:], nlmFRequest|nlmFDump)
	ne.PutUint32(b[8:], seq)
	ne.PutUint32(b[12:], 0)
}

// tcpRequest asks for the TCP sockets of both families in the given states
// (bit n for state n). With userPorts only those whose port was asked for by
// bind() are returned, TIME_WAIT never.
func tcpRequest(seq, states uint32, userPorts bool) []byte {
	n := nlmsgHdrLen + inetDiagReqLen
	if userPorts {
		n += 4 + 8
	}
	b := make([]byte, n)
	putHeader(b, tcpdiagGetsock, seq)
	req := b[nlmsgHdrLen:]
	// family, src_len, dst_len, ext, then inet_diag_sockid (48 bytes)
	binary.NativeEndian.PutUint32(req[52:], states)
	if userPorts {
		attr := req[inetDiagReqLen:]
		binary.NativeEndian.PutUint16(attr[0:], 4+8)
		binary.NativeEndian.PutUint16(attr[2:], inetDiagReqByteco)
		// Instructions are {code, yes, no}, jumps counted in bytes; to reach the
		// end is to accept, to run past it to reject. "Chosen automatically?": if
		// so go on to a jump that always takes its "no", past the end.
		copy(attr[4:], []byte{inetDiagBCAuto, 4, 0, 0, inetDiagBCJmp, 4, 0, 0})
		binary.NativeEndian.PutUint16(attr[6:], 8)
		binary.NativeEndian.PutUint16(attr[10:], 8)
	}
	return b
}

// udpRequest asks for the UDP sockets of one family.
func udpRequest(seq uint32, family uint8) []byte {
	b := make([]byte, nlmsgHdrLen+inetDiagReqV2Len)
	putHeader(b, sockDiagByFamily, seq)
	req := b[nlmsgHdrLen:]
	req[0] = family
	req[1] = uint8(UDP)
	binary.NativeEndian.PutUint32(req[4:], allStates)
	return b
}

// A dumpStatus is what the messages of one receive said about the dump itself.
type dumpStatus struct {
	done        bool
	interrupted bool
}

// kernelError is a negative errno from the kernel in reply to a request.
type kernelError int32

func (e kernelError) Error() string {
	return fmt.Sprintf("sock_diag: kernel answers errno %d", -int32(e))
}

// ends reports whether what one receive returned holds the end of the dump, or
// nothing that could be followed.
func ends(b []byte) bool {
	ne := binary.NativeEndian
	for len(b) >= nlmsgHdrLen {
		n := ne.Uint32(b)
		if n < nlmsgHdrLen || uint64(n) > uint64(len(b)) {
			return true
		}
		if typ := ne.Uint16(b[4:]); typ == nlmsgDone || typ == nlmsgError {
			return true
		}
		b = b[min(int(n+3)&^3, len(b)):]
	}
	return len(b) > 0
}

// parseDump takes apart what one receive returned and calls fn for each socket.
// s is filled in again for each: its Proto is left alone.
func parseDump(b []byte, s *Socket, fn func(*Socket) error) (dumpStatus, error) {
	var st dumpStatus
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < nlmsgHdrLen {
			return st, errTruncated
		}
		n := ne.Uint32(b)
		if n < nlmsgHdrLen || uint64(n) > uint64(len(b)) {
			return st, errTruncated
		}
		typ, flags := ne.Uint16(b[4:]), ne.Uint16(b[6:])
		body := b[nlmsgHdrLen:n]
		b = b[min(int(n+3)&^3, len(b)):]
		if flags&nlmFDumpIntr != 0 {
			st.interrupted = true
		}
		switch typ {
		case nlmsgNoop:
		case nlmsgDone:
			st.done = true
			// The payload, when there is one, is the dump's own error.
			if len(body) >= 4 {
				if e := int32(ne.Uint32(body)); e < 0 {
					return st, kernelError(e)
				}
			}
			return st, nil
		case nlmsgError:
			st.done = true
			if len(body) < 4 {
				return st, errTruncated
			}
			if e := int32(ne.Uint32(body)); e < 0 {
				return st, kernelError(e)
			}
			return st, nil
		case nlmsgOverrun:
			st.interrupted = true
		default:
			if err := parseSocket(body, s); err != nil {
				return st, err
			}
			if err := fn(s); err != nil {
				return st, err
			}
		}
	}
	return st, nil
}

// parseSocket reads struct inet_diag_msg and the attributes that matter.
func parseSocket(b []byte, s *Socket) error {
	if len(b) < inetDiagMsgLen {
		return errTruncated
	}
	ne, be := binary.NativeEndian, binary.BigEndian
	state, timer := b[1], b[2]
	switch b[0] {
	case afINET:
		s.IPv6 = false
		s.Src = Addr{10: 0xff, 11: 0xff, 12: b[8], 13: b[9], 14: b[10], 15: b[11]}
		s.Dst = Addr{10: 0xff, 11: 0xff, 12: b[24], 13: b[25], 14: b[26], 15: b[27]}
	case afINET6:
		s.IPv6 = true
		s.Src = Addr(b[8:24])
		s.Dst = Addr(b[24:40])
	default:
		return fmt.Errorf("sock_diag: address family %d is neither IPv4 nor IPv6", b[0])
	}
	if state == 0 || state >= NumStates {
		return fmt.Errorf("sock_diag: unknown socket state %d", state)
	}
	s.State = State(state)
	s.SrcPort = be.Uint16(b[4:])
	s.DstPort = be.Uint16(b[6:])
	s.Ifindex = ne.Uint32(b[40:])
	s.UID = ne.Uint32(b[64:])
	s.Inode = uint64(ne.Uint32(b[68:]))
	s.HalfOpenTimeWait = false
	s.Remaining = 0
	s.V6Only, s.Auto, s.ByConnect, s.Bound, s.Stale = Unknown, Unknown, Unknown, Unknown, Unknown

	if s.Proto == TCP {
		switch {
		case timer == timerTimeWait && s.Inode == 0 && (s.State == TimeWait || s.State == FinWait2):
			s.Remaining = time.Duration(ne.Uint32(b[52:])) * time.Millisecond
			s.HalfOpenTimeWait = s.State == FinWait2
			return nil
		case s.State == Closed:
			// A socket that is in a hash table and closed is one that was bound.
			s.State = BoundInactive
		}
	}
	if s.IPv6 && (s.State == Listen || s.State == BoundInactive || s.State == Closed) {
		s.V6Only = findV6Only(b[inetDiagMsgLen:])
	}
	return nil
}

// findV6Only looks for INET_DIAG_SKV6ONLY among netlink attributes.
func findV6Only(b []byte) Tri {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[2:]) == inetDiagSKV6Only && n >= 5 {
			return TriOf(b[4] != 0)
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return Unknown
}
