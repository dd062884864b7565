package survey

import "testing"

func TestParseAllocated(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int
		fails      bool
	}{
		{"as the kernel writes it", "sockets: used 50\nTCP: inuse 5 orphan 0 tw 10 alloc 51 mem 0\nUDP: inuse 7 mem 0\n", 51, false},
		{"without alloc", "TCP: inuse 5 orphan 0\n", 0, true},
		{"without TCP", "UDP: inuse 7 alloc 3\n", 0, true},
		{"cut short", "TCP: inuse 5 alloc", 0, true},
		{"no number", "TCP: alloc many\n", 0, true},
		{"a negative number", "TCP: alloc -1\n", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseAllocated(c.text)
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func FuzzParseAllocated(f *testing.F) {
	f.Add("TCP: inuse 5 orphan 0 tw 10 alloc 51 mem 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseAllocated(text); n < 0 || err != nil && n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}
