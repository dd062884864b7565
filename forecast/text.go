package forecast

import (
	"fmt"
	"math"
	"time"
)

// String says it in one line: "full in 4 min 10 s at the present rate (3 min 40 s –
// 5 min)", or "never: 310/s is under the ceiling of 470/s".
func (f Forecast) String() string {
	switch {
	case !f.Full.Never && f.Full.In == 0:
		return "full now"
	case f.Full.Never && f.Rate == 0:
		return "never at the present rate: no port is taken for longer than a moment"
	case f.Full.Never && f.Earliest.Never:
		return fmt.Sprintf("never: %s is under the ceiling of %s", perSecond(f.Rate), perSecond(f.Ceiling))
	case f.Full.Never:
		return fmt.Sprintf("never, but not by much: %s is near the ceiling of %s", perSecond(f.Rate), perSecond(f.Ceiling))
	}
	bounds := span(f.Earliest.In) + " – "
	if f.Latest.Never {
		bounds += "never"
	} else {
		bounds += span(f.Latest.In)
	}
	s := fmt.Sprintf("full in %s at the present rate (%s)", span(f.Full.In), bounds)
	if f.Rough {
		s += ", from few connections"
	}
	return s
}

// perSecond writes a rate as people do.
func perSecond(r float64) string {
	if r < 10 {
		return fmt.Sprintf("%.2g/s", r)
	}
	return fmt.Sprintf("%.0f/s", math.Floor(r)) // a ceiling of 470.5 is not 471
}

// span writes a length of time to two units, no finer than it can be known.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		if s%60 == 0 {
			return fmt.Sprintf("%d min", s/60)
		}
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	m := int(d.Round(time.Minute).Minutes())
	h := m / 60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d days", (h+12)/24)
	case m%60 == 0:
		return fmt.Sprintf("%d h", h)
	}
	return fmt.Sprintf("%d h %d min", h, m%60)
}
