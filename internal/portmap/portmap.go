// Package portmap draws a port range as a map, one glyph or square for each
// port or for a few consecutive ones: [Text] for terminals, [PNG] for
// documents and tickets.
package portmap

import (
	"fmt"
	"strconv"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

const numUses = pool.NumUses

// names are the uses as legends spell them, nine characters at most.
var names = [numUses]string{
	pool.Free:        "free",
	pool.InTimeWait:  "TIME_WAIT",
	pool.Connected:   "connected",
	pool.UseBound:    "bound",
	pool.UseListen:   "listening",
	pool.UseReserved: "reserved",
}

// tally is how many ports there are of each use.
type tally [numUses]int

// count returns the tally of the n ports from first on.
func count(m *pool.Map, first, n int) tally {
	var t tally
	for _, u := range m[first : first+n] {
		t[u]++
	}
	return t
}

func (t *tally) total() int {
	n := 0
	for _, c := range t {
		n += c
	}
	return n
}

// foremost returns what most of the ports that are not free are used for; of
// equal parts the one that is harder to get back, and Free when all are free.
func (t *tally) foremost() pool.Use {
	u := pool.Free
	for v := pool.InTimeWait; v <= pool.UseReserved; v++ {
		if t[v] > 0 && (u == pool.Free || t[v] >= t[u]) {
			u = v
		}
	}
	return u
}

func check(r port.Range) error {
	if r.First > r.Last {
		return fmt.Errorf("draw port map: range %d-%d is empty: the first port is above the last", r.First, r.Last)
	}
	return nil
}

// thousands writes a count of ports, "64,512", so that it is not taken for a
// port number.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// share writes n of total in percent. Neither a few ports nor all but a few
// are rounded away.
func share(n, total int) string {
	switch {
	case n > 0 && n*2000 < total:
		return "<0.1%"
	case n < total && (total-n)*2000 <= total:
		return ">99.9%"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(total))
}
