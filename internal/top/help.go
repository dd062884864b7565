package top

import "strings"

// What the screen shows and which keys it knows. Each has a name and a sentence.
var (
	helpKeys = [][2]string{
		{"↑ ↓ PgUp PgDn", "move; the wheel does too"},
		{"enter", "look into the pool: owners, states, lifetimes, ports (a second click does too)"},
		{"esc", "back; takes the filter away"},
		{"/", "filter: every word must be in destination, source, protocol, namespace, process or control group"},
		{"s S", "sort by the next or the last column; a click on a column does too"},
		{"r", "reverse"},
		{"space", "pause: the screen stands still, measuring goes on"},
		{"n", "choose the network namespaces"},
		{"q Ctrl-C", "quit"},
	}
	helpColumns = [][2]string{
		{"HELD", "ports held by live connections, then by TIME_WAIT, then what is free; the line within is the knee, the line at the end is the capacity"},
		{"USED", "share of the capacity that connect() does not get"},
		{"LEFT", "connects that would succeed now; ≥ marks a lower bound"},
		{"IN/s OUT/s", "ports taken and given back a second, over the last few seconds"},
		{"FULL IN", "when the pool is full at the present rate; ~ says from few connections"},
		{"REFUSED", "TCP connects refused for want of a port since the start; + says that there are more now, ? that they cannot be seen here"},
	}
)

// help is the text of the help.
func (m *Model) help() []string {
	var lines []string
	for _, part := range [][][2]string{helpColumns, helpKeys} {
		if lines != nil {
			lines = append(lines, "")
		}
		for _, e := range part {
			name := e[0]
			if m.opt.ASCII {
				name = strings.NewReplacer("↑", "up", "↓", "down").Replace(name)
			}
			const column = 16
			if m.width < 50 {
				lines = append(lines, m.paint(bold, " "+name))
				for _, l := range m.wrap(e[1], m.width-3) {
					lines = append(lines, "   "+l)
				}
				continue
			}
			for i, l := range m.wrap(e[1], min(m.width-column-1, 90)) {
				if i > 0 {
					name = ""
				}
				lines = append(lines, m.paint(bold, m.pad(" "+name, column, false))+l)
			}
		}
	}
	return lines
}
