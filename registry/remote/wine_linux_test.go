package remote

import (
	"testing"

	"github.com/portroom/portroom/test/wine"
)

// Wine connects to a registry by name only where the name is the host's own: what
// goes over the network is not seen here.
func TestUnderWine(t *testing.T) {
	wine.New(t).Passes(t,
		"TestTheRegistryOfAHostByItsNameBehavesAsEveryOther",
		"TestAHostThatIsNotThereCannotBeReached",
		"TestWindowsConnectsAsTheUserItRunsFor",
	)
}
