package winreg

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy"
)

// stateOf writes a value as a state: its type is the form, and its data is as short
// as can be turned back into the same bytes. A number is decimal, the lines of a
// REG_MULTI_SZ have blanks between them; text and all else begin with the type, so
// that "5000" as text does not look like the number in a sentence.
func stateOf(v registry.Value) remedy.State {
	s := remedy.State{Form: v.Type.String()}
	switch v.Type {
	case registry.DWORD:
		if n, err := v.Uint32(); err == nil {
			s.Data = strconv.FormatUint(uint64(n), 10)
			return s
		}
	case registry.MultiSZ:
		lines, err := v.Strings()
		if err == nil && !blanks(lines) && bytes.Equal(registry.NewMultiSZ("", lines...).Data, v.Data) {
			s.Data = strings.Join(lines, " ")
			return s
		}
	case registry.SZ:
		text, err := v.Text()
		if err == nil && utf8.ValidString(text) && bytes.Equal(registry.NewSZ("", text).Data, v.Data) {
			s.Data = s.Form + textMark + text
			return s
		}
	}
	s.Data = s.Form + hexMark + hex.EncodeToString(v.Data)
	return s
}

const (
	textMark = " text "
	hexMark  = " hex "
)

// State returns the state that a value is in the journal.
func State(v registry.Value) remedy.State { return stateOf(v) }

// Value returns the registry value that a state of a value stands for.
func Value(name string, s remedy.State) (registry.Value, error) { return valueOf(name, s) }

// Dynamic returns the dynamic range that a state of one stands for.
func Dynamic(object string, s remedy.State) (nt.DynamicRange, error) {
	return parseDynamicState(object, s)
}

// Templates returns the TCP templates that a state of [AutoReuse] stands for.
func Templates(s remedy.State) ([]nt.Template, error) { return parseTemplatesState(s) }

// blanks reports whether a line could not be told from two.
func blanks(lines []string) bool {
	for _, l := range lines {
		if l == "" || strings.ContainsRune(l, ' ') {
			return true
		}
	}
	return false
}

// valueOf is the inverse of stateOf.
func valueOf(name string, s remedy.State) (registry.Value, error) {
	v := registry.Value{Name: name}
	var ok bool
	if v.Type, ok = parseType(s.Form); !ok {
		return v, fmt.Errorf("%q is no type of a registry value", s.Form)
	}
	if digits, ok := strings.CutPrefix(s.Data, s.Form+hexMark); ok {
		var err error
		v.Data, err = hex.DecodeString(digits)
		return v, err
	}
	switch v.Type {
	case registry.DWORD:
		n, err := strconv.ParseUint(s.Data, 10, 32)
		if err != nil {
			return v, fmt.Errorf("%q is no number of 32 bits", s.Data)
		}
		return registry.NewDWORD(name, uint32(n)), nil
	case registry.MultiSZ:
		return registry.NewMultiSZ(name, strings.Split(s.Data, " ")...), nil // NewMultiSZ drops an empty line
	case registry.SZ:
		if text, ok := strings.CutPrefix(s.Data, s.Form+textMark); ok {
			return registry.NewSZ(name, text), nil
		}
	}
	return v, fmt.Errorf("%q is no %s", s.Data, s.Form)
}

// parseType is the inverse of [registry.Type.String].
func parseType(text string) (registry.Type, bool) {
	for t := registry.None; t <= registry.QWORD; t++ {
		if t.String() == text {
			return t, true
		}
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "REG_TYPE_0x"), 16, 32)
	t := registry.Type(n)
	return t, err == nil && t.String() == text
}

// number returns the state of a REG_DWORD.
func number(n uint32) remedy.State { return stateOf(registry.NewDWORD("", n)) }

// lines returns the state of a REG_MULTI_SZ.
func lines(list ...string) remedy.State { return stateOf(registry.NewMultiSZ("", list...)) }
