package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refusing cannot rename, as a process that was cut off before it.
type refusing struct{ disk }

var errCut = errors.New("cut off")

func (refusing) Rename(string, string) error { return errCut }
func (refusing) Remove(string) error         { return errCut }

func TestWhatIsLeftOfAReplaceThatWasCutOffIsRemoved(t *testing.T) {
	path, seen := file(t, "old")
	others := []string{".other.portroom-1.new", ".file.portroom-1", "file.portroom-1.new"}
	dir := filepath.Dir(path)
	for _, o := range others {
		if err := os.WriteFile(filepath.Join(dir, o), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := ReplaceBy(refusing{}, path, []byte("new"), seen); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 3+len(others) {
		t.Fatalf("%v, %v", list, err)
	}
	if err := Clean(disk{}, path); err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		if err := os.Remove(filepath.Join(dir, o)); err != nil {
			t.Error(err)
		}
	}
	holds(t, path, "old")
}

func TestANameOfTheGreatestLengthIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 255))
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(path, []byte("new"), stat(t, path)); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new")
}
