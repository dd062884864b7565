package portmap

import (
	"testing"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

var (
	linuxRange = port.Range{First: 32768, Last: 60999}
	tightRange = port.Range{First: 50000, Last: 50009}
	oddRange   = port.Range{First: 1025, Last: 1325}
	wholeRange = port.Range{First: 1024, Last: 65535}
)

// lcg is Knuth's MMIX generator: the maps must not change with math/rand.
type lcg uint64

func (l *lcg) below(n int) int {
	*l = *l*6364136223846793005 + 1442695040888963407
	return int((uint64(*l) >> 33) % uint64(n))
}

// scatter gives n free ports of r, each a multiple of step from the first, the
// use u.
func scatter(m *pool.Map, l *lcg, r port.Range, u pool.Use, n, step int) {
	for n > 0 {
		p := int(r.First) + l.below((r.Len()+step-1)/step)*step
		if m[p] == pool.Free {
			m[p] = u
			n--
		}
	}
}

func fill(m *pool.Map, first, last int, u pool.Use) {
	for p := first; p <= last; p++ {
		m[p] = u
	}
}

// idleMap is a quiet host: some listeners and a handful of connections.
func idleMap() *pool.Map {
	m, l := new(pool.Map), lcg(1)
	scatter(m, &l, linuxRange, pool.UseListen, 6, 1)
	scatter(m, &l, linuxRange, pool.UseBound, 2, 1)
	scatter(m, &l, linuxRange, pool.Connected, 40, 2)
	scatter(m, &l, linuxRange, pool.InTimeWait, 25, 2)
	return m
}

// busyMap is a proxy whose even ports are nearly gone, with the TIME_WAIT of a
// batch job and the reserved block of an orchestrator.
func busyMap() *pool.Map {
	m, l := new(pool.Map), lcg(2)
	fill(m, 40000, 41999, pool.UseReserved)
	scatter(m, &l, linuxRange, pool.UseListen, 40, 1)
	fill(m, 50000, 50063, pool.UseListen)
	fill(m, 52000, 52019, pool.UseBound)
	scatter(m, &l, port.Range{First: 54000, Last: 58999}, pool.InTimeWait, 3500, 1)
	scatter(m, &l, port.Range{First: 32768, Last: 59999}, pool.Connected, 9000, 2)
	scatter(m, &l, linuxRange, pool.InTimeWait, 2500, 1)
	return m
}

// tightMap has every use within tightRange.
func tightMap() *pool.Map {
	m := new(pool.Map)
	for i, u := range []pool.Use{
		pool.Free, pool.Connected, pool.InTimeWait, pool.UseListen, pool.Connected,
		pool.UseReserved, pool.UseReserved, pool.UseBound, pool.InTimeWait, pool.Free,
	} {
		m[int(tightRange.First)+i] = u
	}
	return m
}

// oddMap holds connections at odd ports, where connect() begins in oddRange.
func oddMap() *pool.Map {
	m, l := new(pool.Map), lcg(3)
	scatter(m, &l, oddRange, pool.Connected, 120, 2)
	scatter(m, &l, oddRange, pool.InTimeWait, 30, 1)
	fill(m, 1234, 1236, pool.UseListen)
	return m
}

func TestForemost(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   tally
		want pool.Use
	}{
		{"all free", tally{pool.Free: 8}, pool.Free},
		{"free ports never win over taken ones", tally{pool.Free: 7, pool.InTimeWait: 1}, pool.InTimeWait},
		{"the larger part wins", tally{pool.InTimeWait: 5, pool.Connected: 2, pool.UseReserved: 1}, pool.InTimeWait},
		{"of equal parts the one harder to get back wins", tally{pool.InTimeWait: 3, pool.Connected: 3, pool.UseListen: 2}, pool.Connected},
		{"a lone listener is seen", tally{pool.Free: 15, pool.UseListen: 1}, pool.UseListen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.foremost(); got != tt.want {
				t.Errorf("foremost of %v = %s, want %s", tt.in, names[got], names[tt.want])
			}
		})
	}
}

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		n, total int
		want     string
	}{
		{0, 3, "0.0%"},
		{1, 3, "33.3%"},
		{3, 3, "100.0%"},
		{1, 28232, "<0.1%"},
		{28231, 28232, ">99.9%"},
		{1, 2000, "0.1%"},
	} {
		if got := share(tt.n, tt.total); got != tt.want {
			t.Errorf("share(%d, %d) = %q, want %q", tt.n, tt.total, got, tt.want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 9007: "9,007", 65536: "65,536"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
