package finding

import (
	"fmt"
	"time"
)

// wrap49 is when a 32-bit counter of milliseconds overflows: 49.7 days.
const wrap49 = (1 << 32) * time.Millisecond

func after49Days(f *Facts) *Finding {
	if f.Uptime < wrap49-2*24*time.Hour {
		return nil
	}
	out := &Finding{
		Severity: Warning,
		Title:    "up for more than 49.7 days: reports say that on some versions of macOS TIME_WAIT then never ends",
		Evidence: []string{fmt.Sprintf("up for %d days, %d in TIME_WAIT; which versions have it is not known", days(f.Uptime), f.TimeWaits)},
		Remedies: []Remedy{{ID: Restart, Text: "restart: nothing else is known to help"}},
	}
	if f.Uptime < wrap49 {
		out.Title = fmt.Sprintf("in %d days macOS has been up for 49.7: reports say that TIME_WAIT may never end then", days(wrap49-f.Uptime)+1)
	}
	return out
}
