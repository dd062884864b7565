package load

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// ForTest makes a namespace that goes away with the test, if the test has not
// closed it before.
func ForTest(t testing.TB) *Netns {
	t.Helper()
	need.Root(t)
	n, err := NewNetns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(names, n.Name)); os.IsNotExist(err) {
			return
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}
