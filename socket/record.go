package socket

import (
	"encoding/binary"
	"errors"
)

// The records that the BPF iterators write: struct bucket, struct record and
// struct owned in bpf/portroom.bpf.c.
const (
	bucketLen = 12
	recordLen = 64
	ownedLen  = 80

	flagV6Only     = 1
	flagStale      = 2
	flagTimeWait   = 4
	flagUserPort   = 8
	flagByConnect  = 16
	flagNotConnect = 32
)

var errRecord = errors.New("BPF iterator: record is malformed")

// parseRecord reads struct record.
func parseRecord(b []byte, s *Socket) error {
	ne := binary.NativeEndian
	_ = b[recordLen-1]
	s.Src, s.Dst = Addr(b[0:16]), Addr(b[16:32])
	s.SrcPort, s.DstPort = ne.Uint16(b[32:]), ne.Uint16(b[34:])
	state, family, flags := b[36], b[37], b[38]
	if state == 0 || state >= NumStates || family != 4 && family != 6 {
		return errRecord
	}
	s.State, s.IPv6 = State(state), family == 6
	s.Proto = Proto(b[39])
	s.Ifindex, s.UID = ne.Uint32(b[40:]), ne.Uint32(b[44:])
	s.Inode = ne.Uint64(b[48:])
	s.V6Only = TriOf(flags&flagV6Only != 0)
	s.Bound, s.Remaining, s.ByConnect = Unknown, 0, Unknown
	switch {
	case s.Proto != TCP: // UDP does not set it
	case flags&flagByConnect != 0:
		s.ByConnect = Yes
	case flags&flagNotConnect != 0:
		s.ByConnect = No
	}
	if flags&flagTimeWait != 0 {
		s.HalfOpenTimeWait = s.State == FinWait2
		s.Auto, s.Stale = Unknown, TriOf(flags&flagStale != 0)
		return nil
	}
	s.HalfOpenTimeWait, s.Stale = false, Unknown
	s.Auto = TriOf(flags&flagUserPort == 0)
	switch {
	case s.State == NewSynRecv: // a request: no socket yet, so nothing was read
		s.State, s.Auto = SynRecv, Unknown
	case s.State == Closed && s.Proto == TCP:
		s.State = BoundInactive
	}
	return nil
}

// parseBucket reads struct bucket. A port of 0 says that buckets are missing.
func parseBucket(b []byte) (netns uint32, port uint16, l3mdev int32) {
	ne := binary.NativeEndian
	_ = b[bucketLen-1]
	return ne.Uint32(b), ne.Uint16(b[4:]), int32(ne.Uint32(b[8:]))
}

// A file is an open file that is a socket: struct owned. But for a TCP socket
// that is bound and no more, of the socket only protocol and inode are filled in.
type file struct {
	Socket
	netns   uint32
	pid     int32
	command string
}

// parseOwned reads struct owned.
func parseOwned(b []byte, f *file) error {
	ne := binary.NativeEndian
	_ = b[ownedLen-1]
	f.netns, f.pid = ne.Uint32(b[56:]), int32(ne.Uint32(b[60:]))
	comm := b[recordLen:ownedLen]
	n := 0
	for n < len(comm) && comm[n] != 0 {
		n++
	}
	// Most files in a row belong to one process.
	if f.command != string(comm[:n]) {
		f.command = string(comm[:n])
	}
	if b[37] == 0 {
		f.Socket = Socket{Proto: Proto(b[39]), Inode: ne.Uint64(b[48:])}
		return nil
	}
	return parseRecord(b, &f.Socket)
}
