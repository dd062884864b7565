package flight

import (
	"fmt"
	"time"
)

// pace decides when the next sample is taken and which are thorough, by what the
// last ones took.
type pace struct {
	interval time.Duration
	share    float64

	plain, extra time.Duration // what a sample takes, and what a thorough one takes more; smoothed
	last         time.Time     // of the last thorough sample
	told         time.Duration // the interval that was last told
}

// Of the share that the recorder may take, samples get so much and what makes some of
// them thorough so much. The rest is for what was not foreseen.
const (
	forPlain    = 0.55
	forThorough = 0.3
)

// next is how long after the beginning of a sample the next one begins.
func (p *pace) next() time.Duration {
	return max(p.interval, p.spread(p.plain, forPlain))
}

// spread is over how long a cost has to be spread to remain within a part of the share.
func (p *pace) spread(cost time.Duration, part float64) time.Duration {
	if p.share <= 0 {
		return 0
	}
	return time.Duration(float64(cost) / (p.share * part))
}

// thorough reports whether the sample that begins now is to be thorough.
func (p *pace) thorough(now time.Time) bool {
	since := now.Sub(p.last)
	return p.last.IsZero() || since < 0 || since >= max(ThoroughEvery, p.spread(p.extra, forThorough))
}

// took learns from a sample.
func (p *pace) took(cost time.Duration, thorough bool, at time.Time) {
	if !thorough {
		p.plain = smooth(p.plain, cost)
		return
	}
	p.last = at
	if p.plain == 0 {
		return // the first has to set up what all the others use
	}
	p.extra = smooth(p.extra, max(0, cost-p.plain))
}

// smooth gives the last sample a quarter of the weight.
func smooth(old, now time.Duration) time.Duration {
	if old == 0 {
		return now
	}
	return (3*old + now) / 4
}

// news says when samples have become rarer or more frequent by half.
func (p *pace) news(took time.Duration) string {
	next := p.next()
	if p.told == 0 {
		p.told = p.interval
	}
	if next < p.told*3/2 && next > p.told*2/3 {
		return ""
	}
	p.told = next
	if next == p.interval {
		return fmt.Sprintf("a sample every %v again", p.interval)
	}
	return fmt.Sprintf("a sample every %v instead of %v: each takes %v of processor time, and %.3g%% of one processor is what the recorder may take",
		next.Round(100*time.Millisecond), p.interval, took.Round(100*time.Microsecond), p.share*100)
}
