package top

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

func itoa(n int) string { return strconv.Itoa(n) }

// user is somebody in front of the screen.
type user struct {
	*testing.T
	*Model
	asked []Request
	quit  bool
}

func newUser(t *testing.T, w, h int, opt Options) *user {
	u := &user{T: t}
	opt.Request = Request{Scope: Scope{ID: netnsID}}
	opt.Ask = func(r Request) { u.asked = append(u.asked, r) }
	u.Model = New(opt)
	u.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return u
}

// keys presses one key after the other; a word of one letter is that letter.
func (u *user) keys(keys ...string) {
	u.Helper()
	named := map[string]tea.Key{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "backspace": {Code: tea.KeyBackspace},
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
		"pgdown": {Code: tea.KeyPgDown}, "pgup": {Code: tea.KeyPgUp}, "space": {Code: tea.KeySpace, Text: " "},
		"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+z": {Code: 'z', Mod: tea.ModCtrl},
	}
	for _, name := range keys {
		k, ok := named[name]
		if !ok {
			r := []rune(name)
			if len(r) != 1 {
				u.Fatalf("there is no key %q", name)
			}
			k = tea.Key{Code: r[0], Text: name}
		}
		_, cmd := u.Update(tea.KeyPressMsg(k))
		if cmd != nil {
			_, u.quit = cmd().(tea.QuitMsg)
		}
	}
}

// shows wants texts on the screen.
func (u *user) shows(want ...string) {
	u.Helper()
	screen := ansi.Strip(u.Screen())
	for _, w := range want {
		if !strings.Contains(screen, w) {
			u.Errorf("%q is not on the screen:\n%s", w, screen)
		}
	}
}

func (u *user) hides(want ...string) {
	u.Helper()
	screen := ansi.Strip(u.Screen())
	for _, w := range want {
		if strings.Contains(screen, w) {
			u.Errorf("%q is on the screen:\n%s", w, screen)
		}
	}
}

// order is the destinations from top to bottom.
func (u *user) destinations() (list []string) {
	for i := range u.rows {
		list = append(list, destination(&u.rows[i]))
	}
	return list
}

func TestBeforeTheFirstMeasurementItSaysThatItMeasures(t *testing.T) {
	u := newUser(t, 80, 24, Options{})
	u.shows("portroom top", "measuring")
	u.keys("enter", "down", "s", "/", "x", "enter", "n", "?", "esc")
	u.keys("q")
	if !u.quit {
		t.Error("q does not quit")
	}
}

func TestTheTightestPoolIsOnTop(t *testing.T) {
	u := newUser(t, 140, 24, Options{})
	u.Update(shop())
	u.shows("shop-fe-3", "1 critical, 1 warning, 5 ok", "7312 connects refused since 11:57:00, 142/s now",
		"nginx[4121] to 10.20.0.5:443", "nginx[4121] 27810", "▸10.20.0.5:443", "+7312", "now", "612", "2% of a core", "every 1 s")
}

func TestSorting(t *testing.T) {
	for keys, first := range map[string]string{
		"":        "10.20.0.5:443",
		"r":       "udp from 10.0.0.7",
		"s":       "10.20.0.5:443",
		"ss":      "10.20.0.5:443",
		"sss":     "10.20.0.5:443",
		"ssss":    "10.20.0.5:443",
		"sssss":   "10.20.0.5:443",
		"ssssss":  "udp from 10.0.0.7",
		"ssssssr": "[2001:db8::20]:6379",
		"S":       "udp from 10.0.0.7",
		"sr":      "udp from 10.0.0.7",
		"ssssr":   "udp from 10.0.0.7",
	} {
		u := newUser(t, 80, 24, Options{})
		u.Update(shop())
		for _, k := range keys {
			u.keys(string(k))
		}
		if got := u.destinations(); got[0] != first || len(got) != 7 {
			t.Errorf("after %q the order is %v, want %s first", keys, got, first)
		}
	}
}

func TestEveryOrderSortsByItsColumn(t *testing.T) {
	value := map[order]func(*Row) float64{
		byLeft: func(r *Row) float64 { return float64(r.Pool.HeadroomMax) },
		byIn:   func(r *Row) float64 { return -r.In }, byOut: func(r *Row) float64 { return -r.Out },
		byFull: fullIn, byRefused: func(r *Row) float64 { return -float64(r.Refused) },
	}
	for o, of := range value {
		rows := shop().Rows
		slices.Reverse(rows)
		sortRows(rows, o, false)
		for i := 1; i < len(rows); i++ {
			if of(&rows[i-1]) > of(&rows[i]) {
				t.Errorf("by %s: %g before %g", orderNames[o], of(&rows[i-1]), of(&rows[i]))
			}
		}
	}
}

func TestTheFilterTakesEveryWordAnywhere(t *testing.T) {
	for filter, want := range map[string]int{
		"": 7, "443": 2, "NGINX": 2, "nginx 0.5": 1, "checkout": 3, "udp": 1, "consumer.service": 1, "shop": 7, "no-such": 0, "2001": 1,
	} {
		u := newUser(t, 80, 24, Options{})
		u.Update(shop())
		u.keys("/")
		for _, r := range filter {
			if r == ' ' {
				u.keys("space")
			} else {
				u.keys(string(r))
			}
		}
		u.shows("/" + filter)
		u.keys("enter")
		if len(u.rows) != want {
			t.Errorf("%q leaves %v, want %d", filter, u.destinations(), want)
		}
		if filter != "" {
			u.shows(itoa(want) + " of 7 pools")
		}
		if want == 0 {
			u.shows("no pool matches no-such")
		}
		u.keys("esc")
		if len(u.rows) != 7 {
			t.Error("esc does not take the filter away")
		}
	}
}

func TestTypingAFilterTakesLettersThatAreKeys(t *testing.T) {
	u := newUser(t, 80, 24, Options{})
	u.Update(shop())
	u.keys("/", "q", "s", "n", "?", "backspace", "backspace")
	if u.quit || u.filter != "qs" {
		t.Fatalf("the filter is %q, quit %t", u.filter, u.quit)
	}
	u.keys("esc")
	if u.filter != "" || u.typing {
		t.Errorf("after esc the filter is %q", u.filter)
	}
	u.keys("/", "4", "enter", "/", "9", "esc")
	if u.filter != "4" {
		t.Errorf("esc leaves the filter %q, want what it was", u.filter)
	}
	u.keys("/", "ctrl+c")
	if !u.quit {
		t.Error("Ctrl-C does not quit while typing")
	}
}

func TestTheCursorStaysOnItsPoolWhenRowsMove(t *testing.T) {
	u := newUser(t, 80, 24, Options{})
	u.Update(shop())
	u.keys("down", "down")
	u.shows("▸10.20.1.9:5432")
	s := shop()
	slices.Reverse(s.Rows[:3])
	s.Rows[0].Pool.Held, s.Rows[0].Pool.Headroom = capacity, 0
	s.Rows[2].Pool.Headroom = 20000
	u.Update(s)
	u.shows("▸10.20.1.9:5432")
	// At the top it stays at the top: there is the worst.
	u.keys("home")
	u.Update(shop())
	u.shows("▸10.20.0.5:443")
}

func TestPauseStopsTheScreenAndNotTheMeasuring(t *testing.T) {
	u := newUser(t, 100, 24, Options{})
	u.Update(shop())
	u.keys("space")
	later := shop()
	later.At, later.Refusals.Total = noon.Add(time.Minute), 9999
	u.Update(later)
	u.shows("paused 12:00:00", "7312 connects")
	// What is opened meanwhile is measured all the same.
	u.keys("enter")
	u.shows("measuring")
	later.Detail = look()
	u.Update(later)
	u.hides("measuring")
	u.shows("paused 12:00:00")
	u.keys("esc", "space")
	u.shows("12:01:00", "9999 connects")
	u.hides("paused")
}

func TestLookingIntoAPool(t *testing.T) {
	u := newUser(t, 200, 60, Options{})
	u.Update(shop())
	u.keys("enter")
	if len(u.asked) != 1 || u.asked[0].Detail == nil || *u.asked[0].Detail != shop().Rows[0].ID {
		t.Fatalf("it asks for %+v", u.asked)
	}
	u.shows("10.0.0.7 → 10.20.0.5:443", "measuring")
	s := shop()
	s.Detail = look()
	u.Update(s)
	u.shows("28229 of 28229 held: 1203 by connections, 27026 by TIME_WAIT. 0 left.", "The knee at 14114 is passed",
		"612 ports taken a second, 470 given back.", "Full now.", "7312 connects refused since 11:57:00, 142/s now.",
		"27810  nginx[4121]  /system.slice/nginx.service", "ESTABLISHED", "TIME_WAIT",
		"101002  nginx[4121] in nginx.service  7290 refused", "closed by peer", "under 8.0 ms", "16 ms", "33 ms and more",
		"32768 ", "28,232 ports in 32768-60999")
	// It goes, and comes again.
	s = shop()
	s.Rows = s.Rows[1:]
	u.Update(s)
	u.shows("No port of this pool is held any more")
	u.Update(shop())
	u.hides("any more")
	u.keys("esc")
	if got := u.asked[len(u.asked)-1]; got.Detail != nil {
		t.Errorf("after going back it asks for %+v", got)
	}
	u.shows("tightest first")
}

func TestAPageScrollsToItsEndAndNoFurther(t *testing.T) {
	u := newUser(t, 60, 12, Options{})
	s := shop()
	s.Detail = look()
	u.Update(s)
	u.keys("enter")
	u.shows("more lines")
	u.keys("end")
	u.hides("more lines")
	u.shows("up to 1/4, 1/2, 3/4")
	u.keys("end", "pgdown", "home")
	u.shows("held: 1203 by")
	u.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	u.hides("held: 1203 by")
}

func TestNamespacesAreChosen(t *testing.T) {
	u := newUser(t, 80, 24, Options{})
	u.Update(shop())
	u.keys("n")
	u.shows("which network namespace?", "all network namespaces", "docker 3f2a91c07be4", "▸shop-fe-3")
	u.keys("down", "enter")
	want := Scope{ID: 4026532100}
	if len(u.asked) != 1 || u.asked[0].Scope != want {
		t.Fatalf("it asks for %+v", u.asked)
	}
	u.shows("measuring …")
	u.Update(shop()) // was under way
	u.shows("measuring …")
	s := shop()
	s.Scope, s.Where = want, "web1"
	u.Update(s)
	u.shows("web1")
	u.hides("measuring", "NAMESPACE")
	u.keys("n", "home", "enter")
	s = shop()
	s.Scope, s.Where = Scope{All: true}, "all 3 network namespaces"
	u.Update(s)
	u.Update(tea.WindowSizeMsg{Width: 140, Height: 24})
	u.shows("all 3 network namespaces", "NAMESPACE", "shop ")
	u.keys("enter")
	u.shows("in shop")
}

func TestTheMouse(t *testing.T) {
	u := newUser(t, 100, 24, Options{})
	u.Update(shop())
	head := u.frame().head
	click := func(x, y int) { u.Update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft}) }
	click(5, head+2)
	u.shows("▸10.20.0.6:443")
	click(5, head+2)
	u.shows("10.0.0.7 → 10.20.0.6:443")
	u.keys("esc")
	click(5, head)
	u.shows("sorted by destination")
	click(5, head)
	u.shows("sorted by destination, reversed")
	u.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	u.Update(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
	click(5, 23)
	click(5, 0)
	click(99, head+20)
	u.keys("n")
	click(5, 4)
	if got := u.asked[len(u.asked)-1].Scope; got.ID != 4026532100 {
		t.Errorf("a click on the second namespace asks for %+v", got)
	}
}

func TestHelpCoversAndUncovers(t *testing.T) {
	u := newUser(t, 80, 30, Options{})
	u.Update(shop())
	u.keys("enter", "?")
	u.shows("what it shows, and its keys", "ports taken and given back a second")
	u.Update(shop())
	u.keys("?")
	u.shows("10.0.0.7 → 10.20.0.5:443")
}

func TestWhatIsNotKnownIsSaid(t *testing.T) {
	u := newUser(t, 120, 24, Options{})
	s := shop()
	s.Refusals = Refusals{Unseen: "to trace connections needs root"}
	s.Limited = "to read the bind buckets needs root"
	s.Rows[1].Rated, s.Rows[1].Forecast, s.Rows[1].Left = false, nil, "≥ 81"
	u.Update(s)
	u.shows("refusals are not seen: to trace connections needs root", "to read the bind buckets needs root", "≥ 81", " ? ")
	s = shop()
	s.Rows, s.Err = nil, errors.New("the namespace is gone")
	u.Update(s)
	u.shows("the namespace is gone", "10.20.0.5:443") // with what was measured last
	s = shop()
	s.Rows = nil
	u.Update(s)
	u.shows("no connection holds a port of the range")
}

func TestWithoutColourOnlyBoldFaintAndInverseAreUsed(t *testing.T) {
	for _, color := range []bool{false, true} {
		u := newUser(t, 120, 24, Options{Color: color})
		u.Update(shop())
		has := false
		for _, sgr := range []string{"31", "32", "33", "36"} {
			has = has || strings.Contains(u.Screen(), "\x1b["+sgr)
		}
		if has != color {
			t.Errorf("colour %t: colours on the screen %t", color, has)
		}
	}
}

func TestWhereThereIsOnlyASCIIThereIsOnlyASCII(t *testing.T) {
	u := newUser(t, 80, 40, Options{ASCII: true})
	s := shop()
	s.Detail = look()
	u.Update(s)
	for _, keys := range [][]string{{"up"}, {"enter"}, {"end"}, {"?"}, {"esc"}, {"esc", "n"}} {
		u.keys(keys...)
		for _, r := range u.Screen() {
			if r >= 0x80 {
				t.Errorf("after %v there is %q", keys, r)
				break
			}
		}
	}
}

func TestABarShowsTheFirstAndTheLastPort(t *testing.T) {
	m := New(Options{})
	for _, c := range []struct {
		open, timeWait int
		want           string
	}{
		{0, 0, "····╎····▏"},
		{1, 0, "█···╎····▏"},
		{0, 1, "▒···╎····▏"},
		{capacity - 1, 0, "████╎███·▏"},
		{capacity, 0, "████╎████▏"},
		{0, capacity, "▒▒▒▒╎▒▒▒▒▏"},
		{capacity / 2, capacity / 4, "████╎▒▒··▏"},
		{capacity - 1, 1, "████╎███▒▏"},
	} {
		r := rowTo("10.0.0.1:1", c.open, c.timeWait, 0, 0)
		if got := ansi.Strip(m.bar(&r, 10)); got != c.want {
			t.Errorf("%d open, %d TIME_WAIT: %q, want %q", c.open, c.timeWait, got, c.want)
		}
	}
}

func TestTimesAndRatesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 59*time.Second + 600*time.Millisecond: "1 min", 90 * time.Minute: "2 h", 47 * time.Hour: "47 h", 72 * time.Hour: "3 d",
	} {
		if got := shortSpan(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	for r, want := range map[float64]string{0: "0", 0.01: "<0.1", 0.26: "0.3", 9.94: "9.9", 9.96: "10", 28232: "28232"} {
		if got := perSecond(r); got != want {
			t.Errorf("%g is %q, want %q", r, got, want)
		}
	}
	for s, want := range map[float64]string{0: "0%", 0.001: "<1%", 0.999: "99%", 1: "100%", 0.5: "50%"} {
		if got := percent(s); got != want {
			t.Errorf("%g is %q, want %q", s, got, want)
		}
	}
	if fmt.Sprint(counted(1, "connect"), counted(2, "process")) != "1 connect2 processes" {
		t.Error(counted(1, "connect"), counted(2, "process"))
	}
}
