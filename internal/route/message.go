package route

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The wire form of rtnetlink: include/uapi/linux/rtnetlink.h and netlink.h.
const (
	headerLen = 16 // struct nlmsghdr
	rtmsgLen  = 12 // struct rtmsg

	nlmsgError  = 2
	newRoute    = 24
	getRoute    = 26
	flagRequest = 1

	rtmType   = 7 // offset of rtm_type in struct rtmsg
	typeLocal = 2 // RTN_LOCAL

	attrDst     = 1
	attrOIF     = 4
	attrPrefSrc = 7

	afINET  = 2
	afINET6 = 10
)

var errAnswer = errors.New("rtnetlink: the answer is malformed")

// kernelError is the negative errno of an error message.
type kernelError int32

func (kernelError) Error() string { return "rtnetlink: error" }

// request asks for the route to dst (RTM_GETROUTE).
func request(dst netip.Addr, oif uint32) []byte {
	addr := dst.AsSlice()
	n := headerLen + rtmsgLen + 4 + len(addr)
	if oif != 0 {
		n += 8
	}
	b := make([]byte, n)
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], uint32(n))
	ne.PutUint16(b[4:], getRoute)
	ne.PutUint16(b[6:], flagRequest)
	ne.PutUint32(b[8:], 1)
	m := b[headerLen:]
	m[0] = afINET
	if dst.Is6() {
		m[0] = afINET6
	}
	m[1] = uint8(8 * len(addr))
	a := m[rtmsgLen:]
	ne.PutUint16(a[0:], uint16(4+len(addr)))
	ne.PutUint16(a[2:], attrDst)
	copy(a[4:], addr)
	if oif != 0 {
		a = a[4+len(addr):]
		ne.PutUint16(a[0:], 8)
		ne.PutUint16(a[2:], attrOIF)
		ne.PutUint32(a[4:], oif)
	}
	return b
}

// parse reads the answer.
func parse(b []byte) (Choice, error) {
	var c Choice
	ne := binary.NativeEndian
	if len(b) < headerLen {
		return c, errAnswer
	}
	n := int(ne.Uint32(b))
	if n < headerLen || n > len(b) {
		return c, errAnswer
	}
	typ, body := ne.Uint16(b[4:]), b[headerLen:n]
	switch {
	case typ == nlmsgError && len(body) >= 4:
		return c, kernelError(int32(ne.Uint32(body)))
	case typ != newRoute || len(body) < rtmsgLen:
		return c, errAnswer
	}
	c.Local = body[rtmType] == typeLocal
	for a := body[rtmsgLen:]; len(a) >= 4; {
		n := int(ne.Uint16(a))
		if n < 4 || n > len(a) {
			return c, errAnswer
		}
		value := a[4:n]
		switch ne.Uint16(a[2:]) {
		case attrPrefSrc:
			if src, ok := netip.AddrFromSlice(value); ok {
				c.Src = src.Unmap()
			}
		case attrOIF:
			if len(value) == 4 {
				c.Ifindex = ne.Uint32(value)
			}
		}
		a = a[min((n+3)&^3, len(a)):]
	}
	if !c.Src.IsValid() {
		return c, errAnswer
	}
	return c, nil
}
