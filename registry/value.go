package registry

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Type is the type of a value, numbered as in winnt.h. Other numbers occur in
// real hives and are kept as they are.
type Type uint32

// The types that winnt.h names.
const (
	None                     Type = 0
	SZ                       Type = 1
	ExpandSZ                 Type = 2
	Binary                   Type = 3
	DWORD                    Type = 4
	DWORDBigEndian           Type = 5
	Link                     Type = 6
	MultiSZ                  Type = 7
	ResourceList             Type = 8
	FullResourceDescriptor   Type = 9
	ResourceRequirementsList Type = 10
	QWORD                    Type = 11
)

var typeNames = [...]string{
	"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN",
	"REG_LINK", "REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR",
	"REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
}

// String returns the name as in winnt.h, such as "REG_DWORD".
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("REG_TYPE_0x%x", uint32(t))
}

// A Value is one value of a key. Data is what a hive holds: text in UTF-16LE,
// zeros at its end included if there are any; numbers little-endian.
type Value struct {
	Name string
	Type Type
	Data []byte
}

// typeError says that a value is not of the type that was asked for.
func (v Value) typeError(want string) error {
	return fmt.Errorf("value %q is %s of %d bytes: want %s", v.Name, v.Type, len(v.Data), want)
}

// Uint32 returns the number of a REG_DWORD, of either byte order.
func (v Value) Uint32() (uint32, error) {
	switch {
	case v.Type == DWORD && len(v.Data) == 4:
		return binary.LittleEndian.Uint32(v.Data), nil
	case v.Type == DWORDBigEndian && len(v.Data) == 4:
		return binary.BigEndian.Uint32(v.Data), nil
	}
	return 0, v.typeError("REG_DWORD of 4 bytes")
}

// Text returns the text of a REG_SZ or REG_EXPAND_SZ up to its first zero.
// Halves of surrogate pairs become U+FFFD.
func (v Value) Text() (string, error) {
	if v.Type != SZ && v.Type != ExpandSZ {
		return "", v.typeError("REG_SZ")
	}
	s, _, _ := strings.Cut(decode(v.Data), "\x00")
	return s, nil
}

// Strings returns the lines of a REG_MULTI_SZ. A missing zero at the end, which
// some writers forget, is no error; an empty line ends the list.
func (v Value) Strings() ([]string, error) {
	if v.Type != MultiSZ {
		return nil, v.typeError("REG_MULTI_SZ")
	}
	var out []string
	rest := decode(v.Data)
	for rest != "" {
		var s string
		s, rest, _ = strings.Cut(rest, "\x00")
		if s == "" {
			break
		}
		out = append(out, s)
	}
	return out, nil
}

// NewDWORD returns a REG_DWORD.
func NewDWORD(name string, n uint32) Value {
	return Value{name, DWORD, binary.LittleEndian.AppendUint32(nil, n)}
}

// NewSZ returns a REG_SZ.
func NewSZ(name, text string) Value { return Value{name, SZ, encode(text + "\x00")} }

// NewMultiSZ returns a REG_MULTI_SZ. Empty lines cannot be part of one and are
// left out.
func NewMultiSZ(name string, list ...string) Value {
	var b strings.Builder
	for _, s := range list {
		if s != "" {
			b.WriteString(s)
			b.WriteByte(0)
		}
	}
	b.WriteByte(0)
	return Value{name, MultiSZ, encode(b.String())}
}

// decode reads UTF-16LE; an odd byte at the end is dropped.
func decode(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

func encode(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
