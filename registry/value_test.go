package registry

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValuesAreReadAsTheirTypeSays(t *testing.T) {
	for name, c := range map[string]struct {
		v    Value
		text string
		list []string
		n    uint32
		ok   string // which of the three reads it
	}{
		"a number":                   {NewDWORD("x", 65534), "", nil, 65534, "n"},
		"a number the other way":     {Value{"x", DWORDBigEndian, []byte{0, 0, 0xff, 0xfe}}, "", nil, 65534, "n"},
		"a number of three bytes":    {Value{"x", DWORD, []byte{1, 2, 3}}, "", nil, 0, ""},
		"text":                       {NewSZ("x", "Größe 😀"), "Größe 😀", nil, 0, "text"},
		"text without a zero":        {Value{"x", SZ, []byte{'a', 0, 'b', 0}}, "ab", nil, 0, "text"},
		"text with more behind zero": {Value{"x", ExpandSZ, []byte{'a', 0, 0, 0, 'b', 0}}, "a", nil, 0, "text"},
		"text of an odd length":      {Value{"x", SZ, []byte{'a', 0, 'b'}}, "a", nil, 0, "text"},
		"half a surrogate pair":      {Value{"x", SZ, []byte{0, 0xd8}}, "\ufffd", nil, 0, "text"},
		"lines":                      {NewMultiSZ("x", "1-2", "", "3-3"), "", []string{"1-2", "3-3"}, 0, "list"},
		"lines without zeros":        {Value{"x", MultiSZ, []byte{'a', 0}}, "", []string{"a"}, 0, "list"},
		"no lines":                   {NewMultiSZ("x"), "", nil, 0, "list"},
		"bytes":                      {Value{"x", Binary, []byte{1, 0, 0, 0}}, "", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, nerr := c.v.Uint32()
			text, terr := c.v.Text()
			list, lerr := c.v.Strings()
			for what, err := range map[string]error{"n": nerr, "text": terr, "list": lerr} {
				if (err == nil) != (what == c.ok) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if n != c.n || text != c.text || !cmp.Equal(list, c.list) {
				t.Errorf("%d %q %q", n, text, list)
			}
		})
	}
}

func TestWhatIsAbsentDoesNotExist(t *testing.T) {
	for _, err := range []error{NoKey(`a\b`), NoValue(`a\b`, "c")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
	}
}

func TestPathsAreJoinedWithoutEmptyParts(t *testing.T) {
	if got := Join("", `SYSTEM\`, `\Select`, ""); got != `SYSTEM\Select` {
		t.Errorf("%q", got)
	}
	if got := Split(`\a\\b\`); !cmp.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}
