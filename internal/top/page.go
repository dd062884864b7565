package top

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/portroom/portroom/internal/portmap"
	"github.com/portroom/portroom/socket"
)

// pageHeight is how many lines of a page are on the screen: below the title, above the
// keys.
func (m *Model) pageHeight() int { return max(1, m.height-2-m.gap()) }

// gap is how many empty lines there are below the title.
func (m *Model) gap() int {
	if m.height < 14 {
		return 0
	}
	return 1
}

// pages is the screen with a pool, or with help, scrolled.
func (m *Model) pages() []string {
	page := m.page()
	from := max(0, min(m.scroll, len(page)-m.pageHeight()))
	to := min(len(page), from+m.pageHeight())
	lines := append([]string{m.pageTitle()}, make([]string, m.gap())...)
	lines = append(lines, page[from:to]...)
	keys := m.keys(" esc back  space pause  ? help  q quit", " esc back  q quit", " esc back")
	if m.mode == help {
		keys = m.keys(" esc back  q quit", " esc back")
	}
	more := ""
	if n := len(page) - to; n > 0 {
		more = fmt.Sprintf("%s %d more lines ", m.glyphs().more, n)
	}
	return m.footed(lines, m.ends(m.width, keys, more))
}

func (m *Model) pageTitle() string {
	if m.mode == help {
		return m.paint(bold, m.fit(m.width, " portroom top: what it shows, and its keys", " what it shows, and its keys"))
	}
	src, dst, in := m.row.Pool.Key.Src.String(), destination(m.row), ""
	if m.shown.Scope.All {
		in = " in " + namespaceName(m.row.Label, m.row.ID.Netns)
	}
	if !m.row.Pool.Key.Dst.IsValid() {
		return m.title(dst+in, dst)
	}
	return m.title(src+" → "+dst+in, src+" → "+dst, "→ "+dst)
}

// page is the text of a pool, or of help, in lines.
func (m *Model) page() []string {
	if m.mode == help {
		return m.help()
	}
	if m.row == nil {
		return nil
	}
	const gutter = 3
	if m.width < 2*mapWidth+gutter {
		return append(m.facts(m.width), m.ports(m.width)...)
	}
	// The map to the right of all the rest.
	facts := m.facts(m.width - gutter - m.mapColumns())
	ports := m.ports(m.mapColumns())
	var lines []string
	for i := range max(len(facts), len(ports)) {
		left, right := "", ""
		if i < len(facts) {
			left = facts[i]
		}
		if i < len(ports) {
			right = ports[i]
		}
		lines = append(lines, m.pad(left, m.width-gutter-m.mapColumns(), false)+strings.Repeat(" ", gutter)+right)
	}
	return lines
}

// mapWidth is from how many columns on a map has room beside text.
const mapWidth = 66

func (m *Model) mapColumns() int { return min(m.width/2, 140) }

// facts are all that is known of a pool but its ports.
func (m *Model) facts(w int) []string {
	r := m.row
	p := &r.Pool
	open, timeWait := held(p)
	var lines []string
	say := func(sgr, text string) {
		for i, l := range m.wrap(text, w-2) {
			indent := " "
			if i > 0 {
				indent = "  "
			}
			lines = append(lines, m.paint(sgr, indent+l))
		}
	}
	if m.gone {
		say(yellow, "No port of this pool is held any more. What follows is from before.")
	}
	lines = append(lines, " "+m.bar(r, w-2))
	if p.Knee > 0 {
		lines = append(lines, m.scale(r, w-2))
	}
	say("", fmt.Sprintf("%d of %d held: %d by connections, %d by TIME_WAIT. %s left.", open+timeWait, p.Capacity, open, timeWait, r.Left))
	if p.Knee > 0 {
		past := "is not reached"
		if p.PastKnee() {
			past = "is passed: each connect searches half the range"
		}
		say("", fmt.Sprintf("The knee at %d %s. The ceiling is %s/s, if connections end at once on this side.", p.Knee, past, perSecond(p.CeilingPerSecond)))
	}
	if r.Rated {
		say("", fmt.Sprintf("%s ports taken a second, %s given back.", perSecond(r.In), perSecond(r.Out)))
	}
	if r.Forecast != nil {
		text := r.Forecast.String()
		say(soon(r), strings.ToUpper(text[:1])+text[1:]+".")
	}
	switch ref := &m.shown.Refusals; {
	case p.Key.Proto != socket.TCP:
		say("", "Refusals are seen of TCP alone.")
	case ref.Unseen != "":
		say("", "Refusals are not seen: "+clean(ref.Unseen)+".")
	case r.RefusedNow > 0:
		say(red, fmt.Sprintf("%s refused since %s, %s/s now.", counted(r.Refused, "connect"), ref.Since.Format("15:04:05"), perSecond(r.RefusedNow)))
	case r.Refused > 0:
		say("", fmt.Sprintf("%s refused since %s.", counted(r.Refused, "connect"), ref.Since.Format("15:04:05")))
	default:
		say("", fmt.Sprintf("No connect refused since %s.", ref.Since.Format("15:04:05")))
	}
	lines = append(lines, m.owners(w)...)
	lines = append(lines, m.states(w)...)
	return append(lines, m.traced(w)...)
}

// scale is the line below a bar: where the knee is and where the limit.
func (m *Model) scale(r *Row, w int) string {
	p := &r.Pool
	if w < 1 || p.Capacity <= 0 {
		return ""
	}
	knee, limit := "knee "+strconv.Itoa(p.Knee), "limit "+strconv.Itoa(p.Capacity)
	at := 1 + p.Knee*(w-1)/p.Capacity
	if at+width(knee)+1+width(limit) > w+1 {
		return ""
	}
	return m.paint(faint, m.ends(w+1, strings.Repeat(" ", at)+knee, limit))
}

func (m *Model) head(text string) []string { return []string{"", m.paint(bold, " "+text)} }

// mostOwners is how many processes are listed.
const mostOwners = 10

func (m *Model) owners(w int) []string {
	p := &m.row.Pool
	lines := m.head("Who holds the ports")
	rest := 0
	for _, n := range p.States {
		rest += n
	}
	for i, o := range p.Owners {
		rest -= o.Ports
		if i >= mostOwners {
			continue
		}
		text := fmt.Sprintf(" %6d  %s", o.Ports, holder(o))
		if o.Cgroup != "" {
			text += "  " + clean(o.Cgroup)
		}
		lines = append(lines, m.cut(text, w))
	}
	if n := len(p.Owners) - mostOwners; n > 0 {
		lines = append(lines, fmt.Sprintf("         and %d more", n))
	}
	if rest > 0 {
		lines = append(lines, m.fit(w, fmt.Sprintf(" %6d  nobody that can be told (TIME_WAIT has no owner)", rest), fmt.Sprintf(" %6d  nobody that can be told", rest)))
	}
	return lines
}

func (m *Model) states(w int) []string {
	lines := m.head("States")
	total := uint64(0)
	for _, n := range m.row.Pool.States {
		total += uint64(n)
	}
	for s, n := range m.row.Pool.States {
		if n > 0 {
			lines = append(lines, m.counted(socket.State(s).String(), uint64(n), total, w))
		}
	}
	return lines
}

// counted is a number, its name, and a bar.
func (m *Model) counted(name string, n, of uint64, w int) string {
	text := fmt.Sprintf(" %6d  %-16s ", n, name)
	return text + m.plain(n, of, min(w-width(text)-1, 60))
}

// traced is what is known by having watched the connects.
func (m *Model) traced(w int) []string {
	d := m.detail()
	if d == nil || !d.Traced || m.row.Pool.Key.Proto != socket.TCP {
		return nil
	}
	since := " since " + d.Since.Format("15:04:05")
	lines := m.head("Who connected" + since)
	if len(d.Processes) == 0 {
		lines = append(lines, "         nobody")
	}
	for i, p := range d.Processes {
		if i >= mostOwners {
			lines = append(lines, fmt.Sprintf("         and %d more", len(d.Processes)-i))
			break
		}
		text := fmt.Sprintf(" %6d  %s", p.Connects, process(p.Command, p.PID))
		if p.Where != "" {
			text += " in " + clean(p.Where)
		}
		if p.Refused > 0 {
			text += m.paint(red, fmt.Sprintf("  %d refused", p.Refused))
		}
		lines = append(lines, m.cut(text, w))
	}
	total, most := uint64(0), uint64(0)
	for _, c := range d.Ends {
		total += c.N
	}
	if total > 0 {
		lines = append(lines, m.head("What became of them")...)
		for _, c := range d.Ends {
			if c.N > 0 {
				lines = append(lines, m.counted(c.Name, c.N, total, w))
			}
		}
	}
	for _, c := range d.Lifetimes {
		most = max(most, c.N)
	}
	if most > 0 {
		lines = append(lines, m.head("How long they lived")...)
		for i, c := range d.Lifetimes {
			name := "longer"
			if c.Below > 0 {
				name = "under " + lifetime(c.Below)
			} else if i > 0 {
				name = lifetime(d.Lifetimes[i-1].Below) + " and more"
			}
			lines = append(lines, m.counted(name, c.N, most, w))
		}
	}
	return lines
}

// detail is that of the pool, nil when it has not come yet.
func (m *Model) detail() *Detail {
	if m.shown == nil || m.row == nil || m.shown.Detail == nil || m.shown.Detail.ID != m.row.ID {
		return nil
	}
	return m.shown.Detail
}

// ports is the range as a map.
func (m *Model) ports(w int) []string {
	lines := m.head("Ports")
	if w >= mapWidth && m.width >= 2*mapWidth {
		lines = lines[1:] // beside the text
	}
	d := m.detail()
	if d == nil || d.Map == nil {
		return append(lines, " measuring …")
	}
	var b strings.Builder
	indent := " "
	if w <= 31 {
		indent = "" // it needs 30
	}
	opt := portmap.Options{Width: max(w-len(indent), 1), Color: m.opt.Color, ASCII: m.opt.ASCII}
	if err := portmap.Text(&b, d.Map, d.Range, opt); err != nil {
		return append(lines, " "+err.Error())
	}
	for l := range strings.SplitSeq(strings.TrimRight(b.String(), "\n"), "\n") {
		lines = append(lines, indent+l)
	}
	return lines
}
