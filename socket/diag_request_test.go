package socket

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The requests are held against struct inet_diag_req, struct inet_diag_req_v2
// and struct inet_diag_bc_op of include/uapi/linux/inet_diag.h, written down
// here once more as Go types.
type (
	nlmsghdr struct {
		Len         uint32
		Type, Flags uint16
		Seq, Pid    uint32
	}
	inetDiagSockid struct {
		Sport, Dport [2]byte
		Src, Dst     [16]byte
		If           uint32
		Cookie       [2]uint32
	}
	inetDiagReq struct {
		Hdr                         nlmsghdr
		Family, SrcLen, DstLen, Ext uint8
		ID                          inetDiagSockid
		States, Dbs                 uint32
	}
	inetDiagReqV2 struct {
		Hdr                        nlmsghdr
		Family, Protocol, Ext, Pad uint8
		States                     uint32
		ID                         inetDiagSockid
	}
	inetDiagBCOp struct {
		Code, Yes uint8
		No        uint16
	}
	userPortsReq struct {
		Req           inetDiagReq
		AttrLen, Attr uint16 // struct nlattr
		Code          [2]inetDiagBCOp
	}
)

func checkRequest[T any](t *testing.T, b []byte, want T) {
	t.Helper()
	var got T
	n, err := binary.Decode(b, binary.NativeEndian, &got)
	if err != nil || n != len(b) {
		t.Fatalf("%d bytes, the struct has %d: %v", len(b), n, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// NLM_F_REQUEST is 1, NLM_F_DUMP 0x300 (include/uapi/linux/netlink.h).
func header(length uint32, typ uint16) nlmsghdr {
	return nlmsghdr{Len: length, Type: typ, Flags: 0x301, Seq: 42}
}

func TestTheTCPRequestIsThatOfTheHeaderFile(t *testing.T) {
	checkRequest(t, tcpRequest(42, 1<<Established|1<<Listen, false),
		inetDiagReq{Hdr: header(76, 18), States: 1<<1 | 1<<10}) // TCPDIAG_GETSOCK is 18
}

func TestTheUDPRequestIsThatOfTheHeaderFile(t *testing.T) {
	for _, family := range []uint8{2, 10} { // AF_INET, AF_INET6
		// SOCK_DIAG_BY_FAMILY is 20, IPPROTO_UDP 17. States are 1 to 13.
		checkRequest(t, udpRequest(42, family),
			inetDiagReqV2{Hdr: header(72, 20), Family: family, Protocol: 17, States: 0x3ffe})
	}
}

func TestTheRequestForUserPortsCarriesItsByteCode(t *testing.T) {
	b := tcpRequest(42, allStates, true)
	want := userPortsReq{
		Req:     inetDiagReq{Hdr: header(88, 18), States: 0x3ffe},
		AttrLen: 12, Attr: 1, // INET_DIAG_REQ_BYTECODE
		// INET_DIAG_BC_AUTO is 6, INET_DIAG_BC_JMP 1.
		Code: [2]inetDiagBCOp{{Code: 6, Yes: 4, No: 8}, {Code: 1, Yes: 4, No: 8}},
	}
	checkRequest(t, b, want)

	// The kernel's two readers of the code, net/ipv4/inet_diag.c.
	for auto, accepted := range map[bool]bool{true: false, false: true} {
		if got := runByteCode(want.Code[:], auto); got != accepted {
			t.Errorf("a port chosen automatically is %v: accepted is %v", auto, got)
		}
	}
	for i, op := range want.Code {
		left := uint16(8 - 4*i)
		// inet_diag_bc_audit() lets a jump go 4 bytes past the end at most.
		if op.Yes < 4 || uint16(op.Yes) > left+4 || op.Yes%4 != 0 || op.No < 4 || op.No > left+4 || op.No%4 != 0 {
			t.Errorf("inet_diag_bc_audit() answers EINVAL to instruction %d: %+v", i, op)
		}
	}
}

// runByteCode does as inet_diag_bc_run() for the two instructions in use.
func runByteCode(code []inetDiagBCOp, auto bool) bool {
	at, left := 0, 4*len(code)
	for left > 0 {
		op := code[at/4]
		step := int(op.No)
		if op.Code == 6 && auto {
			step = int(op.Yes)
		}
		at, left = at+step, left-step
	}
	return left == 0
}
