package hive

import (
	"encoding/binary"
	"fmt"
	"time"
)

// New returns an empty hive: a root key and its security descriptor, as Windows gives
// it to the hives of a machine.
func New(o Options) (*Hive, error) {
	minor := uint32(minorHash)
	if o.Minor != 0 {
		minor = uint32(o.Minor)
	}
	if o.Minor < 0 || o.Minor > maxMinor || minor < minMinor {
		return nil, fmt.Errorf("version 1.%d: want 1.%d to 1.%d", o.Minor, minMinor, maxMinor)
	}
	root := o.Root
	if root == "" {
		root = "ROOT"
	}
	n, ok := encodeName(root)
	if !ok || n.len() > maxKeyName {
		return nil, fmt.Errorf("the root key's name %q is no text of %d characters at most", root, maxKeyName)
	}
	b := make([]byte, baseSize+page)
	copy(b, "regf")
	for at, n := range map[int]uint32{
		atPrimary: 1, atSecondary: 1, atMajor: 1, atMinor: minor, atFormat: 1, atRoot: binHeader, atBinsSize: page, atCluster: 1,
	} {
		put32(b, at, n)
	}
	now := filetime(time.Now())
	binary.LittleEndian.PutUint64(b[atWritten:], now)

	bin := b[baseSize:]
	copy(bin, "hbin")
	put32(bin, 8, page)
	binary.LittleEndian.PutUint64(bin[binWritten:], now)
	key, sk := uint32(binHeader), uint32(binHeader)+cellSize(nkName+len(n.raw))
	rest := sk + cellSize(skDescriptor+len(descriptor))
	put32(bin, int(key), -(sk - key))
	put32(bin, int(sk), -(rest - sk))
	put32(bin, int(rest), page-rest)

	k := bin[key+4:]
	copy(k, "nk")
	put16(k, nkFlags, flagRoot|flagNoDelete)
	if n.narrow {
		put16(k, nkFlags, flagRoot|flagNoDelete|flagNarrow)
	}
	binary.LittleEndian.PutUint64(k[nkWritten:], now)
	for at, n := range map[int]uint32{nkParent: none, nkSubkeyList: none, nkVolatile: none, nkValueList: none, nkClass: none, nkSecurity: sk} {
		put32(k, at, n)
	}
	put16(k, nkNameLength, uint16(len(n.raw)))
	copy(k[nkName:], n.raw)

	s := bin[sk+4:]
	copy(s, "sk")
	for at, n := range map[int]uint32{skNext: sk, skPrevious: sk, skReferences: 1, skSize: uint32(len(descriptor))} {
		put32(s, at, n)
	}
	copy(s[skDescriptor:], descriptor)

	put32(b, atChecksum, checksum(b))
	return Parse(b, Options{})
}

// descriptor is the security descriptor O:BAG:SYD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;BU):
// the system and administrators may do everything, users read, below it too.
var descriptor = []byte{
	1, 0, 0x04, 0x80, // revision; self-relative, with a list of who may do what
	96, 0, 0, 0, // the owner
	112, 0, 0, 0, // the group
	0, 0, 0, 0,
	20, 0, 0, 0, // the list
	2, 0, 76, 0, 3, 0, 0, 0, // revision, length, three entries
	0, 2, 20, 0, 0x3f, 0, 0x0f, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
	0, 2, 24, 0, 0x3f, 0, 0x0f, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0,
	0, 2, 24, 0, 0x19, 0, 0x02, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0,
	1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0, // S-1-5-32-544
	1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, // S-1-5-18
}

// nameFile writes the end of a file's name into the header, where Windows has it for
// people who look.
func (h *Hive) nameFile(base string) {
	n, _ := encodeName(base)
	for i := range min(n.len(), 31) {
		put16(h.b, atFileName+2*i, n.unit(max(0, n.len()-31)+i))
	}
	put32(h.b, atChecksum, checksum(h.b))
}
