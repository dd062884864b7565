package top

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/forecast"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// drawRow makes up a pool; it need not make sense.
func drawRow(t *rapid.T) Row {
	count := func(name string) int { return rapid.IntRange(0, 70000).Draw(t, name) }
	addr := func(name string) netip.Addr {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)
		if rapid.Bool().Draw(t, name+" is IPv4") {
			return netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	key := pool.Key{Proto: socket.TCP, Src: addr("src"), Dst: netip.AddrPortFrom(addr("dst"), uint16(count("port")))}
	if rapid.Bool().Draw(t, "host-wide") {
		key = pool.Key{Proto: socket.UDP, Src: addr("src")}
	}
	p := pool.Pool{Key: key, Capacity: count("capacity") - 5, Held: count("held"), Reusable: count("reusable"), Headroom: count("left"), HeadroomMax: count("left at most"), Knee: count("knee")}
	p.States[socket.TimeWait], p.States[socket.Established] = count("TIME_WAIT"), count("established")
	for range rapid.IntRange(0, 12).Draw(t, "owners") {
		p.Owners = append(p.Owners, pool.Owner{PID: count("pid"), Command: rapid.String().Draw(t, "command"), Cgroup: rapid.String().Draw(t, "cgroup"), Ports: count("ports")})
	}
	r := Row{
		ID: ID{uint64(count("netns")), key}, Label: rapid.String().Draw(t, "label"), Pool: p, Level: Level(rapid.IntRange(0, 2).Draw(t, "level")), Left: "≥ 81",
		Rated: rapid.Bool().Draw(t, "rated"), In: rapid.Float64Range(0, 1e6).Draw(t, "in"), Out: rapid.Float64Range(0, 1e6).Draw(t, "out"), Refused: uint64(count("refused")),
		RefusedNow: float64(rapid.IntRange(0, 2).Draw(t, "refused now")),
	}
	if rapid.Bool().Draw(t, "forecast") {
		r.Forecast = &forecast.Forecast{Rate: r.In, Full: forecast.Moment{In: time.Duration(count("full")) * time.Second, Never: rapid.Bool().Draw(t, "never")}}
	}
	return r
}

func drawSnapshot(t *rapid.T, asked Request) *Snapshot {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	s := &Snapshot{
		At: noon, Every: time.Duration(rapid.IntRange(1, 100000).Draw(t, "every")) * time.Millisecond, Share: rapid.Float64Range(0, 2).Draw(t, "share"),
		Scope: asked.Scope, Where: text("where"), Limited: text("limited"), Rows: rapid.SliceOfN(rapid.Custom(drawRow), 0, 6).Draw(t, "rows"),
		Refusals: Refusals{Since: noon, Unseen: text("unseen"), Total: uint64(rapid.IntRange(0, 3).Draw(t, "total")), Last: text("last"), LastAt: noon},
	}
	for range rapid.IntRange(0, 30).Draw(t, "namespaces") {
		s.Namespaces = append(s.Namespaces, Namespace{uint64(len(s.Namespaces)), text("namespace")})
	}
	if rapid.IntRange(0, 4).Draw(t, "error") == 0 {
		s.Rows, s.Err = nil, errors.New(text("error"))
	}
	if asked.Detail != nil && rapid.Bool().Draw(t, "detail") {
		d := look()
		first := rapid.Uint16().Draw(t, "first port")
		d.ID, d.Range = *asked.Detail, port.Range{First: first, Last: rapid.Uint16Min(first).Draw(t, "last port")}
		d.Processes = append(d.Processes, Process{1, text("command"), text("where"), 1, 1})
		s.Detail = d
	}
	return s
}

// Whatever happens in whatever order, at whatever size, no line is wider than the
// screen, there are no more lines than it has, and no text of others gets through to the
// terminal as a command.
func TestNoLineIsWiderThanTheScreen(t *testing.T) {
	all := []tea.Key{
		{Code: tea.KeyEnter}, {Code: tea.KeyEscape}, {Code: tea.KeyUp}, {Code: tea.KeyDown}, {Code: tea.KeyEnd}, {Code: tea.KeyHome}, {Code: tea.KeyPgDown}, {Code: tea.KeyPgUp},
		{Code: 's', Text: "s"}, {Code: 'S', Text: "S"}, {Code: 'r', Text: "r"}, {Code: '/', Text: "/"}, {Code: '1', Text: "1"}, {Code: 'n', Text: "n"}, {Code: '?', Text: "?"},
		{Code: tea.KeySpace, Text: " "}, {Code: tea.KeyBackspace}, {Code: '世', Text: "世"},
	}
	rapid.Check(t, func(t *rapid.T) {
		request := Request{Scope: Scope{ID: netnsID}}
		m := New(Options{
			Color: rapid.Bool().Draw(t, "color"), ASCII: rapid.Bool().Draw(t, "ascii"), Request: request,
			Ask: func(r Request) { request = r },
		})
		t.Repeat(map[string]func(*rapid.T){
			"resize": func(t *rapid.T) {
				m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(1, 300).Draw(t, "width"), Height: rapid.IntRange(1, 60).Draw(t, "height")})
			},
			"measure": func(t *rapid.T) { m.Update(drawSnapshot(t, request)) },
			"press":   func(t *rapid.T) { m.Update(tea.KeyPressMsg(rapid.SampledFrom(all).Draw(t, "key"))) },
			"paste":   func(t *rapid.T) { m.Update(tea.PasteMsg{Content: rapid.String().Draw(t, "text")}) },
			"click": func(t *rapid.T) {
				m.Update(tea.MouseClickMsg{X: rapid.IntRange(0, 300).Draw(t, "x"), Y: rapid.IntRange(0, 60).Draw(t, "y"), Button: tea.MouseLeft})
			},
			"wheel": func(t *rapid.T) {
				m.Update(tea.MouseWheelMsg{Button: rapid.SampledFrom([]tea.MouseButton{tea.MouseWheelUp, tea.MouseWheelDown}).Draw(t, "way")})
			},
			"": func(t *rapid.T) {
				lines := strings.Split(m.Screen(), "\n")
				if len(lines) > m.height {
					t.Fatalf("%d lines on a screen of %d:\n%s", len(lines), m.height, m.Screen())
				}
				for _, l := range lines {
					if w := ansi.StringWidth(l); w > m.width {
						t.Fatalf("a line of %d columns on a screen of %d:\n%q", w, m.width, l)
					}
					for _, r := range ansi.Strip(l) {
						if r < 0x20 || r >= 0x7f && r < 0xa0 {
							t.Fatalf("%q is in the line %q", r, l)
						}
					}
				}
			},
		})
	})
}
