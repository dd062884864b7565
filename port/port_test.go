package port

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want Range
		err  string
	}{
		"the kernel's form":            {"32768\t60999\n", Range{32768, 60999}, ""},
		"blanks instead of a tab":      {" 1024   65535 ", Range{1024, 65535}, ""},
		"with a hyphen":                {"5000-5000", Range{5000, 5000}, ""},
		"the whole space":              {"0 65535", Range{0, 65535}, ""},
		"the wrong way round":          {"60999 32768", Range{}, "the range 60999 to 32768 is the wrong way round: the first port must not be above the last"},
		"one number":                   {"32768", Range{}, `"32768" is no range of ports: want two numbers such as 32768 60999`},
		"three numbers":                {"1 2 3", Range{}, `"1 2 3" is no range of ports: want two numbers such as 32768 60999`},
		"nothing":                      {"", Range{}, `"" is no range of ports: want two numbers such as 32768 60999`},
		"a number too large":           {"1024 65536", Range{}, `"65536" is no port: want a number from 0 to 65535`},
		"a negative number":            {"-1 5", Range{}, `"-1" is no port: want a number from 0 to 65535`},
		"a word":                       {"low high", Range{}, `"low" is no port: want a number from 0 to 65535`},
		"garbage is cut in the answer": {strings.Repeat("x", 100), Range{}, `"` + strings.Repeat("x", 40) + `…" is no range of ports: want two numbers such as 32768 60999`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRange(c.in)
			if got != c.want || message(err) != c.err {
				t.Errorf("ParseRange(%q) = %v, %q\nwant %v, %q", c.in, got, message(err), c.want, c.err)
			}
		})
	}
}

func TestParseSet(t *testing.T) {
	const accepted = " is neither a port nor a range: want a list such as 8080,9000-9100 with numbers from 0 to 65535"
	for name, c := range map[string]struct{ in, want, err string }{
		"empty":                    {"\n", "", ""},
		"ports and ranges":         {"8080,9000-9100\n", "8080,9000-9100", ""},
		"neighbours become ranges": {"5,3,4", "3-5", ""},
		"the whole space":          {"0-65535", "0-65535", ""},
		"the last port":            {"65535", "65535", ""},
		"an empty item":            {"1,,2", "", `""` + accepted},
		"the wrong way round":      {"9-8", "", "the range 9-8 is the wrong way round: the first port must not be above the last"},
		"a blank inside":           {"1, 2", "", `" 2"` + accepted},
		"a number too large":       {"70000", "", `"70000"` + accepted},
		"a half range":             {"7-", "", `"7-"` + accepted},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSet(c.in)
			if got.String() != c.want || message(err) != c.err {
				t.Errorf("ParseSet(%q) = %q, %q\nwant %q, %q", c.in, got.String(), message(err), c.want, c.err)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A set behaves as the plain map of what was put in and taken out.
func TestSetBehavesAsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(t *rapid.T) (Set, map[uint16]bool) {
			var s Set
			m := make(map[uint16]bool)
			// Few ports, some around the ends of words, so that they meet.
			ports := rapid.SampledFrom([]uint16{0, 1, 62, 63, 64, 65, 127, 128, 1000, 65472, 65534, 65535})
			for range rapid.IntRange(0, 12).Draw(t, "steps") {
				a, b := ports.Draw(t, "a"), ports.Draw(t, "b")
				r := Range{min(a, b), max(a, b)}
				switch rapid.IntRange(0, 3).Draw(t, "op") {
				case 0:
					s.Add(a)
					m[a] = true
				case 1:
					s.Remove(a)
					delete(m, a)
				case 2:
					s.AddRange(r)
					for p := int(r.First); p <= int(r.Last); p++ {
						m[uint16(p)] = true
					}
				case 3:
					s.Clip(r)
					for p := range m {
						if !r.Contains(p) {
							delete(m, p)
						}
					}
				}
			}
			return s, m
		}
		s, m := draw(t)
		same := func(what string, s *Set, in func(uint16) bool) {
			n := 0
			for p := range 1 << 16 {
				if s.Contains(uint16(p)) != in(uint16(p)) {
					t.Fatalf("%s: port %d is %v", what, p, s.Contains(uint16(p)))
				}
				if in(uint16(p)) {
					n++
				}
			}
			if s.Len() != n {
				t.Fatalf("%s: Len is %d, want %d", what, s.Len(), n)
			}
		}
		same("after the steps", &s, func(p uint16) bool { return m[p] })
		if all := slices.Collect(s.All()); len(all) != len(m) || !slices.IsSorted(all) {
			t.Fatalf("All yields %d ports, want %d in order", len(all), len(m))
		}
		u, n := draw(t)
		both := s
		both.Union(&u)
		same("union", &both, func(p uint16) bool { return m[p] || n[p] })
		both = s
		both.Subtract(&u)
		same("difference", &both, func(p uint16) bool { return m[p] && !n[p] })
		both = s
		both.Intersect(&u)
		same("intersection", &both, func(p uint16) bool { return m[p] && n[p] })

		a, b := rapid.Uint16().Draw(t, "first"), rapid.Uint16().Draw(t, "last")
		r := Range{min(a, b), max(a, b)}
		in := 0
		for p := range m {
			if r.Contains(p) {
				in++
			}
		}
		if got := s.LenIn(r); got != in {
			t.Fatalf("LenIn(%v) = %d, want %d", r, got, in)
		}
		back, err := ParseSet(s.String())
		if err != nil || back != s {
			t.Fatalf("ParseSet(%q) is another set: %v", s.String(), err)
		}
	})
}

func TestRangeCountsBothEnds(t *testing.T) {
	r := Range{32768, 60999}
	if r.Len() != 28232 || r.Odd() || !r.Contains(32768) || !r.Contains(60999) || r.Contains(61000) {
		t.Errorf("%v: %d ports, odd %v", r, r.Len(), r.Odd())
	}
	if (Range{32768, 61000}).Odd() != true {
		t.Error("32768-61000 has 28,233 ports, an odd number")
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("32768\t60999")
	f.Add("1-2")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		if back, err := ParseRange(r.String()); back != r || err != nil {
			t.Errorf("%q reads as %v, which reads as %v, %v", s, r, back, err)
		}
	})
}

func FuzzParseSet(f *testing.F) {
	f.Add("8080,9000-9100")
	f.Add("0-65535,3")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSet(text)
		if err != nil {
			return
		}
		if back, err := ParseSet(s.String()); back != s || err != nil {
			t.Errorf("%q reads as %q, which does not read back: %v", text, s.String(), err)
		}
	})
}

func BenchmarkSetLenIn(b *testing.B) {
	var s Set
	s.AddRange(Range{1000, 50000})
	for b.Loop() {
		s.LenIn(Range{32768, 60999})
	}
}
