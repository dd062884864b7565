package socket

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tableOf(t testing.TB, rows ...string) []byte {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(rows)))
	for _, r := range rows {
		row, err := hex.DecodeString(strings.ReplaceAll(r, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, row...)
	}
	return b
}

func TestRowsOfTheIPHelperAPI(t *testing.T) {
	mapped := func(s string) Addr { return AddrOf(netip.MustParseAddr(s)) }
	const (
		lo6  = "00000000000000000000000000000001"
		any6 = "00000000000000000000000000000000"
	)
	for name, c := range map[string]struct {
		layout layout
		row    string
		want   Socket
		pid    int
	}{
		"MIB_TCPROW, the upper half of a port being anything": {
			tcpRow, "0b000000 7f000001 c001dead 0a000002 0050beef",
			Socket{Proto: TCP, State: TimeWait, Src: mapped("127.0.0.1"), SrcPort: 49153, Dst: mapped("10.0.0.2"), DstPort: 80}, 0,
		},
		"a listener has no peer": {
			tcpRow, "02000000 00000000 01bb0000 00000000 abcd0000",
			Socket{Proto: TCP, State: Listen, Src: mapped("0.0.0.0"), SrcPort: 443}, 0,
		},
		"MIB_TCPROW_OWNER_PID": {
			tcpRowOwnerPID, "05000000 7f000001 c0010000 0a000002 00500000 39050000",
			Socket{Proto: TCP, State: Established, Src: mapped("127.0.0.1"), SrcPort: 49153, Dst: mapped("10.0.0.2"), DstPort: 80}, 1337,
		},
		"MIB_TCPROW2 of a bound socket": {
			tcpRow2, "64000000 00000000 c0010000 00000000 00000000 39050000 00000000",
			Socket{Proto: TCP, State: BoundInactive, Src: mapped("0.0.0.0"), SrcPort: 49153}, 1337,
		},
		"a state that is not known": {
			tcpRow, "ffffffff 7f000001 c0010000 0a000002 00500000",
			Socket{Proto: TCP, State: Closed, Src: mapped("127.0.0.1"), SrcPort: 49153, Dst: mapped("10.0.0.2"), DstPort: 80}, 0,
		},
		"MIB_TCP6ROW": {
			tcp6Row, "05000000" + lo6 + "00000000 c0010000" + lo6 + "00000000 00500000",
			Socket{Proto: TCP, IPv6: true, State: Established, Src: mapped("::1"), SrcPort: 49153, Dst: mapped("::1"), DstPort: 80}, 0,
		},
		"MIB_TCP6ROW_OWNER_PID": {
			tcp6RowOwnerPID, lo6 + "00000000 c0010000" + lo6 + "00000000 00500000 03000000 39050000",
			Socket{Proto: TCP, IPv6: true, State: SynSent, Src: mapped("::1"), SrcPort: 49153, Dst: mapped("::1"), DstPort: 80}, 1337,
		},
		"MIB_TCP6ROW2": {
			tcp6Row2, any6 + "00000000 c0010000" + any6 + "00000000 00000000 02000000 39050000 00000000",
			Socket{Proto: TCP, IPv6: true, State: Listen, SrcPort: 49153}, 1337,
		},
		"MIB_UDPROW":            {udpRow, "00000000 14e90000", Socket{Proto: UDP, State: Closed, Src: mapped("0.0.0.0"), SrcPort: 5353}, 0},
		"MIB_UDPROW_OWNER_PID":  {udpRowOwnerPID, "00000000 14e90000 39050000", Socket{Proto: UDP, State: Closed, Src: mapped("0.0.0.0"), SrcPort: 5353}, 1337},
		"MIB_UDP6ROW":           {udp6Row, any6 + "00000000 14e90000", Socket{Proto: UDP, IPv6: true, State: Closed, SrcPort: 5353}, 0},
		"MIB_UDP6ROW_OWNER_PID": {udp6RowOwnerPID, any6 + "00000000 14e90000 39050000", Socket{Proto: UDP, IPv6: true, State: Closed, SrcPort: 5353}, 1337},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			err := c.layout.rows(append(tableOf(t, c.row, c.row), 0xff), func(s *Socket, pid int) error {
				calls++
				if d := cmp.Diff(c.want, *s); d != "" || pid != c.pid {
					t.Errorf("pid %d, want %d (-want +got):\n%s", pid, c.pid, d)
				}
				return nil
			})
			if err != nil || calls != 2 {
				t.Errorf("%d rows: %v", calls, err)
			}
		})
	}
}

func TestATableThatClaimsMoreThanItHoldsIsAnError(t *testing.T) {
	for _, b := range [][]byte{nil, {1, 0, 0}, {1, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0}, append([]byte{2, 0, 0, 0}, make([]byte, 39)...)} {
		if err := tcpRow.rows(b, func(*Socket, int) error { return nil }); err == nil {
			t.Errorf("% x: no error", b)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 5, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range []layout{tcpRow, tcpRowOwnerPID, tcpRow2, tcp6Row, tcp6RowOwnerPID, tcp6Row2, udpRow, udpRowOwnerPID, udp6Row, udp6RowOwnerPID} {
			n := 0
			if err := l.rows(b, func(s *Socket, _ int) error { n++; _ = s.State.String(); return nil }); err == nil && n*l.size > len(b) {
				t.Errorf("%d rows in %d bytes", n, len(b))
			}
		}
	})
}

func TestAProcessIsNamedOnce(t *testing.T) {
	o, asked := NewOwners(), 0
	name := func(int) string { asked++; return "a.exe" }
	if a, b, c := o.Process(7, name), o.Process(7, name), o.Process(8, name); a != 0 || b != 0 || c != 1 || asked != 2 {
		t.Errorf("%d %d %d, asked %d times", a, b, c, asked)
	}
}
