package hive

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The format is that of "Windows registry file format specification" by Maxim
// Suhanov (github.com/msuhanov/regf). All numbers are little-endian; all offsets in
// a hive are relative to the end of its base block.
const (
	baseSize = 4096       // the base block, a file's first bytes
	page     = 4096       // bins are multiples of it
	none     = 0xffffffff // an offset that leads nowhere

	minMinor     = 3 // Windows NT 4.0
	minorBigData = 4 // values longer than maxSegment are cut up
	minorHash    = 5 // lists of subkeys have hashes: Windows XP
	maxMinor     = 6

	// MaxSize is the size, in bytes, of the largest hive: in memory Windows marks the
	// volatile part of a hive by the highest bit of an offset.
	MaxSize = 1 << 31
)

// Where the fields of the base block are.
const (
	atPrimary   = 4
	atSecondary = 8
	atWritten   = 12
	atMajor     = 20
	atMinor     = 24
	atType      = 28
	atFormat    = 32
	atRoot      = 36
	atBinsSize  = 40
	atCluster   = 44
	atFileName  = 48
	atChecksum  = 508
)

func get16(b []byte, at int) uint16    { return binary.LittleEndian.Uint16(b[at:]) }
func get32(b []byte, at int) uint32    { return binary.LittleEndian.Uint32(b[at:]) }
func put16(b []byte, at int, n uint16) { binary.LittleEndian.PutUint16(b[at:], n) }
func put32(b []byte, at int, n uint32) { binary.LittleEndian.PutUint32(b[at:], n) }

// checksum of a base block.
func checksum(b []byte) uint32 {
	var sum uint32
	for at := 0; at < atChecksum; at += 4 {
		sum ^= get32(b, at)
	}
	switch sum {
	case 0:
		return 1
	case 0xffffffff:
		return 0xfffffffe
	}
	return sum
}

// checkBase checks the base block of a file of at least that length.
func checkBase(b []byte) error {
	if string(b[:4]) != "regf" {
		return ErrNotHive
	}
	if want, got := checksum(b), get32(b, atChecksum); want != got {
		return &FormatError{atChecksum, fmt.Sprintf("the checksum is %#08x, want %#08x", got, want)}
	}
	if major, minor := get32(b, atMajor), get32(b, atMinor); major != 1 || minor < minMinor || minor > maxMinor {
		return &VersionError{major, minor}
	}
	switch t := get32(b, atType); t {
	case 0:
	case 1, 2, 6:
		return &FormatError{atType, "this is the log of a hive: want the hive itself, of the same name without .LOG"}
	default:
		return &FormatError{atType, fmt.Sprintf("type %d, want 0", t)}
	}
	if f := get32(b, atFormat); f != 1 {
		return &FormatError{atFormat, fmt.Sprintf("format %d, want 1", f)}
	}
	if n := get32(b, atBinsSize); n == 0 || n%page != 0 {
		return &FormatError{atBinsSize, fmt.Sprintf("bins of %d bytes: want a multiple of %d", n, page)}
	}
	return nil
}

// seal writes the header after changes, as Windows does at the end of a writing: the
// sequence numbers are one higher, and the same again.
func (h *Hive) seal() {
	if h.edits == h.sealed {
		return
	}
	number := get32(h.b, atSecondary) + 1
	put32(h.b, atPrimary, number)
	put32(h.b, atSecondary, number)
	now := filetime(time.Now())
	binary.LittleEndian.PutUint64(h.b[atWritten:], now)
	binary.LittleEndian.PutUint64(h.b[baseSize+binWritten:], now) // the first bin has a copy
	put32(h.b, atBinsSize, h.binsSize)
	put32(h.b, atChecksum, checksum(h.b))
	h.sealed = h.edits
}
