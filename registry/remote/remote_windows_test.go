package remote

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/registrytest"
)

// own opens this host's registry by its name, which goes through the same calls
// as that of another, but not over the network.
func own(t *testing.T) registry.Store {
	t.Helper()
	s, err := Open(t.Context(), os.Getenv("COMPUTERNAME"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheRegistryOfAHostByItsNameBehavesAsEveryOther(t *testing.T) {
	base := fmt.Sprintf(`Software\portroom-test-%d`, os.Getpid())
	registrytest.Run(t, own(t), registrytest.Options{
		Base: base,
		Reopen: func(t *testing.T, s registry.Store) registry.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return own(t)
		},
	})
	s := own(t)
	defer s.Close()
	if err := s.DeleteKey(base); err != nil {
		t.Error(err)
	}
}

func TestAHostThatIsNotThereCannotBeReached(t *testing.T) {
	if s, err := Open(t.Context(), "host.invalid", Options{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v, %v", s, err)
	}
}

func TestWindowsConnectsAsTheUserItRunsFor(t *testing.T) {
	if s, err := Open(t.Context(), "host.invalid", Options{User: "x", Password: "geheim"}); err == nil {
		t.Errorf("%v", s)
	}
}
