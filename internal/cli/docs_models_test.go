package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portroom/portroom/model"
)

const modelsPage = "../../docs/models.md"

// rewrite reports whether the tests are to write what they would compare with.
func rewrite() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// docs/models.md shows every profile as it is, with the source of each number.
func TestTheModelsPageShowsEveryProfile(t *testing.T) {
	page, err := os.ReadFile(modelsPage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, part := range []struct{ name, want string }{{"systems", systemRows(t)}, {"sources", sourceRows(t)}} {
		begin, end := "<!-- "+part.name+" -->\n", "<!-- end of "+part.name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("the page has no %s … %s", strings.TrimSpace(begin), end)
		}
		switch {
		case got == part.want:
		case rewrite():
			text = before + begin + part.want + end + after
		default:
			t.Errorf("the %s of docs/models.md are not those of the model: go test ./internal/cli -run ModelsPage -update writes them", part.name)
		}
	}
	if rewrite() {
		if err := os.WriteFile(modelsPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func systemRows(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| system | `--system` | ports | hold, s | connects/s | a pool for each | search |\n|---|---|---|---|---|---|---|\n")
	for _, p := range model.Profiles() {
		pool := defaults(t, p)
		j := jsonProfile(p, pool)
		doubt := ""
		if slices.ContainsFunc(pool.Facts, func(f model.Fact) bool { return f.Uncertain != "" }) {
			doubt = " ?"
		}
		fmt.Fprintf(&b, "| %s%s | `%s` | %s | %s | %s | %s | %s |\n", p.Title, doubt, p.Name,
			dash(j.Capacity), dash(j.Hold), dash(j.Ceiling), j.Scope, j.Order)
	}
	return b.String()
}

func sourceRows(t *testing.T) string {
	var b strings.Builder
	for _, p := range model.Profiles() {
		fmt.Fprintf(&b, "**%s**\n\n", p.Title)
		for _, f := range defaults(t, p).Facts {
			fmt.Fprintf(&b, "- %s: %s [%s]", f.What, f.Value, f.Source)
			if f.Uncertain != "" {
				b.WriteString(" UNCERTAIN: " + f.Uncertain)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func defaults(t *testing.T, p *model.Profile) model.Pool {
	t.Helper()
	pool, err := p.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// The pictures of the page are what the commands above them draw, to the byte.
func TestThePicturesAreThoseOfTheCommands(t *testing.T) {
	page, err := os.ReadFile(modelsPage)
	if err != nil {
		t.Fatal(err)
	}
	drawn := 0
	for line := range strings.Lines(string(page)) {
		line, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    portroom simulate ")
		if !ok {
			continue
		}
		args := append([]string{"simulate"}, shellWords(line)...)
		i := slices.Index(args, "--svg")
		if i < 0 {
			continue
		}
		kept := filepath.Join("../..", args[i+1])
		args[i+1] = filepath.Join(t.TempDir(), "picture.svg")
		if rewrite() {
			args[i+1] = kept
		}
		var out, errs bytes.Buffer
		if status := (&app{stdout: &out, stderr: &errs}).run(t.Context(), args); status != exitOK {
			t.Fatalf("%s: status %d: %s", line, status, errs.String())
		}
		got, err := os.ReadFile(args[i+1])
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what %q draws", kept, line)
		}
		drawn++
	}
	if drawn != 3 {
		t.Errorf("the page has %d pictures, want 3", drawn)
	}
}

// shellWords splits a line at blanks outside of single quotes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
