package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTheFirstLineOfAFileIsThePassword(t *testing.T) {
	for text, want := range map[string]string{
		"geheim":                  "geheim",
		"geheim\n":                "geheim",
		"geheim\r\n":              "geheim",
		" with blanks \nmore":     " with blanks ",
		"Größe\n":                 "Größe",
		"":                        "",
		"\nsecond":                "",
		"\xff\xfeg\x00":           "",
		strings.Repeat("x", 5000): "",
	} {
		got, err := FromFile(write(t, text, 0o600))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "second") {
			t.Errorf("the error repeats the file: %v", err)
		}
	}
}

func TestAFileThatIsNotThereIsAnError(t *testing.T) {
	if _, err := FromFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestTheFileComesBeforeTheEnvironment(t *testing.T) {
	t.Setenv(Variable, "from the environment")
	if got, err := Password(t.Context(), write(t, "from the file", 0o600), ""); got != "from the file" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Password(t.Context(), "", ""); got != "from the environment" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
