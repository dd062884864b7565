package sysctld

import (
	"fmt"
	"slices"
	"strings"
)

// A Pair is a parameter and its value; Key with dots, as sysctl(8) writes it.
type Pair struct{ Key, Value string }

// Edit returns the text of a file with these parameters assigned at its end, in
// their order, and no longer elsewhere in it. All other lines stay as they are;
// head begins the file if it was empty.
func Edit(text, head string, pairs []Pair) string {
	var b strings.Builder
	if text == "" {
		b.WriteString(head)
	}
	for l := range strings.Lines(text) {
		ours := func(a Assignment) bool {
			return slices.ContainsFunc(pairs, func(p Pair) bool { return normal(p.Key) == a.Key })
		}
		if slices.ContainsFunc(Parse("", "", l), ours) {
			continue
		}
		b.WriteString(l)
		if !strings.HasSuffix(l, "\n") {
			b.WriteByte('\n')
		}
	}
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s = %s\n", p.Key, p.Value)
	}
	return b.String()
}
