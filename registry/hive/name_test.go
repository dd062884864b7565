package hive

import "testing"

func TestNamesAreComparedInCapitals(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"Tcpip", "TCPIP", 0},
		{"größe", "GRÖßE", 0},
		{"ÿ", "Ÿ", 0}, // one byte, and two
		{"жук", "ЖУК", 0},
		{"a", "b", -1},
		{"a", "aa", -1},
		{"_", "a", 1}, // capitals lie before it
		{"Z", "a", 1},
		{"µ", "Μ", -1}, // the micro sign has no capital
		{"ı", "I", 1},
		{"😀", "\uffff", -1}, // units of 16 bits, not characters
		{"", "a", -1},
	} {
		a, _ := encodeName(c.a)
		b, _ := encodeName(c.b)
		sign := func(n int) int { return min(1, max(-1, n)) }
		if got, back := sign(a.compare(b)), sign(b.compare(a)); got != c.want || back != -c.want || a.same(b) != (c.want == 0) {
			t.Errorf("%q and %q: %d, the other way %d, the same: %v", c.a, c.b, got, back, a.same(b))
		}
	}
}

func TestNamesAreAsShortAsTheyCanBe(t *testing.T) {
	for s, c := range map[string]struct {
		bytes  int
		narrow bool
	}{"": {0, true}, "abc": {3, true}, "Größe": {5, true}, "€": {2, false}, "a日": {4, false}, "😀": {4, false}} {
		n, ok := encodeName(s)
		if !ok || n.narrow != c.narrow || len(n.raw) != c.bytes || n.String() != s {
			t.Errorf("%q: %d bytes, narrow %v, read as %q", s, len(n.raw), n.narrow, n)
		}
	}
	if _, ok := encodeName("\xff"); ok {
		t.Error("no text is taken for a name")
	}
}
