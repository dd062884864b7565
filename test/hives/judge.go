package hives

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/test/need"
)

// A Key is one key of a hive, with its values.
type Key struct {
	Names   []string // from the root down; none for the root
	Subkeys []string
	Values  []registry.Value
	// Indexed is set if there are, or were, more subkeys than fit one list, here or
	// in a key above: regshell loses its way in an index of lists.
	Indexed bool
}

// path joins the names with what the judge parts them by.
func (k Key) path(sep string) string { return sep + strings.Join(k.Names, sep) }

// Walk returns a store's root and every key below it, parents before children.
func Walk(t testing.TB, s registry.Store) []Key {
	t.Helper()
	var all []Key
	for names := [][]string{nil}; len(names) > 0; {
		k := Key{Names: names[0]}
		names = names[1:]
		path := registry.Join(k.Names...)
		var err error
		if k.Values, err = s.Values(path); err != nil {
			t.Fatal(err)
		}
		if k.Subkeys, err = s.Keys(path); err != nil {
			t.Fatal(err)
		}
		for _, sub := range k.Subkeys {
			names = append(names, append(slices.Clone(k.Names), sub))
		}
		all = append(all, k)
	}
	return all
}

// A Judge is a program that reads hives.
type Judge struct {
	Name string
	// said returns what the judge says about the hive at path, a line for every key
	// and value. It is told what is to be there, for some judges must be asked key
	// by key.
	said func(t testing.TB, path string, want []Key) []string
	// would returns the lines that the judge would say about keys. One that ends in
	// unseen stands for any line that begins so.
	would func(keys []Key, segments bool) []string
}

// unseen ends the line of a value whose data the judge cannot show.
const unseen = "\x00unseen"

// maxSegment is how many bytes of data fit one cell since version 1.4. Longer ones
// are in segments, which only hivex can read: reglookup takes them in the order of
// the file, reged puts them in wrong places, and regshell does not know them.
const maxSegment = 16344

// Judges are all of them, in an order in which the first two see everything.
var Judges = []Judge{Hivex, Reglookup, Reged, Regshell}

// Compare holds what the judge sees in the hive at path against the keys that are to
// be in it, and returns how many keys and values it spoke of.
func (j Judge) Compare(t testing.TB, path string, want []Key) (lines int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const minorVersion = 24 // where it is
	said := j.said(t, path, want)
	compare(t, j.Name, j.would(want, b[minorVersion] >= 4), said)
	return len(said)
}

// compare holds lines against each other, whatever their order.
func compare(t testing.TB, who string, would, said []string) {
	t.Helper()
	would, said = slices.Clone(would), slices.Clone(said)
	for i, w := range would {
		begin, open := strings.CutSuffix(w, unseen)
		if !open {
			continue
		}
		if at := slices.IndexFunc(said, func(s string) bool { return strings.HasPrefix(s, begin) }); at >= 0 {
			would[i], said[at] = begin, begin
		}
	}
	slices.Sort(would)
	slices.Sort(said)
	if slices.Equal(would, said) {
		return
	}
	only := func(a, b []string) (out []string) {
		for _, l := range a {
			if _, there := slices.BinarySearch(b, l); !there && len(out) < 20 {
				out = append(out, l[:min(len(l), 300)])
			}
		}
		return out
	}
	t.Errorf("%s sees another hive, %d lines for %d (-want +got, the first few):\n%s", who, len(said), len(would), cmp.Diff(only(would, said), only(said, would)))
}

// program skips the test, or fails it in CI, when a judge is missing.
func program(t testing.TB, name, debian string) {
	t.Helper()
	_, err := exec.LookPath(name)
	need.That(t, err == nil, name, "apt-get install "+debian)
}

// run runs a judge, which has to end with status 0, and returns what it printed.
func run(t testing.TB, stdin io.Reader, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = stdin
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, problems.String())
	}
	return out.String()
}

// narrow reports whether a name is in one-byte characters in a hive.
func narrow(name string) bool {
	for _, r := range name {
		if r > 0xff {
			return false
		}
	}
	return true
}

// latin1 is a name as a hive has it in one-byte characters.
func latin1(name string) string {
	var b []byte
	for _, r := range name {
		b = append(b, byte(r))
	}
	return string(b)
}

// raw is a name as the bytes that a hive has.
func raw(name string) string {
	if narrow(name) {
		return latin1(name)
	}
	v := registry.NewSZ("", name)
	return string(v.Data[:len(v.Data)-2])
}

// oneByte turns a judge's bytes into text, a character for each byte, so that
// differences can be printed.
func oneByte(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}
