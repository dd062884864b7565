package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// frame is where things are on the screen with the list.
type frame struct {
	above []string // the lines above the header
	head  int      // the line of the header
	rows  int      // how many rows there is room for
}

// frame leaves room for three rows at least, as far as there is any.
func (m *Model) frame() frame {
	above := m.above()
	most := max(1, m.height-2-3)
	above = above[:min(len(above), most)]
	return frame{above: above, head: len(above), rows: max(1, m.height-len(above)-2)}
}

// Screen draws what is shown, in lines no wider than the screen and no more of them
// than it has.
func (m *Model) Screen() string {
	var lines []string
	switch m.mode {
	case pools:
		lines = m.list()
	case namespaces:
		lines = m.chooser()
	default:
		lines = m.pages()
	}
	lines = lines[:min(len(lines), m.height)]
	for i := range lines {
		if m.opt.ASCII {
			lines[i] = strings.Map(plainRune, lines[i])
		}
		lines[i] = m.cut(lines[i], m.width)
	}
	return strings.Join(lines, "\n")
}

// plainRune is what stands for a character where there is nothing but ASCII.
func plainRune(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case r == '→' || r == '≥':
		return '>'
	case r == '≤':
		return '<'
	case r == '…':
		return '~'
	case r == '–':
		return '-'
	}
	return '?'
}

// list is the screen with the pools.
func (m *Model) list() []string {
	f := m.frame()
	lines := slices.Clone(f.above)
	columns := m.columns()
	lines = append(lines, m.header(columns))
	switch {
	case m.shown == nil:
		lines = append(lines, " measuring …")
	case len(m.rows) == 0 && m.filter != "":
		lines = append(lines, " no pool matches "+m.filter)
	case len(m.rows) == 0 && m.shown.Err == nil:
		lines = append(lines, m.fit(m.width, " no connection holds a port of the range", " no port is held"))
	}
	for i := m.top; i < min(len(m.rows), m.top+f.rows); i++ {
		lines = append(lines, m.line(columns, &m.rows[i], i == m.cursor))
	}
	return m.footed(lines, m.listFoot(f))
}

// footed puts a line at the bottom.
func (m *Model) footed(lines []string, foot string) []string {
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	return append(lines[:max(0, m.height-1)], foot)
}

func (m *Model) listFoot(f frame) string {
	if m.typing {
		return m.cut("/"+m.filter+m.paint(inverse, " "), m.width)
	}
	more := ""
	if n := len(m.rows) - m.top - f.rows; n > 0 {
		more = fmt.Sprintf(" %s %d more", m.glyphs().more, n)
	}
	filter := ""
	if m.filter != "" {
		filter = " /" + m.filter + "  esc clears it "
	}
	ns := ""
	if m.shown != nil && len(m.shown.Namespaces) > 0 {
		ns = "n namespaces  "
	}
	keys := m.fit(m.width-width(more)-width(filter),
		" enter look into  / filter  s sort  r reverse  space pause  "+ns+"? help  q quit",
		" enter look into  / filter  s sort  space pause  ? help  q quit",
		" enter / filter s sort ? help q quit", " ? help  q quit", " ? help", "")
	if m.opt.Color {
		keys = m.paint(faint, keys)
	}
	return m.ends(m.width, filter+keys, more)
}

// above are the lines above the list: where and when, how it stands, what is refused,
// and what one has to know about the numbers.
func (m *Model) above() []string {
	lines := []string{m.title(clean(m.where()))}
	s := m.shown
	if s == nil {
		return lines
	}
	lines = append(lines, m.summary(), m.refusals())
	if s.Err != nil {
		lines = append(lines, m.paint(red, m.cut(" "+clean(s.Err.Error()), m.width)))
	}
	if s.Limited != "" && m.height >= 14 {
		lines = append(lines, m.paint(faint, m.cut(" "+clean(s.Limited), m.width)))
	}
	if m.height >= 20 {
		lines = append(lines, "")
	}
	return lines
}

// where is what is measured.
func (m *Model) where() string {
	if m.shown == nil {
		return ""
	}
	return m.shown.Where
}

// title says of what, in as many words as fit, and when.
func (m *Model) title(of ...string) string {
	s := m.shown
	if s == nil {
		return m.paint(bold, m.cut(" portroom top", m.width))
	}
	pace := "every " + interval(s.Every)
	clock := s.At.Format("15:04:05")
	if m.paused {
		clock = "paused " + clock
	}
	if m.asked.Scope != s.Scope {
		clock = "measuring …"
	}
	cost := ""
	if s.Share > 0 {
		cost = percent(s.Share) + " of a core  "
	}
	ways := []string{" portroom top  " + of[0]}
	for _, o := range of {
		ways = append(ways, " "+o)
	}
	left := m.fit(m.width-width(clock)-1, ways...)
	for _, right := range []string{cost + pace + "  " + clock + " ", pace + "  " + clock + " ", clock} {
		if width(left)+width(right)+1 <= m.width {
			return m.paint(bold, m.ends(m.width, left, right))
		}
	}
	return m.paint(bold, m.cut(left, m.width))
}

// summary says how it stands.
func (m *Model) summary() string {
	s := m.shown
	var levels [Critical + 1]int
	for i := range s.Rows {
		levels[s.Rows[i].Level]++
	}
	var parts []string
	for _, l := range []struct {
		of   Level
		name string
	}{{Critical, "critical"}, {Warning, "warning"}, {OK, "ok"}} {
		if n := levels[l.of]; n > 0 {
			parts = append(parts, m.paint(l.of.sgr(), strconv.Itoa(n)+" "+l.name))
		}
	}
	state := strings.Join(parts, ", ")
	if state == "" {
		state = "no pool"
	}
	way := "sorted by " + orderNames[m.order]
	if m.reverse {
		way += ", reversed"
	}
	if m.order == byTightness && !m.reverse {
		way = "tightest first"
	}
	shown := ""
	if m.filter != "" {
		shown = fmt.Sprintf("%d of ", len(m.rows))
	}
	long := fmt.Sprintf("%s%s, %s", shown, counted(uint64(len(s.Rows)), "pool"), counted(uint64(s.Sockets), "socket"))
	return m.fit(m.width, " "+state+"  "+long+"  "+way, " "+state+"  "+long, " "+state+"  "+way, " "+state)
}

// refusals says what is refused.
func (m *Model) refusals() string {
	r := &m.shown.Refusals
	if r.Unseen != "" {
		return m.fit(m.width, " refusals are not seen: "+clean(r.Unseen), " refusals are not seen")
	}
	since := " since " + r.Since.Format("15:04:05")
	if r.Total+r.Lost == 0 {
		return m.fit(m.width, " no connect refused"+since, " none refused"+since)
	}
	n := counted(r.Total+r.Lost, "connect")
	now := ""
	if r.Now > 0 {
		now = ", " + perSecond(r.Now) + "/s now"
	}
	last := ""
	if r.Last != "" {
		last = "; last " + r.LastAt.Format("15:04:05") + " " + clean(r.Last)
	}
	text := m.fit(m.width, " "+n+" refused"+since+now+last, " "+n+" refused"+now+last, " "+n+" refused"+now, " "+n+" refused")
	if r.Now > 0 {
		return m.paint(red, text)
	}
	return text
}

// chooser is the screen with the namespaces.
func (m *Model) chooser() []string {
	lines := []string{m.title(clean(m.where())), m.paint(bold, m.cut(" which network namespace?", m.width))}
	list := m.choices()
	first := m.firstChoice()
	for i := first; i < min(len(list), first+m.choiceHeight()); i++ {
		text := m.pad(list[i].name, max(1, m.width-2), false)
		if i == m.choice {
			lines = append(lines, m.glyphs().marker+m.paint(inverse, text))
		} else {
			lines = append(lines, " "+text)
		}
	}
	return m.footed(lines, m.keys(" enter measure it  esc back  q quit", " enter  esc back"))
}

// firstChoice is the first namespace on the screen.
func (m *Model) firstChoice() int { return max(0, m.choice-m.choiceHeight()+1) }

func (m *Model) choiceHeight() int { return max(1, m.height-3) }

func (m *Model) keys(ways ...string) string {
	text := m.fit(m.width, ways...)
	if m.opt.Color {
		return m.paint(faint, text)
	}
	return text
}
