package regtext

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/internal/wide"
	"github.com/portroom/portroom/test/hivex"
	"github.com/portroom/portroom/test/wine"
)

const judged = `HKEY_LOCAL_MACHINE\portroom`

// random makes a file of some hundred values of all types, parents before their
// children. Text is in the letters given, and in quoted for text that is printed in
// quotation marks. Text has its zeros at the end, numbers their length: there every
// judge has ways of its own.
func random(seed uint64, form Form, letters, quoted string) *File {
	r := rand.New(rand.NewPCG(seed, 0))
	word := func(letters string, least int) string {
		all := []rune(letters)
		s := make([]rune, least+r.IntN(12))
		for i := range s {
			s[i] = all[r.IntN(len(all))]
		}
		return string(s)
	}
	encode := func(s string) []byte { b, _ := wide.Append([]byte{}, s); return b }
	f := &File{Form: form}
	paths := []string{judged}
	f.Create(judged)
	for i := range 40 {
		path := fmt.Sprintf(`%s\%d %s`, paths[r.IntN(len(paths))], i, word(letters+"[]=-", 1))
		paths = append(paths, path)
		f.Create(path)
		for j := range r.IntN(16) {
			v := registry.Value{Name: fmt.Sprintf("%d%s", j, word(letters+`\"[]=;`, 0)), Type: registry.Type(r.IntN(13))}
			if j == 0 {
				v.Name = ""
			}
			if v.Type == 12 {
				v.Type = registry.Type(r.Uint32() | 1<<16)
			}
			switch v.Type {
			case registry.SZ:
				v.Data = encode(word(quoted+"\\\"%", 0) + "\x00")
			case registry.ExpandSZ:
				v.Data = encode(word(letters+"\\\"%\r\n", 0) + "\x00")
			case registry.MultiSZ:
				v.Data = encode(strings.Join([]string{word(letters, 1), word(letters, 1)}, "\x00") + "\x00\x00")
			case registry.DWORD:
				v.Data = binary.LittleEndian.AppendUint32(nil, r.Uint32())
			default:
				v.Data = make([]byte, r.IntN(90))
				for i := range v.Data {
					v.Data[i] = byte(r.Uint32())
				}
			}
			f.Set(path, v)
		}
	}
	return f
}

const (
	asciiLetters = "abcXYZ 019_.%"
	ansiLetters  = asciiLetters + "äßÄé€–"
	wideLetters  = ansiLetters + "日本Ωж😀"
)

// walk returns everything below the key that is judged, keys and values sorted.
func walk(t *testing.T, f *File) map[string][]registry.Value {
	t.Helper()
	s := NewStore(f)
	all := make(map[string][]registry.Value)
	for paths := []string{judged}; len(paths) > 0; {
		path := paths[0]
		paths = paths[1:]
		values, err := s.Values(path)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(values, func(a, b registry.Value) int { return strings.Compare(a.Name, b.Name) })
		all[path] = values
		keys, err := s.Keys(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			paths = append(paths, path+`\`+k)
		}
	}
	return all
}

// count is the number of values.
func count(all map[string][]registry.Value) (n int) {
	for _, values := range all {
		n += len(values)
	}
	return n
}

// write prints a file into the test's folder.
func write(t *testing.T, f *File) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.reg")
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// printed is a file's text.
func printed(t *testing.T, f *File) string {
	t.Helper()
	b, err := f.Print()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t *testing.T, path string) (*File, []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f, b
}

func TestWineReadsAndWritesTheSameFiles(t *testing.T) {
	p := wine.New(t)
	tools := map[string]struct {
		imp, exp func(t *testing.T, path string)
	}{
		"reg": {
			func(t *testing.T, path string) { p.Reg(t, "import", wine.Path(path)) },
			func(t *testing.T, path string) { p.Reg(t, "export", judged, wine.Path(path), "/y") },
		},
		"regedit": {
			func(t *testing.T, path string) { p.Must(t, "regedit", "/S", wine.Path(path)) },
			func(t *testing.T, path string) { p.Must(t, "regedit", "/E", wine.Path(path), judged) },
		},
	}
	for tool, with := range tools {
		for name, c := range map[string]struct {
			form    Form
			letters string
		}{
			"version 5":         {Form{}, wideLetters},
			"version 5 with LF": {Form{LF: true}, wideLetters},
			"REGEDIT4":          {Form{Version: REGEDIT4, Encoding: ANSI}, ansiLetters},
			"REGEDIT4 with LF":  {Form{Version: REGEDIT4, Encoding: ANSI, LF: true}, ansiLetters},
		} {
			t.Run(tool+" "+name, func(t *testing.T) {
				for seed := range uint64(3) {
					made := random(seed, c.form, c.letters, c.letters)
					with.imp(t, write(t, made))
					out := filepath.Join(t.TempDir(), "exported.reg")
					with.exp(t, out)
					got, b := parse(t, out)
					want := walk(t, made)
					if diff := cmp.Diff(want, walk(t, got), cmpopts.EquateEmpty()); diff != "" {
						t.Fatalf("seed %d (-printed +exported):\n%s", seed, diff)
					}
					t.Logf("seed %d: %d keys, %d values", seed, len(want), count(want))
					if again, err := got.Print(); err != nil || !bytes.Equal(b, again) {
						t.Errorf("seed %d: an exported file is printed otherwise, %v (-want +got):\n%s", seed, err, cmp.Diff(wide.String(b), wide.String(again)))
					}
					p.Reg(t, "delete", judged, "/f")
				}
			})
		}
	}
}

func TestWineDeletesWhatTheFileDeletes(t *testing.T) {
	p := wine.New(t)
	for _, form := range []Form{{}, {Version: REGEDIT4, Encoding: ANSI}} {
		t.Run(form.Version.String(), func(t *testing.T) {
			f := &File{Form: form}
			f.Set(judged, registry.NewDWORD("stays", 1))
			f.Set(judged, registry.NewDWORD("goes", 1))
			f.Set(judged, registry.NewSZ("", "goes"))
			f.Set(judged+`\goes\too`, registry.NewDWORD("x", 1))
			f.Delete(judged, "goes")
			f.Delete(judged, "")
			f.Delete(judged, "never was")
			f.DeleteKey(judged + `\goes`)
			f.DeleteKey(judged + `\never was`)
			p.Reg(t, "import", wine.Path(write(t, f)))
			out := filepath.Join(t.TempDir(), "exported.reg")
			p.Reg(t, "export", judged, wine.Path(out), "/y")
			got, _ := parse(t, out)
			if diff := cmp.Diff(walk(t, f), walk(t, got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-printed +exported):\n%s", diff)
			}
			p.Reg(t, "delete", judged, "/f")
		})
	}
}

func TestHivexregeditReadsAndWritesTheSameFiles(t *testing.T) {
	const prefix = `HKEY_LOCAL_MACHINE`
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			hive := filepath.Join(t.TempDir(), "hive")
			if err := os.WriteFile(hive, hivex.Blank(3), 0o600); err != nil {
				t.Fatal(err)
			}
			// It reads UTF-8 only, and text in quotation marks only where it is ASCII.
			made := random(seed, Form{Encoding: UTF8, LF: seed%2 == 0}, asciiLetters+"äßé", asciiLetters)
			made.Delete(judged, "never was")
			hivex.Merge(t, hive, prefix, printed(t, made))
			exported := hivex.Export(t, hive, prefix)
			got, err := Parse([]byte(exported))
			if err != nil {
				t.Fatal(err)
			}
			want := walk(t, made)
			if diff := cmp.Diff(want, walk(t, got), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-printed +exported):\n%s", diff)
			}
			t.Logf("%d keys, %d values; exported as %v", len(want), count(want), got.Encoding)

			all := new(File)
			all.Form = made.Form
			all.DeleteKey(judged)
			hivex.Merge(t, hive, prefix, printed(t, all))
			got, err = Parse([]byte(hivex.Export(t, hive, prefix)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewStore(got).Keys(judged); err == nil {
				t.Error("the key that the file deletes is there")
			}
		})
	}
}
