package pace

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestACheapSampleIsTakenAtTheInterval(t *testing.T) {
	p := Pace{Interval: time.Second, Share: 0.15}
	p.Took(10*time.Millisecond, false, time.Unix(1, 0))
	if got := p.Next(); got != time.Second {
		t.Errorf("the next is after %s", got)
	}
}

// Whatever samples take, all of them together take no more than the share.
func TestTheShareIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := time.Duration(rapid.IntRange(1, 5000).Draw(t, "plain ms")) * time.Millisecond
		extra := time.Duration(rapid.IntRange(0, 5000).Draw(t, "extra ms")) * time.Millisecond
		p := Pace{Interval: time.Second, Share: 0.15, Every: 5 * time.Second}
		now := time.Unix(0, 0)
		p.Took(plain, false, now)
		now = now.Add(p.Next())
		p.Took(plain+extra, true, now)
		now = now.Add(p.Next())
		begun, spent := now, time.Duration(0)
		for range 500 {
			cost, thorough := plain, p.Thorough(now)
			if thorough {
				cost += extra
			}
			spent += cost
			p.Took(cost, thorough, now)
			now = now.Add(p.Next())
		}
		// One thorough sample may fall on the edge.
		if share := float64(spent-extra) / float64(now.Sub(begun)); share > 0.15+1e-6 {
			t.Fatalf("%.3f of the time", share)
		}
	})
}
