package top

import (
	"strconv"
	"strings"

	"github.com/portroom/portroom/socket"
)

// A column of the list. The one with the bar has no cell.
type column struct {
	title string
	width int
	right bool
	order order
	cell  func(*Row) string
	sgr   func(*Row) string
}

func (c *column) isBar() bool { return c.cell == nil }

// The widths between which destination and bar are chosen.
const (
	leastDestination, mostDestination = 13, 48
	leastBar, fairBar, mostBar        = 5, 16, 100

	leastHolder = 22 // so that columns do not move with each other holder
)

// columns chooses what fits. On a narrow screen it is the destination, a bar and how
// many connects are left.
func (m *Model) columns() []column {
	dst := column{title: "DESTINATION", order: byDestination, cell: destination}
	src := column{title: "SOURCE", order: bySource, cell: func(r *Row) string { return r.Pool.Key.Src.String() }}
	ns := column{title: "NAMESPACE", order: byTightness, cell: func(r *Row) string { return namespaceName(r.Label, r.ID.Netns) }}
	who := column{title: "TOP HOLDER", order: byTightness, cell: topHolder}
	longest := map[*column]int{}
	for _, c := range []*column{&dst, &src, &ns, &who} {
		longest[c] = width(c.title)
		for i := range m.rows {
			longest[c] = max(longest[c], width(c.cell(&m.rows[i])))
		}
	}
	src.width, ns.width, who.width = min(longest[&src], 39), min(longest[&ns], max(10, min(m.width/6, 24))), max(leastHolder, min(longest[&who], 32))
	dst.width = min(longest[&dst], leastDestination)
	bar := column{title: "HELD", width: leastBar, order: byTightness}
	left := column{title: "LEFT", width: 5, right: true, order: byLeft, cell: func(r *Row) string { return r.Left }, sgr: func(r *Row) string { return r.Level.sgr() }}

	for i := range m.rows {
		left.width = max(left.width, min(width(m.rows[i].Left), 9))
	}
	spare := m.width - 1 - dst.width - 1 - bar.width - 1 - left.width
	has := make(map[string]bool)
	add := func(c *column) {
		if spare >= c.width+1 {
			spare -= c.width + 1
			has[c.title] = true
		}
	}
	grow := func(c *column, to int) {
		n := max(0, min(spare, to-c.width))
		c.width += n
		spare -= n
	}
	used := column{title: "USED", width: 4, right: true, order: byTightness, cell: func(r *Row) string { return percent(r.Pool.Used()) }}
	in := column{title: "IN/s", width: 6, right: true, order: byIn, cell: func(r *Row) string { return rated(r, r.In) }}
	out := column{title: "OUT/s", width: 6, right: true, order: byOut, cell: func(r *Row) string { return rated(r, r.Out) }}
	full := column{title: "FULL IN", width: 7, right: true, order: byFull, cell: func(r *Row) string { return brief(r.Forecast) }, sgr: soon}
	refused := column{title: "REFUSED", width: 8, right: true, order: byRefused, cell: m.refused, sgr: func(r *Row) string {
		if r.RefusedNow > 0 {
			return red
		}
		return ""
	}}
	held := column{title: "HELD/CAPACITY", width: 13, right: true, order: byTightness, cell: func(r *Row) string {
		return strconv.Itoa(r.Pool.Held-r.Pool.Reusable) + "/" + strconv.Itoa(r.Pool.Capacity)
	}}
	several := m.shown != nil && m.shown.Scope.All
	grow(&dst, min(longest[&dst], 21))
	add(&used)
	if several {
		add(&ns)
	}
	for _, c := range []*column{&refused, &full, &in, &out} {
		add(c)
	}
	grow(&bar, fairBar)
	grow(&dst, min(longest[&dst], mostDestination))
	for _, c := range []*column{&src, &who, &held} {
		add(c)
	}
	grow(&bar, mostBar)
	var list []column
	for _, c := range []*column{&dst, &bar, &used, &held, &left, &in, &out, &full, &refused, &ns, &src, &who} {
		if c == &dst || c == &bar || c == &left || has[c.title] {
			list = append(list, *c)
		}
	}
	return list
}

func rated(r *Row, rate float64) string {
	if !r.Rated {
		return "-"
	}
	return perSecond(rate)
}

// refused is how many connects were refused, and with a plus that there are more now.
func (m *Model) refused(r *Row) string {
	switch {
	case r.Pool.Key.Proto != socket.TCP:
		return "-"
	case r.Refused == 0 && m.shown != nil && m.shown.Refusals.Unseen != "":
		return "?"
	case r.RefusedNow > 0:
		return "+" + strconv.FormatUint(r.Refused, 10)
	}
	return strconv.FormatUint(r.Refused, 10)
}

// soon is red for what is full within a minute, yellow within ten.
func soon(r *Row) string {
	switch s := fullIn(r); {
	case s < 60:
		return red
	case s < 600:
		return yellow
	}
	return ""
}

func topHolder(r *Row) string {
	if len(r.Pool.Owners) == 0 {
		return "-"
	}
	o := r.Pool.Owners[0]
	return holder(o) + " " + strconv.Itoa(o.Ports)
}

// header is the line above the rows.
func (m *Model) header(columns []column) string {
	var b strings.Builder
	for i := range columns {
		c := &columns[i]
		b.WriteString(" " + m.pad(c.title, c.width, c.right))
	}
	return m.paint(bold, m.cut(b.String(), m.width))
}

// line is one row. The one that is selected is marked, and told by more than colour.
func (m *Model) line(columns []column, r *Row, selected bool) string {
	var b strings.Builder
	for i := range columns {
		c := &columns[i]
		gap := " "
		if i == 0 && selected {
			gap = m.glyphs().marker
		}
		b.WriteString(gap)
		if c.isBar() {
			b.WriteString(m.bar(r, c.width))
			continue
		}
		text := m.pad(c.cell(r), c.width, c.right)
		sgr := ""
		if c.sgr != nil {
			sgr = c.sgr(r)
		}
		if i == 0 && selected {
			sgr = inverse
		}
		b.WriteString(m.paint(sgr, text))
	}
	return m.cut(b.String(), m.width)
}

// columnAt returns by what a click on the header at x sorts.
func (m *Model) columnAt(x int) (order, bool) {
	at := 0
	for _, c := range m.columns() {
		if x > at && x <= at+c.width {
			return c.order, true
		}
		at += 1 + c.width
	}
	return 0, false
}
