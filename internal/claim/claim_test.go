package claim

import (
	"testing"

	"github.com/portroom/portroom/port"
)

func one(p uint16) port.Range { return port.Range{First: p, Last: p} }

func TestClaimsAreNamedOnceAndInOrder(t *testing.T) {
	all := Claims{{Listening, one(9000), "b[2]"}, {Listening, one(80), "a[1]"}, {Listening, one(9000), "b[2]"}, {NodePort, port.Range{First: 30000, Last: 32767}, "NodePorts"}}
	var set port.Set
	set.AddRange(port.Range{First: 9000, Last: 30000})
	if got, want := all.In(&set).String(), "9000 (b[2]), 30000-32767 (NodePorts)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s := all.Set(Listening); s.String() != "80,9000" {
		t.Errorf("listening: %s", s.String())
	}
}
