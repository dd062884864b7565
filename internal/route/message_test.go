package route

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	ne   = binary.NativeEndian
	same = cmpopts.EquateComparable(netip.Addr{})
)

func u16(v uint16) []byte { return ne.AppendUint16(nil, v) }
func u32(v uint32) []byte { return ne.AppendUint32(nil, v) }

// Each field at its place in struct nlmsghdr (length, type, flags, sequence,
// port), struct rtmsg (family, dst_len, src_len, tos, table, protocol, scope,
// type, flags) and struct rtattr (length, type), written down by hand.
func TestRequest(t *testing.T) {
	v4 := []byte{10, 77, 0, 9}
	v6 := []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}
	header := func(n uint32) []byte {
		return slices.Concat(u32(n), u16(26), u16(1), u32(1), u32(0))
	}
	rtmsg := func(family, bits byte) []byte {
		return slices.Concat([]byte{family, bits, 0, 0, 0, 0, 0, 0}, u32(0))
	}
	for name, c := range map[string]struct {
		dst  string
		oif  uint32
		want []byte
	}{
		"IPv4":                   {"10.77.0.9", 0, slices.Concat(header(36), rtmsg(2, 32), u16(8), u16(1), v4)},
		"IPv6":                   {"2001:db8::9", 0, slices.Concat(header(48), rtmsg(10, 128), u16(20), u16(1), v6)},
		"IPv4 over an interface": {"10.77.0.9", 7, slices.Concat(header(44), rtmsg(2, 32), u16(8), u16(1), v4, u16(8), u16(4), u32(7))},
		"IPv6 over an interface": {"2001:db8::9", 0x01020304, slices.Concat(header(56), rtmsg(10, 128), u16(20), u16(1), v6, u16(8), u16(4), u32(0x01020304))},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, request(netip.MustParseAddr(c.dst), c.oif)); diff != "" {
				t.Errorf("request(%s, %d) (-want +got):\n%s", c.dst, c.oif, diff)
			}
		})
	}
}

// attr is a struct rtattr with its value, padded to four bytes.
func attr(typ uint16, value ...byte) []byte {
	b := slices.Concat(u16(uint16(4+len(value))), u16(typ), value)
	return append(b, make([]byte, -len(b)&3)...)
}

// message is a struct nlmsghdr with what follows it.
func message(typ uint16, body ...[]byte) []byte {
	all := slices.Concat(body...)
	return slices.Concat(u32(uint32(16+len(all))), u16(typ), u16(0), u32(1), u32(0), all)
}

// answer is an RTM_NEWROUTE with attributes.
func answer(attrs ...[]byte) []byte {
	return message(24, make([]byte, 12), slices.Concat(attrs...))
}

func TestParse(t *testing.T) {
	src4 := attr(7, 10, 77, 0, 1)
	src6 := attr(7, 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	mapped := attr(7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 0, 1)
	oif := attr(4, u32(3)...)
	four, six := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd77::1")
	resize := func(b []byte, n uint32) []byte {
		ne.PutUint32(b, n)
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want Choice
		err  error
	}{
		"source":                         {answer(src4), Choice{Src: four}, nil},
		"source and interface":           {answer(src4, oif), Choice{Src: four, Ifindex: 3}, nil},
		"interface first":                {answer(oif, src4), Choice{Src: four, Ifindex: 3}, nil},
		"to this host itself":            {message(24, []byte{7: 2, 11: 0}, src4), Choice{Src: four, Local: true}, nil},
		"to a broadcast address":         {message(24, []byte{7: 3, 11: 0}, src4), Choice{Src: four}, nil},
		"IPv6":                           {answer(src6, oif), Choice{Src: six, Ifindex: 3}, nil},
		"v4-mapped is unmapped":          {answer(mapped), Choice{Src: four}, nil},
		"other attributes are skipped":   {answer(attr(1, 10, 77, 0, 9), attr(15, u32(254)...), src4, attr(12, 1, 2, 3, 4, 5)), Choice{Src: four}, nil},
		"odd lengths are padded":         {answer(attr(99, 1), src4), Choice{Src: four}, nil},
		"the last may lack its padding":  {func() []byte { b := answer(src4, attr(99, 1)); return resize(b[:len(b)-3], uint32(len(b)-3)) }(), Choice{Src: four}, nil},
		"what follows is not looked at":  {append(answer(src4), message(2, u32(0))...), Choice{Src: four}, nil},
		"an error":                       {message(2, u32(uint32(0xffffffff-101+1)), make([]byte, 16)), Choice{}, kernelError(-101)},
		"an error with its number alone": {message(2, u32(uint32(0xffffffff-113+1))), Choice{}, kernelError(-113)},

		"nothing":                        {nil, Choice{}, errAnswer},
		"half a header":                  {answer(src4)[:15], Choice{}, errAnswer},
		"a length below the header's":    {resize(answer(src4), 15), Choice{}, errAnswer},
		"a length of none":               {resize(answer(src4), 0), Choice{}, errAnswer},
		"a length beyond the end":        {resize(answer(src4), uint32(len(answer(src4))+1)), Choice{}, errAnswer},
		"a length that is huge":          {resize(answer(src4), 1<<31), Choice{}, errAnswer},
		"a header alone":                 {message(24), Choice{}, errAnswer},
		"half an rtmsg":                  {message(24, make([]byte, 11)), Choice{}, errAnswer},
		"an error without its number":    {message(2, make([]byte, 3)), Choice{}, errAnswer},
		"another type":                   {message(25, make([]byte, 12), src4), Choice{}, errAnswer},
		"no attribute":                   {answer(), Choice{}, errAnswer},
		"no source":                      {answer(oif), Choice{}, errAnswer},
		"a source of three bytes":        {answer(attr(7, 10, 77, 0)), Choice{}, errAnswer},
		"a source of none":               {answer(attr(7)), Choice{}, errAnswer},
		"an attribute shorter than four": {answer(src4, u16(3), u16(4)), Choice{}, errAnswer},
		"an attribute of length none":    {answer(src4, u16(0), u16(4)), Choice{}, errAnswer},
		"an attribute beyond the end":    {answer(src4, u16(9), u16(4), u32(3)), Choice{}, errAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(c.in)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v (%#v), want %v", err, err, c.err)
			}
			if err != nil {
				return // what comes with an error is not looked at
			}
			if diff := cmp.Diff(c.want, got, same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("an interface of the wrong size is not taken", func(t *testing.T) {
		if got, err := parse(answer(attr(4, 1, 2), src4)); err != nil || got.Ifindex != 0 {
			t.Errorf("parse gives %+v, %v", got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(answer(attr(7, 10, 77, 0, 1), attr(4, u32(3)...)))
	f.Add(answer(attr(99, 1), attr(7, make([]byte, 16)...)))
	f.Add(message(2, u32(0xffffff9b)))
	f.Add(request(netip.MustParseAddr("2001:db8::9"), 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse(b)
		var ke kernelError
		switch {
		case err == nil && (!c.Src.IsValid() || c.Src.Is4In6() || c.Src.Zone() != ""):
			t.Errorf("parse(%x) = %+v without an error", b, c)
		case err != nil && err != errAnswer && !errors.As(err, &ke):
			t.Errorf("parse(%x): error %v", b, err)
		}
	})
}
