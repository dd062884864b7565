package hive

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/registrytest"
)

// empty makes a hive in memory.
func empty(t testing.TB, minor int) *Hive {
	t.Helper()
	h, err := New(Options{Minor: minor})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// checked asks that a hive is in order, as it is and read anew, and returns it anew.
func checked(t testing.TB, h *Hive) *Hive {
	t.Helper()
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(append([]byte(nil), h.Bytes()...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Check(); err != nil {
		t.Fatal(err)
	}
	if err := again.Unclean(); err != nil {
		t.Fatal(err)
	}
	return again
}

func TestAHiveBehavesAsARegistry(t *testing.T) {
	for minor := minMinor; minor <= maxMinor; minor++ {
		t.Run(fmt.Sprintf("version 1.%d in a file", minor), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "SYSTEM")
			f, err := Create(path, Options{Minor: minor})
			if err != nil {
				t.Fatal(err)
			}
			registrytest.Run(t, f, registrytest.Options{
				Reopen: func(t *testing.T, s registry.Store) registry.Store {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					again, err := Open(path, Options{})
					if err != nil {
						t.Fatal(err)
					}
					if err := again.Check(); err != nil {
						t.Fatal(err)
					}
					if again.Version() != minor || again.Unclean() != nil {
						t.Errorf("version 1.%d, unclean: %v", again.Version(), again.Unclean())
					}
					return again
				},
			})
		})
		t.Run(fmt.Sprintf("version 1.%d in memory", minor), func(t *testing.T) {
			registrytest.Run(t, empty(t, minor), registrytest.Options{
				Reopen: func(t *testing.T, s registry.Store) registry.Store { return checked(t, s.(*Hive)) },
			})
		})
	}
}
