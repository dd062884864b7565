package regtext

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/internal/wide"
)

func TestParseReadsEveryForm(t *testing.T) {
	const key = "[HKEY_LOCAL_MACHINE\\a]\n"
	v5, v4 := headers[Version5]+"\n\n"+key, headers[REGEDIT4]+"\n\n"+key
	encode := func(s string) []byte { b, _ := wide.Append(nil, s); return b }
	val := func(name string, typ registry.Type, data []byte) Entry {
		return Entry{Value: registry.Value{Name: name, Type: typ, Data: data}}
	}
	for name, c := range map[string]struct {
		text string
		want []Entry
	}{
		"text":                               {v5 + `"a"="b"`, []Entry{{Value: registry.NewSZ("a", "b")}}},
		"text with escapes":                  {v5 + `"a\\b\""="c:\\d \"e\"\n\r"`, []Entry{{Value: registry.NewSZ(`a\b"`, "c:\\d \"e\"\n\r")}}},
		"text of two lines":                  {v5 + "\"a\"=\"b\r\nc\"\r\n", []Entry{{Value: registry.NewSZ("a", "b\r\nc")}}},
		"an empty text":                      {v5 + `"a"=""`, []Entry{{Value: registry.NewSZ("a", "")}}},
		"the default value":                  {v5 + `@="b"`, []Entry{{Value: registry.NewSZ("", "b")}}},
		"the default value deleted":          {v5 + `@=-`, []Entry{{Deleted: true}}},
		"a value deleted":                    {v5 + `"a"=-`, []Entry{{Value: registry.Value{Name: "a"}, Deleted: true}}},
		"a number":                           {v5 + `"a"=dword:0000FFFE`, []Entry{{Value: registry.NewDWORD("a", 65534)}}},
		"a short number":                     {v5 + `"a"=DWORD:fe`, []Entry{{Value: registry.NewDWORD("a", 254)}}},
		"bytes":                              {v5 + `"a"=hex:01,a,FF`, []Entry{val("a", registry.Binary, []byte{1, 10, 255})}},
		"no bytes":                           {v5 + `"a"=hex:`, []Entry{val("a", registry.Binary, []byte{})}},
		"bytes over several lines":           {v5 + "\"a\"=hex:01,\\\n  02,\\\r\n\t03\n", []Entry{val("a", registry.Binary, []byte{1, 2, 3})}},
		"bytes with remarks between":         {v5 + "\"a\"=hex:01,\\ ;x\n;y\n  02\n", []Entry{{Value: registry.Value{Name: "a", Type: registry.Binary, Data: []byte{1, 2}}, Comments: []string{";x", ";y"}}}},
		"a type by its number":               {v5 + `"a"=hex(8000000F):00`, []Entry{val("a", 0x8000000f, []byte{0})}},
		"a number as bytes":                  {v5 + `"a"=hex(4):01,02`, []Entry{val("a", registry.DWORD, []byte{1, 2})}},
		"version 5 text as bytes":            {v5 + `"a"=hex(2):25,00,00,00`, []Entry{val("a", registry.ExpandSZ, encode("%\x00"))}},
		"REGEDIT4 text as bytes":             {v4 + `"a"=hex(2):25,80,00`, []Entry{val("a", registry.ExpandSZ, encode("%€\x00"))}},
		"REGEDIT4 lines as bytes":            {v4 + `"a"=hex(7):61,00,62,00,00`, []Entry{val("a", registry.MultiSZ, encode("a\x00b\x00\x00"))}},
		"REGEDIT4 bytes as bytes":            {v4 + `"a"=hex:80`, []Entry{val("a", registry.Binary, []byte{0x80})}},
		"REGEDIT4 is ANSI even where UTF-8":  {v4 + "\"Grö\"=\"x\"", []Entry{{Value: registry.NewSZ("GrÃ¶", "x")}}},
		"version 5 in ANSI if it is no UTF8": {v5 + "\"\xdf\"=\"\x80\"", []Entry{{Value: registry.NewSZ("ß", "€")}}},
		"version 5 in UTF-8":                 {v5 + `"ß"="€"`, []Entry{{Value: registry.NewSZ("ß", "€")}}},
		"a byte order mark":                  {string(bomUTF8) + v5 + `"ß"="€"`, []Entry{{Value: registry.NewSZ("ß", "€")}}},
		"spaces and remarks":                 {v5 + "\n \t;one\n \"a\" = \"b\" ; two\n", []Entry{{Value: registry.NewSZ("a", "b"), Comments: []string{";one", "; two"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Keys) != 1 || f.Keys[0].Path != `HKEY_LOCAL_MACHINE\a` {
				t.Fatalf("keys %+v", f.Keys)
			}
			if diff := cmp.Diff(c.want, f.Keys[0].Entries); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	head := headers[Version5] + "\r\n\r\n[HKEY_LOCAL_MACHINE\\a]\r\n"
	for name, c := range map[string]struct {
		text string
		line int
		what string
	}{
		"an empty file":                      {"", 1, "not a .reg file"},
		"another file":                       {"[HKEY_LOCAL_MACHINE]\n", 1, "not a .reg file"},
		"a newer version":                    {"Windows Registry Editor Version 6.00\n", 1, "not a .reg file"},
		"the high byte first":                {"\xfe\xff\x00R", 1, "high byte first"},
		"no byte order mark":                 {"R\x00E\x00", 1, "without a byte order mark"},
		"half a character":                   {"\xff\xfeR", 1, "cut off"},
		"a mark that lies":                   {"\xef\xbb\xbf\xff", 1, "no UTF-8"},
		"a zero":                             {head + "\"a\"=\"\x00\"", 4, "zero"},
		"a value before any key":             {headers[Version5] + "\n\"a\"=-", 2, "before the first key"},
		"a value below a deleted key":        {headers[Version5] + "\n[-a]\n@=-", 3, "that is deleted"},
		"an open bracket":                    {head + "[HKEY_LOCAL_MACHINE\r\n", 4, "bracket"},
		"a key without a name":               {head + "[-]\r\n", 4, "no name"},
		"a key too deep":                     {head + "[HKLM" + strings.Repeat(`\a`, 512) + "]", 4, "more than Windows allows"},
		"words":                              {head + "\r\nMaxUserPort=1\r\n", 5, `"MaxUserPort=1" is no key`},
		"an open quotation":                  {head + "\"a=dword:1\r\n\r\n", 4, "quotation mark"},
		"an open quotation behind an escape": {head + `"a\`, 4, "quotation mark"},
		"an unescaped path":                  {head + `"a"="c:\dir"`, 4, `write \\`},
		"an unescaped path further on":       {head + "\"a\"=\"b\nc\\d\"", 5, `write \\`},
		"no equals sign":                     {head + `"a" "b"`, 4, "want ="},
		"no data":                            {head + `"a"=` + "\n", 4, "want the data"},
		"an unknown kind":                    {head + `"a"=qword:1`, 4, "want the data"},
		"a number too long":                  {head + `"a"=dword:123456789`, 4, "one to eight"},
		"a number without digits":            {head + `"a"=dword:x`, 4, "one to eight"},
		"a type without a number":            {head + `"a"=hex():00`, 4, "number of a type"},
		"a type too large":                   {head + `"a"=hex(100000000):00`, 4, "number of a type"},
		"a byte too large":                   {head + `"a"=hex:100`, 4, "comma"},
		"a byte that is none":                {head + `"a"=hex:0g`, 4, "unexpected"},
		"bytes that break off":               {head + "\"a\"=hex:00,\n", 4, "break off"},
		"bytes without a next line":          {head + "\"a\"=hex:00,\\\n\n[b]", 5, "break off"},
		"more behind a value":                {head + `"a"="b" c`, 4, "unexpected"},
		"a zero in a name":                   {head + `"a\0"="b"`, 4, "zero in the name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line != c.line || !strings.Contains(syntax.What, c.what) {
				t.Errorf("error %v, want line %d: … %s …", err, c.line, c.what)
			}
		})
	}
}

func TestCanonicalFilesPrintAsTheyWere(t *testing.T) {
	files, err := filepath.Glob("testdata/*.reg")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Print()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("(-want +got):\n%s", cmp.Diff(string(want), string(got)))
			}
		})
	}
}

// genFile draws files of every form with everything that they can hold.
func genFile(forms ...Form) *rapid.Generator[*File] {
	return rapid.Custom(func(t *rapid.T) *File {
		f := &File{Form: rapid.SampledFrom(forms).Draw(t, "form")}
		f.End = genComments(f.Form).Draw(t, "end")
		for range rapid.IntRange(0, 4).Draw(t, "keys") {
			k := &Key{
				Path:     `HKEY_LOCAL_MACHINE\` + genName(f.Form, `\\[]"=-`, 1).Draw(t, "path"),
				Deleted:  rapid.IntRange(0, 4).Draw(t, "deleted") == 0,
				Comments: genComments(f.Form).Draw(t, "comments"),
			}
			f.Keys = append(f.Keys, k)
			if k.Deleted {
				continue
			}
			for range rapid.IntRange(0, 5).Draw(t, "entries") {
				e := Entry{Comments: genComments(f.Form).Draw(t, "comments")}
				if e.Deleted = rapid.IntRange(0, 4).Draw(t, "deleted") == 0; e.Deleted {
					e.Name = genName(f.Form, "\\\"\n\r=;#[]", 0).Draw(t, "name")
				} else {
					e.Value = genValue(f.Form).Draw(t, "value")
				}
				k.Entries = append(k.Entries, e)
			}
		}
		return f
	})
}

func genComments(f Form) *rapid.Generator[[]string] {
	return rapid.Custom(func(t *rapid.T) []string {
		var list []string
		for range max(0, rapid.IntRange(-3, 2).Draw(t, "lines")) {
			list = append(list, ";"+genName(f, `"\;`, 0).Draw(t, "comment"))
		}
		return list
	})
}

// genName draws text of letters that the form can hold, and of others.
func genName(f Form, others string, least int) *rapid.Generator[string] {
	letters := "abcXYZ019 -.{}%" + others
	switch {
	case f.Encoding == UTF16:
		letters += "äßÄ€–日本😀"
	case f.Version == REGEDIT4 || f.Encoding == UTF8BOM:
		letters += "äßÄ€–\u0081"
	}
	return rapid.StringOfN(rapid.RuneFrom([]rune(letters)), least, 12, -1)
}

func genValue(f Form) *rapid.Generator[registry.Value] {
	return rapid.Custom(func(t *rapid.T) registry.Value {
		v := registry.Value{
			Name: genName(f, "\\\"\n\r=;#[]", 0).Draw(t, "name"),
			Type: registry.Type(rapid.OneOf(rapid.Uint32Range(0, 12), rapid.Uint32()).Draw(t, "type")),
		}
		if f.Version == REGEDIT4 && isText(v.Type) && v.Type != registry.SZ {
			f.Encoding = ANSI // whatever that of the file is
		}
		switch {
		case f.Version == REGEDIT4 && isText(v.Type), rapid.Bool().Draw(t, "as text"):
			v.Data, _ = wide.Append(nil, genName(f, "\\\"\n\r\t\x00", 0).Draw(t, "text")+"\x00")
		case v.Type == registry.DWORD && rapid.Bool().Draw(t, "plain"):
			v.Data = rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "number")
		default:
			v.Data = rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "data")
		}
		return v
	})
}

var allForms = []Form{
	{}, {LF: true}, {Encoding: UTF8}, {Encoding: UTF8BOM, LF: true},
	{Version: REGEDIT4, Encoding: ANSI}, {Version: REGEDIT4, Encoding: ANSI, LF: true},
	{Version: REGEDIT4, Encoding: UTF16}, {Version: REGEDIT4, Encoding: UTF8BOM},
}

func TestWhatIsPrintedIsReadAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFile(allForms...).Draw(t, "file")
		b, err := f.Print()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if err != nil {
			t.Fatalf("%v\n%q", err, b)
		}
		if diff := cmp.Diff(f, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-printed +read):\n%s\n%q", diff, b)
		}
		again, err := got.Print()
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("printed again: %v\n%q\n%q", err, b, again)
		}
	})
}

func TestEveryByteOfANSIIsKept(t *testing.T) {
	for i := range 256 {
		if got, ok := toANSI(fromANSI([]byte{byte(i)})); !ok || !bytes.Equal(got, []byte{byte(i)}) {
			t.Errorf("byte %#x became %x, %v", i, got, ok)
		}
	}
}

func TestPrintRefusesWhatItsFormCannotHold(t *testing.T) {
	key := func(path string) File { return File{Keys: []*Key{{Path: path}}} }
	for name, f := range map[string]File{
		"an unknown version":            {Form: Form{Version: 7}},
		"an unknown encoding":           {Form: Form{Encoding: 7}},
		"a comment without a semicolon": {End: []string{"x"}},
		"a comment of two lines":        {End: []string{";x\n[y]"}},
		"a key without a name":          key(""),
		"a key that would be deleted":   key("-HKEY_LOCAL_MACHINE"),
		"a key with a line end":         key("a\nb"),
		"a key with bytes of no text":   key("a\xff"),
		"a deleted key with values":     {Keys: []*Key{{Path: "a", Deleted: true, Entries: []Entry{{}}}}},
		"ANSI that would be UTF-8":      {Form: Form{Encoding: ANSI}, Keys: []*Key{{Path: "Ã¶"}}},
		"REGEDIT4 in UTF-8 unmarked":    {Form: Form{Version: REGEDIT4, Encoding: UTF8}, Keys: []*Key{{Path: "ö"}}},
	} {
		if b, err := f.Print(); err == nil {
			t.Errorf("%s: printed %q", name, b)
		}
	}
}
