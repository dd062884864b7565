// Package pace decides when what measures again and again measures next, so that it
// remains within a share of one processor however much there is to measure.
package pace

import "time"

// A Pace learns from what each sample took. Some samples are thorough: they find out
// more, and take longer.
type Pace struct {
	Interval time.Duration // samples are not more frequent than this
	Share    float64       // of one processor, 0 to 1; 0 for as much as it takes
	Every    time.Duration // thorough samples are not more frequent than this

	plain, extra time.Duration // what a sample takes, and what a thorough one takes more; smoothed
	last         time.Time     // of the last thorough sample
}

// Of the share, samples get so much and what makes some of them thorough so much. The
// rest is for what was not foreseen.
const (
	forPlain    = 0.55
	forThorough = 0.3
)

// Next is how long after the beginning of a sample the next one begins.
func (p *Pace) Next() time.Duration {
	return max(p.Interval, p.spread(p.plain, forPlain))
}

// spread is over how long a cost has to be spread to remain within a part of the share.
func (p *Pace) spread(cost time.Duration, part float64) time.Duration {
	if p.Share <= 0 {
		return 0
	}
	return time.Duration(float64(cost) / (p.Share * part))
}

// Thorough reports whether the sample that begins now is to be thorough.
func (p *Pace) Thorough(now time.Time) bool {
	since := now.Sub(p.last)
	return p.last.IsZero() || since < 0 || since >= max(p.Every, p.spread(p.extra, forThorough))
}

// Took learns from a sample that began at a time and took so much processor time.
func (p *Pace) Took(cost time.Duration, thorough bool, at time.Time) {
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
