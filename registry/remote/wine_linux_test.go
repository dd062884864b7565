package remote

import (
	"strings"
	"testing"

	"github.com/portroom/portroom/test/wine"
)

// Wine connects to a registry by name only where the name is the host's own: what
// goes over the network is not seen here.
func TestUnderWine(t *testing.T) {
	p := wine.New(t)
	r := p.RunWith(t, wine.Input{Env: []string{"CI=true"}}, wine.BuildTest(t, "."), "-test.v")
	t.Logf("%s%s", r.Stdout, r.Stderr)
	if r.Exit != 0 || strings.Contains(r.Stdout, "--- SKIP") {
		t.Errorf("status %d", r.Exit)
	}
	for _, test := range []string{
		"TestTheRegistryOfAHostByItsNameBehavesAsEveryOther",
		"TestAHostThatIsNotThereCannotBeReached",
		"TestWindowsConnectsAsTheUserItRunsFor",
	} {
		if !strings.Contains(r.Stdout, "--- PASS: "+test) {
			t.Errorf("%s did not pass", test)
		}
	}
}
