package cli

import (
	"fmt"
	"strconv"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// shown is one row of the table.
type shown struct {
	level level
	pool  pool.Pool
}

// poolTable is the table of check and pools.
func poolTable(list []shown) *table {
	t := &table{
		head:  []string{"HELD", "OF", "USED", "LEFT", "TIME_WAIT", "CEILING", "SOURCE", "DESTINATION", "TOP HOLDER"},
		right: map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true},
		drop:  []string{"OF", "CEILING", "USED", "TIME_WAIT", "SOURCE", "TOP HOLDER"},
	}
	for _, s := range list {
		p := &s.pool
		tw := "-"
		total := 0
		for _, n := range p.States {
			total += n
		}
		if n := p.States[socket.TimeWait]; n > 0 {
			tw = percent(float64(n) / float64(total))
		}
		who := "-"
		if len(p.Owners) > 0 {
			who = fmt.Sprintf("%s %d", holder(p.Owners[0]), p.Owners[0].Ports)
		}
		sgr := ""
		if s.level != levelOK {
			sgr = s.level.sgr()
		}
		dst := dstText(p.Key)
		if !p.Key.Dst.IsValid() {
			dst = p.Key.Proto.String()
		}
		t.add(sgr, strconv.Itoa(p.Held-p.Reusable), strconv.Itoa(p.Capacity), percent(p.Used()), left(p), tw, ceiling(p), p.Key.Src.String(), dst, who)
	}
	return t
}
