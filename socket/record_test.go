package socket

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// record is struct record of bpf/portroom.bpf.c.
type record struct {
	Src, Dst                       [16]byte
	Sport, Dport                   uint16
	State, Family, Flags, Protocol uint8
	Ifindex, UID                   uint32
	Inode                          uint64
	Netns                          uint32
	TGID                           int32
}

func encode(t testing.TB, v any, length int) []byte {
	b, err := binary.Append(nil, binary.NativeEndian, v)
	if err != nil || len(b) != length {
		t.Fatalf("%T has %d bytes, want %d: %v", v, len(b), length, err)
	}
	return b
}

// dirty is what a former record may have left in a socket.
var dirty = Socket{
	Proto: 99, State: Closing, IPv6: true, Src: Addr{1}, Dst: Addr{2}, SrcPort: 3, DstPort: 4, Ifindex: 5, UID: 6, Inode: 7,
	HalfOpenTimeWait: true, Remaining: 8, V6Only: Yes, Auto: Yes, ByConnect: Yes, Bound: Yes, Stale: Yes,
}

func TestEachRecordIsReadAndNothingIsLeftOfTheFormer(t *testing.T) {
	base := record{
		Src: addr("127.0.0.1"), Dst: addr("192.0.2.7"), Sport: 40000, Dport: 443, State: 1, Family: 4, Protocol: 6,
		Ifindex: 3, UID: 1000, Inode: 1<<32 + 7,
	}
	plain := Socket{
		Proto: TCP, State: Established, Src: addr("127.0.0.1"), Dst: addr("192.0.2.7"), SrcPort: 40000, DstPort: 443,
		Ifindex: 3, UID: 1000, Inode: 1<<32 + 7, V6Only: No, Auto: Yes,
	}
	for _, c := range []struct {
		name string
		r    func(*record)
		want func(*Socket)
	}{
		{"no flag: the kernel chose the port", func(*record) {}, func(*Socket) {}},
		{"IPv6", func(r *record) { r.Family, r.Src = 6, addr("::1") }, func(s *Socket) { s.IPv6, s.Src = true, addr("::1") }},
		{"V6ONLY", func(r *record) { r.Family, r.Flags = 6, 1 }, func(s *Socket) { s.IPv6, s.V6Only = true, Yes }},
		{"USERPORT", func(r *record) { r.Flags = 8 }, func(s *Socket) { s.Auto = No }},
		{"BYCONNECT", func(r *record) { r.Flags = 16 }, func(s *Socket) { s.ByConnect = Yes }},
		{"NOTCONNECT", func(r *record) { r.Flags = 32 }, func(s *Socket) { s.ByConnect = No }},
		// STALE is of TIME_WAIT entries only.
		{"STALE alone", func(r *record) { r.Flags = 2 }, func(*Socket) {}},
		{"young TIME_WAIT", func(r *record) { r.State, r.Flags = 6, 4 }, func(s *Socket) {
			s.State, s.Auto, s.Stale = TimeWait, Unknown, No
		}},
		{"stale TIME_WAIT by connect", func(r *record) { r.State, r.Flags = 6, 4|2|16 }, func(s *Socket) {
			s.State, s.Auto, s.Stale, s.ByConnect = TimeWait, Unknown, Yes, Yes
		}},
		{"TIME_WAIT in FIN_WAIT2", func(r *record) { r.State, r.Flags = 5, 4|32 }, func(s *Socket) {
			s.State, s.HalfOpenTimeWait, s.Auto, s.Stale, s.ByConnect = FinWait2, true, Unknown, No, No
		}},
		{"stale TIME_WAIT in FIN_WAIT2", func(r *record) { r.State, r.Flags = 5, 4|2|32 }, func(s *Socket) {
			s.State, s.HalfOpenTimeWait, s.Auto, s.Stale, s.ByConnect = FinWait2, true, Unknown, Yes, No
		}},
		{"FIN_WAIT2 that is a socket", func(r *record) { r.State = 5 }, func(s *Socket) { s.State = FinWait2 }},
		{"a request", func(r *record) { r.State = 12 }, func(s *Socket) { s.State, s.Auto = SynRecv, Unknown }},
		{"TCP bound", func(r *record) { r.State, r.Flags = 7, 8 }, func(s *Socket) { s.State, s.Auto = BoundInactive, No }},
		{"UDP unconnected", func(r *record) { r.State, r.Protocol = 7, 17 }, func(s *Socket) { s.State, s.Proto = Closed, UDP }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, want, got := base, plain, dirty
			c.r(&r)
			c.want(&want)
			err := parseRecord(encode(t, r, recordLen), &got)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%v\n%s", err, d)
			}
		})
	}
}

func TestMalformedRecordsAreErrors(t *testing.T) {
	for name, r := range map[string]record{
		"state 0":  {Family: 4},
		"state 14": {Family: 4, State: 14},
		"family 0": {State: 1},
		"family 5": {State: 1, Family: 5},
		"family 2": {State: 1, Family: 2}, // AF_INET is not how the program says IPv4
	} {
		t.Run(name, func(t *testing.T) {
			var s Socket
			if err := parseRecord(encode(t, r, recordLen), &s); err != errRecord {
				t.Errorf("got %v", err)
			}
			if r.Family == 0 {
				return
			}
			var f file
			if err := parseOwned(append(encode(t, r, recordLen), make([]byte, 16)...), &f); err != errRecord {
				t.Errorf("with an owner: got %v", err)
			}
		})
	}
}

func TestABucketIsReadWithItsNamespaceAndVRF(t *testing.T) {
	b := encode(t, struct {
		Netns     uint32
		Port, Pad uint16
		L3mdev    int32
	}{4026531840, 65535, 0xffff, -2}, bucketLen)
	if netns, port, l3mdev := parseBucket(b); netns != 4026531840 || port != 65535 || l3mdev != -2 {
		t.Errorf("%d, %d, %d", netns, port, l3mdev)
	}
}

func TestAFileIsReadWithItsOwner(t *testing.T) {
	bound := record{
		Src: addr("::"), Sport: 80, State: 7, Family: 6, Flags: 8 | 32, Protocol: 6, UID: 5, Inode: 12, Netns: 4026531840, TGID: 4321,
	}
	other := record{Protocol: 17, Inode: 13, Netns: 9, TGID: 4322}
	boundSocket := Socket{
		Proto: TCP, State: BoundInactive, IPv6: true, SrcPort: 80, UID: 5, Inode: 12, V6Only: No, Auto: No, ByConnect: No,
	}
	for _, c := range []struct {
		name string
		r    record
		comm string
		want file
	}{
		{"a bound socket", bound, "nginx\x00\x00rest", file{boundSocket, 4026531840, 4321, "nginx"}},
		// Of any other socket the program says no more than this.
		{"any other", other, "sh", file{Socket{Proto: UDP, Inode: 13}, 9, 4322, "sh"}},
		// The kernel ends comm with a NUL; who would rely on it.
		{"a name without an end", other, "0123456789abcdef", file{Socket{Proto: UDP, Inode: 13}, 9, 4322, "0123456789abcdef"}},
		{"no name", other, "", file{Socket{Proto: UDP, Inode: 13}, 9, 4322, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append(encode(t, c.r, recordLen), make([]byte, 16)...)
			copy(b[recordLen:], c.comm)
			got := file{Socket: dirty, netns: 1, pid: 2, command: "former"}
			err := parseOwned(b, &got)
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(file{})); d != "" || err != nil {
				t.Errorf("%v\n%s", err, d)
			}
			// The name must not lie in the buffer, which is used again.
			clear(b)
			if got.command != c.want.command {
				t.Errorf("the command became %q", got.command)
			}
		})
	}
}

// Any record is read in order or refused, and what is read depends on nothing
// that was in the socket before.
func FuzzParseRecord(f *testing.F) {
	f.Add(encode(f, record{Sport: 1, State: 1, Family: 4, Protocol: 6, Flags: 63}, recordLen))
	f.Add(encode(f, record{Sport: 1, State: 5, Family: 6, Protocol: 6, Flags: 4}, recordLen))
	f.Add(append(encode(f, record{State: 7, Family: 6, Protocol: 17, TGID: 1}, recordLen), "0123456789abcdef"...))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := make([]byte, ownedLen)
		copy(b, in)
		var s, again Socket
		again = dirty
		err := parseRecord(b[:recordLen], &s)
		if err2 := parseRecord(b[:recordLen], &again); err2 != err {
			t.Errorf("%v, and then %v", err, err2)
		}
		if err == nil {
			if d := cmp.Diff(s, again); d != "" {
				t.Error(d)
			}
			if s.State < 1 || s.State >= NumStates || s.HalfOpenTimeWait && s.State != FinWait2 {
				t.Errorf("state %d, half open %v", s.State, s.HalfOpenTimeWait)
			}
			if s.Auto == Unknown && s.Stale == Unknown {
				t.Error("neither a socket nor a TIME_WAIT entry")
			}
		}
		var o file
		if err2 := parseOwned(b, &o); b[37] != 0 && err2 != err {
			t.Errorf("%v, and %v with an owner", err, err2)
		} else if b[37] != 0 && err == nil {
			if d := cmp.Diff(s, o.Socket); d != "" {
				t.Error(d)
			}
		} else if d := cmp.Diff(Socket{}, o.Socket, cmpopts.IgnoreFields(Socket{}, "Proto", "Inode")); b[37] == 0 && (d != "" || err2 != nil) {
			t.Errorf("%v\n%s", err2, d)
		}
		if strings.ContainsRune(o.command, 0) || len(o.command) > 16 {
			t.Errorf("command %q", o.command)
		}
	})
}
