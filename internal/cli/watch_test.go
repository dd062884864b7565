package cli

import (
	"io"
	"testing"
	"time"

	"github.com/portroom/portroom/pool"
)

func TestACommandIsDueAgainAfterTheQuietPeriod(t *testing.T) {
	now := time.Unix(0, 0)
	h := newHook("true", time.Minute, io.Discard)
	h.now = func() time.Time { return now }
	a, b := place{1, pool.Key{Ifindex: 1}}, place{2, pool.Key{Ifindex: 1}}
	for _, step := range []struct {
		after time.Duration
		pool  place
		due   bool
	}{
		{0, a, true},
		{0, b, true},
		{30 * time.Second, a, false},
		{29 * time.Second, a, false},
		{time.Second, a, true},
		{59 * time.Second, a, false},
		{0, b, true},
	} {
		now = now.Add(step.after)
		if got := h.due(step.pool); got != step.due {
			t.Errorf("at %s the command is due for %v: %t, want %t", now.Sub(time.Unix(0, 0)), step.pool, got, step.due)
		}
	}
	if len(h.last) != 2 {
		t.Errorf("%d pools are remembered, want 2", len(h.last))
	}
}
