package trace

import "testing"

// RestNothing lets rows make room at once.
func RestNothing(t *testing.T) {
	old := rest
	rest = 0
	t.Cleanup(func() { rest = old })
}
