package socket

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inetDiagMsg is struct inet_diag_msg, include/uapi/linux/inet_diag.h.
type inetDiagMsg struct {
	Family, State, Timer, Retrans         uint8
	Sport, Dport                          [2]byte // big endian
	Src, Dst                              [16]byte
	If                                    uint32
	Cookie                                [2]uint32
	Expires, Rqueue, Wqueue, UID, InodeNo uint32
}

// encode appends the attributes to the message as the body of a netlink message.
func (m inetDiagMsg) encode(attrs ...[]byte) []byte {
	b, err := binary.Append(nil, binary.NativeEndian, m)
	if err != nil || len(b) != 72 {
		panic("struct inet_diag_msg is 72 bytes long")
	}
	return slices.Concat(append([][]byte{b}, attrs...)...)
}

// diagMsg returns a message of a family and state between two endpoints.
func diagMsg(family, state, timer uint8, src, dst string) inetDiagMsg {
	m := inetDiagMsg{Family: family, State: state, Timer: timer}
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	copy(m.Src[:], from.Addr().AsSlice())
	copy(m.Dst[:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(m.Sport[:], from.Port())
	binary.BigEndian.PutUint16(m.Dport[:], to.Port())
	return m
}

// nlmsg writes struct nlmsghdr and the body, padded to NLMSG_ALIGNTO.
func nlmsg(typ, flags uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, make([]byte, 8)...) // sequence number, port number
	b = append(b, body...)
	return append(b, make([]byte, (4-len(body)%4)%4)...)
}

// nlattr writes struct nlattr and its value, padded to NLA_ALIGNTO.
func nlattr(typ uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, (4-len(value)%4)%4)...)
}

func errno(e int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(e)) }

func addr(s string) Addr { return AddrOf(netip.MustParseAddr(s)) }

// dumped returns the sockets that parseDump hands out. The one it fills in is
// dirty at first, for readers reuse it.
func dumped(proto Proto, b []byte) ([]Socket, dumpStatus, error) {
	s := Socket{
		Proto: proto, State: Closing, IPv6: true, Src: Addr{1}, Dst: Addr{2}, SrcPort: 3, DstPort: 4, Ifindex: 5, UID: 6,
		Inode: 7, HalfOpenTimeWait: true, Remaining: 8, V6Only: Yes, Auto: Yes, ByConnect: Yes, Bound: Yes, Stale: Yes,
	}
	var got []Socket
	st, err := parseDump(b, &s, func(s *Socket) error {
		got = append(got, *s)
		return nil
	})
	return got, st, err
}

func TestEachKindOfSocketIsReadAndNothingIsLeftOfTheFormer(t *testing.T) {
	established := diagMsg(2, 1, 0, "127.0.0.1:40000", "192.0.2.7:443")
	established.If, established.UID, established.InodeNo = 3, 1000, 77
	established.Cookie, established.Expires, established.Rqueue, established.Wqueue = [2]uint32{9, 9}, 9, 9, 9
	// idiag_timer 2 is keepalive or the FIN_WAIT2 of a socket that still is one.
	orphan := diagMsg(2, 5, 2, "127.0.0.1:40001", "127.0.0.1:80")
	orphan.Expires = 5000
	timeWait := diagMsg(2, 6, 3, "127.0.0.1:40002", "127.0.0.1:80")
	timeWait.Expires = 59_940
	half := diagMsg(10, 5, 3, "[2001:db8::1]:40003", "[2001:db8::2]:80")
	half.Expires = 1
	// What has a file is no TIME_WAIT entry, whatever a timer says.
	filed := diagMsg(2, 5, 3, "127.0.0.1:40004", "127.0.0.1:80")
	filed.Expires, filed.InodeNo = 5000, 9
	any4, any6 := "0.0.0.0:0", "[::]:0"

	for _, c := range []struct {
		name  string
		proto Proto
		body  []byte
		want  Socket
	}{
		{"IPv4 established", TCP, established.encode(), Socket{
			State: Established, Src: addr("127.0.0.1"), Dst: addr("192.0.2.7"), SrcPort: 40000, DstPort: 443,
			Ifindex: 3, UID: 1000, Inode: 77,
		}},
		{"IPv6 established", TCP, diagMsg(10, 1, 0, "[2001:db8::1]:1", "[fe80::2]:65535").encode(), Socket{
			State: Established, IPv6: true, Src: addr("2001:db8::1"), Dst: addr("fe80::2"), SrcPort: 1, DstPort: 65535,
		}},
		{"IPv6 socket with IPv4 addresses", TCP, diagMsg(10, 1, 0, "[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.2]:2").encode(), Socket{
			State: Established, IPv6: true, Src: addr("127.0.0.1"), Dst: addr("127.0.0.2"), SrcPort: 1, DstPort: 2,
		}},
		// Only LISTEN and CLOSE carry INET_DIAG_SKV6ONLY (inet_diag_msg_attrs_fill).
		{"listening without the attribute", TCP, diagMsg(10, 10, 0, "[::]:80", any6).encode(), Socket{
			State: Listen, IPv6: true, SrcPort: 80,
		}},
		{"listening for IPv6 only", TCP, diagMsg(10, 10, 0, "[::]:80", any6).encode(nlattr(8, 0), nlattr(11, 1)), Socket{
			State: Listen, IPv6: true, SrcPort: 80, V6Only: Yes,
		}},
		{"listening for both", TCP, diagMsg(10, 10, 0, "[::]:80", any6).encode(nlattr(11, 0), nlattr(15, 1, 0, 0, 0)), Socket{
			State: Listen, IPv6: true, SrcPort: 80, V6Only: No,
		}},
		{"the attribute means nothing for IPv4", TCP, diagMsg(2, 10, 0, "0.0.0.0:80", any4).encode(nlattr(11, 1)), Socket{
			State: Listen, Src: addr("0.0.0.0"), Dst: addr("0.0.0.0"), SrcPort: 80,
		}},
		{"TIME_WAIT", TCP, timeWait.encode(), Socket{
			State: TimeWait, Src: addr("127.0.0.1"), Dst: addr("127.0.0.1"), SrcPort: 40002, DstPort: 80,
			Remaining: 59_940 * time.Millisecond,
		}},
		{"TIME_WAIT that stands for an orphan in FIN_WAIT2", TCP, half.encode(), Socket{
			State: FinWait2, IPv6: true, Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), SrcPort: 40003, DstPort: 80,
			HalfOpenTimeWait: true, Remaining: time.Millisecond,
		}},
		{"FIN_WAIT2 that is still a socket", TCP, orphan.encode(), Socket{
			State: FinWait2, Src: addr("127.0.0.1"), Dst: addr("127.0.0.1"), SrcPort: 40001, DstPort: 80,
		}},
		{"timer 3 of a socket with a file", TCP, filed.encode(), Socket{
			State: FinWait2, Src: addr("127.0.0.1"), Dst: addr("127.0.0.1"), SrcPort: 40004, DstPort: 80, Inode: 9,
		}},
		// bind() alone leaves sk_state at TCP_CLOSE.
		{"TCP bound", TCP, diagMsg(10, 7, 0, "[::]:8080", any6).encode(nlattr(11, 0)), Socket{
			State: BoundInactive, IPv6: true, SrcPort: 8080, V6Only: No,
		}},
		{"UDP unconnected", UDP, diagMsg(10, 7, 0, "[::]:53", any6).encode(nlattr(11, 1)), Socket{
			State: Closed, IPv6: true, SrcPort: 53, V6Only: Yes,
		}},
		{"the last state of all", TCP, diagMsg(2, 13, 0, "127.0.0.1:1", any4).encode(), Socket{
			State: BoundInactive, Src: addr("127.0.0.1"), Dst: addr("0.0.0.0"), SrcPort: 1,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Proto = c.proto
			got, st, err := dumped(c.proto, nlmsg(20, 2, c.body))
			if d := cmp.Diff([]Socket{c.want}, got); d != "" || err != nil || st != (dumpStatus{}) {
				t.Errorf("%+v, %v\n%s", st, err, d)
			}
		})
	}
}

func TestTheMessagesOfOneBufferAreReadInTurn(t *testing.T) {
	tw := diagMsg(10, 5, 3, "[::1]:1000", "[::1]:80")
	tw.Expires, tw.UID = 60_000, 5
	b := slices.Concat(
		nlmsg(1, 0, []byte{1, 2, 3}), // NLMSG_NOOP
		nlmsg(18, 2, tw.encode()),
		// Netlink pads each message to 4 bytes; the length does not count them.
		nlmsg(18, 2, diagMsg(10, 10, 0, "[::]:443", "[::]:0").encode(nlattr(11, 1)[:5])),
		nlmsg(20, 2, diagMsg(2, 1, 0, "127.0.0.1:1001", "127.0.0.1:80").encode()),
		nlmsg(3, 2, errno(0)),
		nlmsg(20, 2, diagMsg(2, 1, 0, "127.0.0.1:1002", "127.0.0.1:80").encode()), // behind the end
	)
	want := []Socket{
		{
			Proto: TCP, State: FinWait2, IPv6: true, Src: addr("::1"), Dst: addr("::1"), SrcPort: 1000, DstPort: 80, UID: 5,
			HalfOpenTimeWait: true, Remaining: time.Minute,
		},
		{Proto: TCP, State: Listen, IPv6: true, SrcPort: 443, V6Only: Yes},
		{Proto: TCP, State: Established, Src: addr("127.0.0.1"), Dst: addr("127.0.0.1"), SrcPort: 1001, DstPort: 80},
	}
	got, st, err := dumped(TCP, b)
	if d := cmp.Diff(want, got); d != "" || err != nil || st != (dumpStatus{done: true}) {
		t.Errorf("%+v, %v\n%s", st, err, d)
	}
}

func TestControlMessagesAreUnderstood(t *testing.T) {
	socket := diagMsg(2, 1, 0, "127.0.0.1:1", "127.0.0.1:2").encode()
	for _, c := range []struct {
		name string
		b    []byte
		n    int // sockets
		st   dumpStatus
		err  error
	}{
		{"nothing", nil, 0, dumpStatus{}, nil},
		{"a socket, and more to come", nlmsg(20, 2, socket), 1, dumpStatus{}, nil},
		{"the end without a payload", nlmsg(3, 2, nil), 0, dumpStatus{done: true}, nil},
		{"the end after success", nlmsg(3, 2, errno(0)), 0, dumpStatus{done: true}, nil},
		{"the end of a dump that failed", nlmsg(3, 2, errno(-12)), 0, dumpStatus{done: true}, kernelError(-12)},
		{"an error", nlmsg(2, 0, errno(-2)), 0, dumpStatus{done: true}, kernelError(-2)},
		{"an error that is an acknowledgement", nlmsg(2, 0, errno(0)), 0, dumpStatus{done: true}, nil},
		{"an error without a number", nlmsg(2, 0, nil), 0, dumpStatus{done: true}, errTruncated},
		// NLM_F_DUMP_INTR is set by nl_dump_check_consistent().
		{"a socket of a changed table", nlmsg(20, 0x12, socket), 1, dumpStatus{interrupted: true}, nil},
		{"the end of a changed table", nlmsg(3, 0x12, errno(0)), 0, dumpStatus{true, true}, nil},
		{"an overrun", nlmsg(4, 0, nil), 0, dumpStatus{interrupted: true}, nil},
		{"an interruption stays", slices.Concat(nlmsg(20, 0x12, socket), nlmsg(20, 2, socket), nlmsg(3, 2, nil)), 2, dumpStatus{true, true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, st, err := dumped(TCP, c.b)
			if len(got) != c.n || st != c.st || err != c.err {
				t.Errorf("%d sockets, %+v, %v\nwant %d, %+v, %v", len(got), st, err, c.n, c.st, c.err)
			}
			if ends(c.b) != c.st.done {
				t.Errorf("ends is %v", !c.st.done)
			}
		})
	}
}

func TestMalformedMessagesAreErrors(t *testing.T) {
	good := diagMsg(2, 1, 0, "127.0.0.1:1", "127.0.0.1:2")
	whole := nlmsg(20, 2, good.encode())
	length := func(n uint32) []byte {
		b := slices.Clone(whole)
		binary.NativeEndian.PutUint32(b, n)
		return b
	}
	family, none, high := good, good, good
	family.Family, none.State, high.State = 1, 0, 14
	for _, c := range []struct {
		name, want string
		b          []byte
		ends       bool
	}{
		{"a header cut short", errTruncated.Error(), whole[:15], true},
		{"a body cut short", errTruncated.Error(), whole[:87], true},
		{"a length below that of the header", errTruncated.Error(), length(15), true},
		{"a length of 0", errTruncated.Error(), length(0), true},
		{"a length past the end", errTruncated.Error(), length(89), true},
		{"the greatest length", errTruncated.Error(), length(1<<32 - 1), true},
		{"a body too short for a socket", errTruncated.Error(), nlmsg(20, 2, good.encode()[:68]), false},
		{"another family", "sock_diag: address family 1 is neither IPv4 nor IPv6", nlmsg(20, 2, family.encode()), false},
		{"state 0", "sock_diag: unknown socket state 0", nlmsg(20, 2, none.encode()), false},
		{"a state of tomorrow", "sock_diag: unknown socket state 14", nlmsg(20, 2, high.encode()), false},
		{"garbage behind a good message", errTruncated.Error(), append(slices.Clone(whole), 1, 2, 3), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, st, err := dumped(TCP, c.b)
			if err == nil || err.Error() != c.want || st.done {
				t.Errorf("got %v, done %v, want %q", err, st.done, c.want)
			}
			if ends(c.b) != c.ends {
				t.Errorf("ends is %v", !c.ends)
			}
		})
	}
}

func TestV6OnlyIsFoundAmongAttributes(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want Tri
	}{
		{"none", nil, Unknown},
		{"first", nlattr(11, 1), Yes},
		{"off", nlattr(11, 0), No},
		{"behind padded ones", slices.Concat(nlattr(8, 7), nlattr(5, 1, 2, 3, 4, 5), nlattr(11, 1)), Yes},
		{"without a value", nlattr(11), Unknown},
		{"behind one whose length is too small", append(make([]byte, 4), nlattr(11, 1)...), Unknown},
		{"cut short", nlattr(11, 1)[:4], Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := findV6Only(c.b); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestTheErrorOfTheCallbackIsPassedOn(t *testing.T) {
	one := nlmsg(20, 2, diagMsg(2, 1, 0, "127.0.0.1:1", "127.0.0.1:2").encode())
	stop, calls := errors.New("enough"), 0
	_, err := parseDump(slices.Concat(one, one, one), &Socket{Proto: TCP}, func(*Socket) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
