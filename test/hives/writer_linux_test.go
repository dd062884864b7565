package hives

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/portroom/portroom/registry/hive"
	"github.com/portroom/portroom/test/hivex"
	"github.com/portroom/portroom/test/load"
)

var seedFlag = flag.Uint64("seed", 0, "repeat the operations of this `seed`; 0 draws one")

func seed(t *testing.T) uint64 {
	t.Helper()
	s := *seedFlag
	if s == 0 {
		s = rand.Uint64N(1<<32) + 1
	}
	t.Logf("to repeat this: -seed %d", s)
	return s
}

// What our writer writes is what every judge reads, after each batch of changes.
func TestTheJudgesSeeWhatOurWriterWrites(t *testing.T) {
	seed, total := seed(t), 0
	for _, minor := range []uint32{3, 5} {
		for _, all := range []bool{false, true} {
			name := fmt.Sprintf("version 1.%d, names in one-byte characters", minor)
			if all {
				name = fmt.Sprintf("version 1.%d, all names", minor)
			}
			t.Run(name, func(t *testing.T) {
				m := newModel(newSource(seed, minor, all))
				path := filepath.Join(t.TempDir(), "hive")
				f := begin(t, path, minor, all)
				lines := 0
				for m.ops < 1250 {
					m.batch(t, f)
					if err := f.Flush(); err != nil {
						t.Fatal(err)
					}
					lines += m.compare(t, path)
					if t.Failed() {
						t.Fatalf("after %d operations", m.ops)
					}
					if m.IntN(2) == 0 { // or go on with what is in memory
						f = reopen(t, path, f)
					}
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d operations and %d more of the same kind, %d batches, %d keys and a file of %d bytes at the end; the judges spoke of %d keys and values", m.ops, m.many, m.batches, len(m.keys), info.Size(), lines)
				total += m.ops
			})
		}
	}
	t.Logf("%d operations in all", total)
}

// begin starts from a hive of our own making, or of the blank one.
func begin(t *testing.T, path string, minor uint32, own bool) *hive.File {
	t.Helper()
	if own {
		f, err := hive.Create(path, hive.Options{Minor: int(minor)})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if err := os.WriteFile(path, hivex.Blank(minor), 0o644); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func open(t *testing.T, path string) *hive.File {
	t.Helper()
	f, err := hive.Open(path, hive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func reopen(t *testing.T, path string, f *hive.File) *hive.File {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

// batch does some fifty things. The third one makes more keys below one than fit a
// list of subkeys, which later ones delete again, and some make many values.
func (m *model) batch(t *testing.T, f *hive.File) {
	t.Helper()
	m.batches++
	for range 30 + m.IntN(40) {
		m.do(t, f)
	}
	switch {
	case m.batches == 3:
		m.crowd = m.create(t, f, m.root, m.keyName())
		for range 1200 {
			m.create(t, f, m.crowd, m.keyName())
		}
		m.many += 1201
	case m.crowd != nil && m.batches%3 == 0:
		for range min(len(m.crowd.subs), 300) {
			m.remove(t, f, m.crowd.subs[m.IntN(len(m.crowd.subs))])
			m.many++
		}
	case m.IntN(8) == 0:
		n := m.key()
		for range 100 {
			m.set(t, f, n, m.value(m.valueName()))
		}
		m.many += 100
	}
}

// compare holds the file against the model, by our reader and by every judge.
func (m *model) compare(t *testing.T, path string) (lines int) {
	t.Helper()
	f := open(t, path)
	defer f.Close()
	want := m.all()
	Equal(t, f, want)
	if err := f.Check(); err != nil {
		t.Errorf("our own check: %v", err)
	}
	// None of the judges looks names up as Windows does, by halving.
	for _, k := range Walk(t, f) {
		if !slices.IsSortedFunc(k.Subkeys, capitals) {
			t.Errorf("the keys below %q are not sorted: %q", k.Names, k.Subkeys)
		}
	}
	for _, j := range m.judges() {
		lines += j.Compare(t, path, want)
	}
	return lines
}

// The hive that the bench measures with is one.
func TestTheJudgesSeeTheHiveOfTheBench(t *testing.T) {
	path := filepath.Join(t.TempDir(), "SYSTEM")
	if err := load.SystemHive(path, 3<<20); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	defer f.Close()
	want := Walk(t, f)
	for _, j := range Judges[:2] {
		t.Logf("%s says %d lines", j.Name, j.Compare(t, path, want))
	}
}

// capitals orders names as Windows does: by the UTF-16 of their capitals.
func capitals(a, b string) int {
	units := func(s string) []uint16 { return utf16.Encode([]rune(strings.ToUpper(s))) }
	return slices.Compare(units(a), units(b))
}
