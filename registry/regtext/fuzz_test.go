package regtext

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portroom/portroom/registry"
)

func seed(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.reg")
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(sample))
}

// FuzzParse asks for a file or an error, and that the store can be walked.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		s := NewStore(file)
		for paths := []string{""}; len(paths) > 0; {
			path := paths[len(paths)-1]
			paths = paths[:len(paths)-1]
			keys, err := s.Keys(path)
			if err != nil {
				t.Fatal(err)
			}
			values, err := s.Values(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if got, err := s.Get(path, v.Name); err != nil || !bytes.Equal(got.Data, v.Data) {
					t.Fatalf("get %q of %q: %v", v.Name, path, err)
				}
			}
			for _, k := range keys {
				paths = append(paths, registry.Join(path, k))
			}
		}
	})
}

// FuzzPrint asks that what was read can be printed and is then read as it was.
func FuzzPrint(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		printed, err := file.Print()
		if file.Version == Version5 && file.Encoding == ANSI && err != nil {
			return // laid out anew it would be taken for UTF-8
		}
		if err != nil {
			t.Fatalf("%v\n%q", err, b)
		}
		again, err := Parse(printed)
		if err != nil {
			t.Fatalf("%v\n%q", err, printed)
		}
		if file.Encoding == ANSI && ascii(string(printed)) {
			again.Encoding = ANSI // nothing is left that would tell
		}
		if diff := cmp.Diff(file, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-read +printed):\n%s", diff)
		}
	})
}
