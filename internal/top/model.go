package top

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// Options are what the terminal can do, and where requests go.
type Options struct {
	Color   bool // the 16 ANSI colours
	ASCII   bool // no block glyphs
	Request Request
	// Ask hands a request to whoever measures. It must not wait for the answer.
	Ask func(Request)
}

// mode is what the screen shows.
type mode uint8

const (
	pools mode = iota
	onePool
	namespaces
	help
)

// Model is the state of the screen. Its zero value is of no use: see [New].
type Model struct {
	opt           Options
	width, height int

	mode   mode
	before mode // what help hides
	shown  *Snapshot
	next   *Snapshot // came while paused
	paused bool

	rows     []Row // of shown, filtered and sorted
	order    order
	reverse  bool
	filter   string
	typing   bool
	was      string // the filter before it was typed at
	cursor   int
	selected ID   // the row that the cursor stays on when rows move
	moved    bool // until then it stays at the top
	top      int  // the first row on the screen

	asked  Request
	row    *Row // of onePool, as it was last seen
	gone   bool // it is not there any more
	scroll int  // of onePool and help
	choice int  // of namespaces
}

// New returns a model that has nothing to show yet.
func New(opt Options) *Model {
	return &Model{opt: opt, asked: opt.Request, width: 80, height: 24}
}

// Init does nothing: the first snapshot comes by itself.
func (m *Model) Init() tea.Cmd { return nil }

// Update takes a key, a mouse event, a size or a [Snapshot].
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 1), max(msg.Height, 1)
	case *Snapshot:
		m.take(msg)
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	case tea.PasteMsg:
		if m.typing {
			m.filter += clean(msg.Content)
			m.arrange()
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.move(-3)
		case tea.MouseWheelDown:
			m.move(3)
		}
	case tea.MouseClickMsg:
		if msg.Button == tea.MouseLeft {
			m.click(msg.X, msg.Y)
		}
	}
	m.settle()
	return m, cmd
}

// take shows a snapshot, or keeps it for later while paused.
func (m *Model) take(s *Snapshot) {
	if m.paused && m.shown != nil && s.Scope == m.shown.Scope {
		m.next = s
		// What is looked at for the first time has to come from now.
		if s.Detail != nil && (m.shown.Detail == nil || m.shown.Detail.ID != s.Detail.ID) {
			still := *m.shown
			still.Detail = s.Detail
			m.shown = &still
		}
		return
	}
	if s.Scope != m.asked.Scope && m.shown != nil {
		return // from before another choice
	}
	if s.Err != nil && m.shown != nil && s.Scope == m.shown.Scope {
		// What was measured last stays, with the reason why there is nothing newer.
		still := *m.shown
		still.Err = s.Err
		m.shown = &still
		return
	}
	m.shown, m.next = s, nil
	m.arrange()
}

// arrange filters and sorts, and keeps the cursor on its row.
func (m *Model) arrange() {
	if m.shown == nil {
		return
	}
	m.rows = m.rows[:0]
	for i := range m.shown.Rows {
		if r := &m.shown.Rows[i]; r.matches(m.filter) {
			m.rows = append(m.rows, *r)
		}
	}
	sortRows(m.rows, m.order, m.reverse)
	if m.moved {
		if i := slices.IndexFunc(m.rows, func(r Row) bool { return r.ID == m.selected }); i >= 0 {
			m.cursor = i
		}
	}
	if m.mode == onePool || m.mode == help && m.before == onePool {
		i := slices.IndexFunc(m.shown.Rows, func(r Row) bool { return r.ID == m.row.ID })
		if m.gone = i < 0; !m.gone {
			r := m.shown.Rows[i]
			m.row = &r
		}
	}
}

// matches reports whether every word of the filter is somewhere in the row.
func (r *Row) matches(filter string) bool {
	if filter == "" {
		return true
	}
	text := []string{destination(r), r.Pool.Key.Src.String(), r.Pool.Key.Proto.String(), r.Label}
	for _, o := range r.Pool.Owners {
		text = append(text, holder(o), o.Cgroup)
	}
	all := strings.ToLower(strings.Join(text, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(filter)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

// settle keeps what scrolls within its bounds.
func (m *Model) settle() {
	m.cursor = max(0, min(m.cursor, len(m.rows)-1))
	if len(m.rows) > 0 && m.moved {
		m.selected = m.rows[m.cursor].ID
	}
	visible := m.frame().rows
	m.top = max(0, min(m.top, m.cursor, len(m.rows)-visible))
	m.top = max(m.top, m.cursor-visible+1)
	m.choice = max(0, min(m.choice, len(m.choices())-1))
	if m.mode == onePool || m.mode == help {
		m.scroll = max(0, min(m.scroll, len(m.page())-m.pageHeight()))
	}
}

// ask says what is to be measured from now on.
func (m *Model) ask(r Request) {
	m.asked = r
	if m.opt.Ask != nil {
		m.opt.Ask(r) // not in a command: those are not kept in order
	}
}

// View draws the screen.
func (m *Model) View() tea.View {
	v := tea.NewView(m.Screen())
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = "portroom top"
	return v
}
