package portmap

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func TestTextGolden(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    *pool.Map
		r    port.Range
		opt  Options
	}{
		{"idle", idleMap(), linuxRange, Options{}},
		{"busy", busyMap(), linuxRange, Options{}},
		{"busy-ascii", busyMap(), linuxRange, Options{ASCII: true}},
		{"busy-colour", busyMap(), linuxRange, Options{Color: true}},
		{"busy-30-columns", busyMap(), linuxRange, Options{Width: 30}},
		{"busy-300-columns", busyMap(), linuxRange, Options{Width: 300}},
		{"whole", busyMap(), wholeRange, Options{Width: 120}},
		{"tight", tightMap(), tightRange, Options{}},
		{"tight-30-columns-ascii-colour", tightMap(), tightRange, Options{Width: 30, ASCII: true, Color: true}},
		{"odd", oddMap(), oddRange, Options{}},
		{"one-port", new(pool.Map), port.Range{First: 7, Last: 7}, Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := text(t, tt.m, tt.r, tt.opt)
			file := filepath.Join("testdata", tt.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// A checkout with autocrlf must not fail the test.
			if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
				t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
			}
		})
	}
}

func TestTextRefusesAnEmptyRange(t *testing.T) {
	var out bytes.Buffer
	if err := Text(&out, new(pool.Map), port.Range{First: 2, Last: 1}, Options{}); err == nil {
		t.Errorf("Text drew range 2-1:\n%s", &out)
	}
}

func TestTextReturnsTheWritersError(t *testing.T) {
	if err := Text(fullDisk{}, new(pool.Map), tightRange, Options{}); !errors.Is(err, errFull) {
		t.Errorf("err = %v, want %v", err, errFull)
	}
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// The laws of a text map, whatever is drawn: it fits its width and leaves no
// blanks at the end of a line, its rows name their first port and cover the
// range once, its counts are those of the map, and colour adds nothing but
// colour.
func TestTextLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, r := drawMap(t)
		opt := Options{Width: rapid.IntRange(30, 300).Draw(t, "width"), ASCII: rapid.Bool().Draw(t, "ascii")}
		plain := text(t, m, r, opt)
		for line := range strings.Lines(plain) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > opt.Width {
				t.Errorf("%d columns, more than %d: %q", n, opt.Width, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("blank at the end of %q", line)
			}
		}

		opt.Color = true
		coloured := text(t, m, r, opt)
		if diff := cmp.Diff(plain, sgr.ReplaceAllString(coloured, "")); diff != "" {
			t.Errorf("colour changes the text (-plain +colour):\n%s", diff)
		}
		for line := range strings.Lines(coloured) {
			if all := sgr.FindAllString(line, -1); len(all) > 0 && all[len(all)-1] != "\x1b[m" {
				t.Errorf("line ends in colour: %q", line)
			}
		}

		parts := strings.SplitN(plain, "\n\n", 3)
		checkRows(t, parts[0], r)
		checkCounts(t, parts[1], m, r)
	})
}

var (
	sgr   = regexp.MustCompile("\x1b\\[[0-9;]*m")
	entry = regexp.MustCompile(`(\S+) +([0-9,]+) +[<>]?[0-9.]+%`)
)

func checkRows(t *rapid.T, rows string, r port.Range) {
	lines := strings.Split(rows, "\n")[1:] // after the ruler
	if len(lines) > maxRows {
		t.Errorf("%d rows, more than %d", len(lines), maxRows)
	}
	cells, cell := 0, 0
	for i, line := range lines {
		label, glyphs, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		first, err := strconv.Atoi(label)
		if err != nil {
			t.Fatalf("row %q: %v", line, err)
		}
		if i == 1 {
			cell = (first - int(r.First)) / cells
		}
		if want := int(r.First) + cells*cell; first != want {
			t.Errorf("row %q should begin with port %d", line, want)
		}
		cells += utf8.RuneCountInString(glyphs)
	}
	if cell == 0 { // a single row says nothing of the cell, which is one port then
		cell = 1
	}
	if cells != (r.Len()+cell-1)/cell {
		t.Errorf("%d glyphs of %d ports do not cover %d ports once", cells, cell, r.Len())
	}
}

func checkCounts(t *rapid.T, legend string, m *pool.Map, r port.Range) {
	var counts [numUses]int
	for p := int(r.First); p <= int(r.Last); p++ {
		counts[m[p]]++
	}
	want := make(map[string]string)
	for u, name := range names {
		want[name] = thousands(counts[u])
	}
	got, sum := make(map[string]string), 0
	for _, e := range entry.FindAllStringSubmatch(legend, -1) {
		got[e[1]] = e[2]
		n, err := strconv.Atoi(strings.ReplaceAll(e[2], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("legend (-want +got):\n%s", diff)
	}
	if sum != r.Len() {
		t.Errorf("the legend's counts add up to %d, the range has %d ports", sum, r.Len())
	}
}

// drawMap draws a range and a map of runs of one use and of mixtures.
func drawMap(t *rapid.T) (*pool.Map, port.Range) {
	a, b := rapid.Uint16().Draw(t, "port"), rapid.Uint16().Draw(t, "port")
	r := port.Range{First: min(a, b), Last: max(a, b)}
	if rapid.Bool().Draw(t, "small") {
		r.Last = uint16(min(int(r.First)+rapid.IntRange(0, 400).Draw(t, "more"), 65535))
	}
	m, l := new(pool.Map), lcg(rapid.Uint64().Draw(t, "seed"))
	for p := 0; p < len(m); {
		uses := l.below(numUses) + 1
		for n := l.below(3000); n >= 0 && p < len(m); n-- {
			m[p] = pool.Use((l.below(uses) + uses) % numUses)
			p++
		}
	}
	return m, r
}

func text(t fataler, m *pool.Map, r port.Range, opt Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Text(&out, m, r, opt); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
