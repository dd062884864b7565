package wide

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestAnyUnitsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOf(rapid.OneOf(
			rapid.Uint16Range(0, 0xffff), rapid.Uint16Range(0xd7fe, 0xe001), rapid.Uint16Range('a', 'z'),
		)).Draw(t, "units")
		var b []byte
		for _, u := range units {
			b = append(b, byte(u), byte(u>>8))
		}
		got, ok := Append(nil, String(b))
		if !ok || !bytes.Equal(got, b) {
			t.Errorf("%x became %x, %v", b, got, ok)
		}
	})
}

func TestBytesThatAreNoTextAreReported(t *testing.T) {
	for _, s := range []string{"\xff", "a\x80", "\xed\xa0", "\xe4\xb8"} {
		if _, ok := Append(nil, s); ok {
			t.Errorf("%q is taken for text", s)
		}
	}
	if got, ok := Append([]byte{1}, "ß😀"); !ok || !bytes.Equal(got, []byte{1, 0xdf, 0, 0x3d, 0xd8, 0, 0xde}) {
		t.Errorf("%x, %v", got, ok)
	}
}
