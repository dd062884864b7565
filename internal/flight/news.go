package flight

import (
	"fmt"
	"time"
)

// news remembers which interval was last told.
type news struct{ told time.Duration }

// of says when samples have become rarer or more frequent by half.
func (n *news) of(next, interval, took time.Duration, share float64) string {
	if n.told == 0 {
		n.told = interval
	}
	if next < n.told*3/2 && next > n.told*2/3 {
		return ""
	}
	n.told = next
	if next == interval {
		return fmt.Sprintf("a sample every %v again", interval)
	}
	return fmt.Sprintf("a sample every %v instead of %v: each takes %v of processor time, and %.3g%% of one processor is what the recorder may take",
		next.Round(100*time.Millisecond), interval, took.Round(100*time.Microsecond), share*100)
}
