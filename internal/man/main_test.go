package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portroom/portroom/internal/cli"
)

func TestEveryCommandHasAPageWithExamples(t *testing.T) {
	dir := t.TempDir()
	if err := generate(filepath.Join(dir, "man")); err != nil {
		t.Fatal(err)
	}
	pages := []string{"portroom"}
	for _, c := range cli.Command().Commands() {
		if c.IsAvailableCommand() {
			pages = append(pages, "portroom-"+c.Name())
		}
	}
	if len(pages) < 7 {
		t.Fatalf("only %d commands", len(pages))
	}
	for _, p := range pages {
		text, err := os.ReadFile(filepath.Join(dir, "man", p+".8"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range []string{".SH NAME", ".SH EXAMPLE", "EXIT STATUS"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s.8 has no %s", p, want)
			}
		}
	}
}
