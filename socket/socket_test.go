package socket

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestAddrAgreesWithNetip(t *testing.T) {
	// Addresses near the borders of what the methods tell apart, and any.
	draw := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return netip.AddrFrom4([4]byte(b[:4]))
		case 1: // one bit away from ::, ::1, 0.0.0.0, 127.0.0.1 or 126.0.0.1
			a := netip.MustParseAddr(rapid.SampledFrom([]string{
				"::", "::1", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "::ffff:126.0.0.1",
			}).Draw(t, "near")).As16()
			if bit := rapid.IntRange(0, 128).Draw(t, "bit"); bit < 128 {
				a[bit/8] ^= 1 << (bit % 8)
			}
			return netip.AddrFrom16(a)
		case 2:
			return netip.AddrFrom4([4]byte{127, b[0], b[1], b[2]})
		case 3:
			return netip.AddrFrom16(b).WithZone("eth0")
		}
		return netip.AddrFrom16(b)
	})
	rapid.Check(t, func(t *rapid.T) {
		in := draw.Draw(t, "address")
		plain := in.Unmap().WithZone("")
		a := AddrOf(in)
		if a.Netip() != plain || AddrOf(plain) != a {
			t.Fatalf("%v becomes %v", in, a.Netip())
		}
		if a.Is4() != plain.Is4() {
			t.Fatalf("%v: Is4 is %v", in, a.Is4())
		}
		if a.IsUnspecified() != plain.IsUnspecified() {
			t.Fatalf("%v: IsUnspecified is %v", in, a.IsUnspecified())
		}
		if a.IsLoopback() != plain.IsLoopback() {
			t.Fatalf("%v: IsLoopback is %v", in, a.IsLoopback())
		}
	})
}

// The numbers are those of include/net/tcp_states.h, the names those of ss(8).
func TestStatesHaveTheNumbersAndNamesOfLinux(t *testing.T) {
	for n, c := range []struct {
		state State
		name  string
	}{
		{0, "UNKNOWN"},
		{Established, "ESTABLISHED"}, {SynSent, "SYN_SENT"}, {SynRecv, "SYN_RECV"}, {FinWait1, "FIN_WAIT1"},
		{FinWait2, "FIN_WAIT2"}, {TimeWait, "TIME_WAIT"}, {Closed, "CLOSE"}, {CloseWait, "CLOSE_WAIT"},
		{LastAck, "LAST_ACK"}, {Listen, "LISTEN"}, {Closing, "CLOSING"}, {NewSynRecv, "NEW_SYN_RECV"},
		{BoundInactive, "BOUND"}, {NumStates, "UNKNOWN"},
	} {
		if int(c.state) != n || c.state.String() != c.name {
			t.Errorf("state %d is %d and %q, want %q", n, c.state, c.state, c.name)
		}
	}
	if got := State(255).String(); got != "UNKNOWN" {
		t.Errorf("state 255 is %q", got)
	}
}

func TestProtocolsHaveTheirNames(t *testing.T) {
	for p, want := range map[Proto]string{6: "tcp", 17: "udp", 0: "proto?", 132: "proto?"} {
		if got := p.String(); got != want {
			t.Errorf("protocol %d is %q, want %q", p, got, want)
		}
	}
}

func TestAFactIsUnknownUntilItIsSaid(t *testing.T) {
	var zero Tri
	if zero != Unknown || TriOf(false) != No || TriOf(true) != Yes || No == Unknown || Yes == Unknown || Yes == No {
		t.Errorf("the zero value is %d, false %d, true %d", zero, TriOf(false), TriOf(true))
	}
}
