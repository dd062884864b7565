package remote

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/registry"
)

// The files in testdata are what Samba 4.17 wrote, with the separator `\xyz`.
func recorded(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestARecordedExportIsReadWithoutLoss(t *testing.T) {
	got, more, err := parseExport(strings.NewReader(recorded(t, "export.reg")))
	if err != nil || !more {
		t.Fatalf("more %v, %v: want the key below to be seen", more, err)
	}
	want := []registry.Value{
		registry.NewDWORD("MaxUserPort", 65534),
		registry.NewSZ(`a b"\ Größe`, "Größe 😀"),
		registry.NewSZ("", "default"),
		{Name: "q", Type: registry.QWORD, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{Name: "n", Type: registry.None, Data: []byte{}},
		{Name: "t", Type: 0x1234, Data: []byte{1}},
		{Name: "Größe", Type: registry.MultiSZ, Data: append([]byte{'a'}, make([]byte, 11)...)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnExportThatEndsInTheMiddleIsKnownByIt(t *testing.T) {
	text := recorded(t, "export.reg")
	whole := strings.LastIndex(text, "\n[") + 2
	for n := range whole {
		if _, _, err := parseExport(strings.NewReader(text[:n])); !errors.Is(err, errCut) {
			t.Fatalf("after %d bytes of %d: %v", n, whole, err)
		}
	}
}

func TestAKeyWithoutKeysBelowEndsWithTheClosingComment(t *testing.T) {
	_, more, err := parseExport(strings.NewReader("x\n\n[HKLM]\n\"a\"=hex:01,\\\n  02\n;Local Variables:\n"))
	if more || err != nil {
		t.Errorf("more %v, %v", more, err)
	}
}

func TestWhatNoExportHoldsIsAnError(t *testing.T) {
	for name, line := range map[string]string{
		"a line of no value":     "a=hex:00\n",
		"text for data":          `"a"="b"` + "\n",
		"a type of nine digits":  `"a"=hex(123456789):00` + "\n",
		"no type":                `"a"=hex():00` + "\n",
		"half a byte":            `"a"=hex:0` + "\n",
		"no hexadecimal":         `"a"=hex:zz` + "\n",
		"a backslash in a line":  `"a"=hex:00,\01` + "\n",
		"a name without end":     `"` + strings.Repeat("a", maxName+1),
		"a sign after the type":  `"a"=hex(1);00` + "\n",
		"a type without bracket": `"a"=hex1:00` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseExport(strings.NewReader("head\n\n[HKLM]\n" + line + ";\n"))
			if err == nil || errors.Is(err, errCut) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWhatIsImportedReadsAsItWasExported(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := registry.Value{
			Name: strings.NewReplacer("\n", "", "\r", "", "\x00", "").Replace(rapid.String().Draw(t, "name")),
			Type: registry.Type(rapid.Uint32().Draw(t, "type")),
			Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		got, more, err := parseExport(bytes.NewReader(appendImport(nil, `HKLM\a`, v)))
		if err != nil || more || len(got) != 1 || got[0].Name != v.Name || got[0].Type != v.Type || !bytes.Equal(got[0].Data, v.Data) {
			t.Errorf("%v became %v, %v", v, got, err)
		}
	})
}

func TestKeysAreReadFromARecordedEnumeration(t *testing.T) {
	got, err := parseKeys(recorded(t, "enumerate.txt"))
	if err != nil || !cmp.Equal(got, []string{`sub "x"`}) {
		t.Errorf("%q, %v", got, err)
	}
	for name, text := range map[string]string{
		"cut in the name":      "Keyname   = a",
		"cut before the blank": "Keyname   = a\nModtime   = x\n",
		"another language":     "Schlüsselname = a\nModtime   = x\n\n",
		"an empty name":        "Keyname   = \nModtime   = x\n\n",
		"a path for a name":    "Keyname   = a\\b\nModtime   = x\n\n",
	} {
		if list, err := parseKeys(text); err == nil {
			t.Errorf("%s: %q", name, list)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(recorded(f, "export.reg")))
	f.Add([]byte(recorded(f, "enumerate.txt")))
	f.Add([]byte(recorded(f, "wrong-password.stderr")))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, err := parseExport(bytes.NewReader(b))
		size := 0
		for _, v := range list {
			size += len(v.Name) + len(v.Data)
		}
		if err != nil && list != nil || size > len(b) {
			t.Errorf("%d values of %d bytes from %d, %v", len(list), size, len(b), err)
		}
		names, err := parseKeys(string(b))
		for _, n := range names {
			if n == "" || strings.Contains(n, `\`) {
				t.Errorf("key %q, %v", n, err)
			}
		}
		if e := classify(string(b), Options{}); (e.Err == nil) != (e.Status == "" && e.Hint == "") {
			t.Errorf("%+v", e)
		}
	})
}
