package top

import (
	tea "charm.land/bubbletea/v2"
)

// press answers to a key.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "ctrl+l":
		return tea.ClearScreen
	}
	if m.typing {
		m.edit(k)
		return nil
	}
	switch k.String() {
	case "q":
		return tea.Quit
	case "?", "h", "f1":
		if m.mode != help {
			m.before, m.mode, m.scroll = m.mode, help, 0
		} else {
			m.back()
		}
	case "esc", "alt+esc", "backspace", "left":
		m.back()
	case "space", "p":
		m.pause()
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup", "ctrl+b":
		m.move(-m.pageStep())
	case "pgdown", "ctrl+f":
		m.move(m.pageStep())
	case "home", "g":
		m.move(-1 << 30)
	case "end", "G":
		m.move(1 << 30)
	case "enter", "right", "l":
		m.open()
	case "n":
		if m.mode != help && m.shown != nil && len(m.shown.Namespaces) > 0 {
			m.choose()
			return nil
		}
	}
	if m.mode == pools {
		m.pressAmongPools(k)
	}
	return nil
}

// pressAmongPools answers to the keys that only the list has.
func (m *Model) pressAmongPools(k tea.KeyPressMsg) {
	switch k.String() {
	case "/":
		m.typing, m.was = true, m.filter
	case "s", ">":
		m.sortBy((m.order + 1) % numOrders)
	case "S", "<":
		m.sortBy((m.order + numOrders - 1) % numOrders)
	case "r":
		m.reverse = !m.reverse
		m.arrange()
	}
}

// edit takes a key for the filter.
func (m *Model) edit(k tea.KeyPressMsg) {
	switch k.String() {
	case "enter":
		m.typing = false
	case "esc", "alt+esc":
		m.typing, m.filter = false, m.was
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	case "ctrl+u":
		m.filter = ""
	default:
		m.filter += clean(k.Text)
	}
	m.arrange()
}

func (m *Model) sortBy(o order) {
	m.order, m.reverse = o, false
	m.arrange()
}

func (m *Model) pause() {
	m.paused = !m.paused
	if !m.paused && m.next != nil {
		m.shown, m.next = m.next, nil
		m.arrange()
	}
}

// pageStep is how far a page key goes.
func (m *Model) pageStep() int {
	if m.mode == pools {
		return max(1, m.frame().rows-1)
	}
	return max(1, m.pageHeight()-1)
}

func (m *Model) move(n int) {
	switch m.mode {
	case pools:
		m.cursor = max(0, min(m.cursor+n, len(m.rows)-1))
		m.moved = m.cursor > 0
	case namespaces:
		m.choice += n
	default:
		m.scroll += n
	}
}

// open looks into the pool, or takes the choice.
func (m *Model) open() {
	switch {
	case m.mode == pools && len(m.rows) > 0:
		r := m.rows[m.cursor]
		m.mode, m.row, m.gone, m.scroll = onePool, &r, false, 0
		m.selected, m.moved = r.ID, true
		id := r.ID
		m.ask(Request{m.asked.Scope, &id})
	case m.mode == namespaces && len(m.choices()) > 0:
		scope := m.choices()[m.choice].scope
		m.mode, m.filter = pools, ""
		m.cursor, m.moved, m.top = 0, false, 0
		if scope != m.asked.Scope {
			m.paused, m.next = false, nil
			m.ask(Request{scope, nil})
		}
	}
}

// back leaves what was opened; among the pools it takes the filter away.
func (m *Model) back() {
	switch m.mode {
	case help:
		m.mode, m.scroll = m.before, 0
	case namespaces:
		m.mode = pools
	case onePool:
		m.mode = pools
		m.ask(Request{m.asked.Scope, nil})
	default:
		m.filter = ""
		m.arrange()
	}
}

// choose lists the namespaces, with the present one chosen.
func (m *Model) choose() {
	if m.mode == onePool {
		m.back()
	}
	m.mode = namespaces
	for i, c := range m.choices() {
		if c.scope == m.asked.Scope {
			m.choice = i
		}
	}
}

// choice is a line of the list of namespaces.
type choice struct {
	scope Scope
	name  string
}

func (m *Model) choices() []choice {
	if m.shown == nil || len(m.shown.Namespaces) == 0 {
		return nil
	}
	list := []choice{{Scope{All: true}, "all network namespaces"}}
	for _, n := range m.shown.Namespaces {
		list = append(list, choice{Scope{ID: n.ID}, namespaceName(n.Label, n.ID)})
	}
	return list
}

// click selects a row, opens the one that is selected, or sorts by a column.
func (m *Model) click(x, y int) {
	switch m.mode {
	case pools:
		f := m.frame()
		if y == f.head {
			if o, ok := m.columnAt(x); ok {
				if o == m.order {
					m.reverse = !m.reverse
					m.arrange()
				} else {
					m.sortBy(o)
				}
			}
			return
		}
		i := m.top + y - f.head - 1
		if y <= f.head || y > f.head+f.rows || i >= len(m.rows) {
			return
		}
		if i == m.cursor && m.moved {
			m.open()
			return
		}
		m.cursor, m.moved, m.selected = i, true, m.rows[i].ID
	case namespaces:
		if i := m.firstChoice() + y - 2; y >= 2 && y < m.height-1 && i < len(m.choices()) {
			m.choice = i
			m.open()
		}
	}
}
