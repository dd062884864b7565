package record

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// anIncident is a quarter of an hour in which a pool fills within three minutes, is
// empty of ports for two, and drains. Refusals come while it is full.
func anIncident() []*Sample {
	var list []*Sample
	for i := range 90 {
		at := time.Duration(i) * 10 * time.Second
		held := 1000
		switch {
		case i >= 18 && i < 36:
			held = 1000 + (28232-1000)*(i-17)/18
		case i >= 36 && i < 48:
			held = 28232
		case i >= 48 && i < 60:
			held = 28232 - 27000*(i-47)/12
		}
		p := aPool("10.0.0.5:443", held)
		p.Owners = []pool.Owner{{PID: 812, Command: "nginx", Cgroup: "/system.slice/nginx.service", Ports: held / 2}}
		s := aSample(at, p, aPool("10.0.0.6:5432", 40))
		s.Interval = 10 * time.Second
		n := &s.Namespaces[0]
		n.Settings = []Setting{{"tcp_tw_reuse", "2"}}
		if i > 3 {
			n.Settings[0].Value = "0"
		}
		n.Judged = true
		if held == 28232 {
			n.Findings = []finding.Finding{{Code: "PR101", Severity: finding.Critical, Title: "no port is left", Evidence: []string{"28232 of 28232 held"}}}
			s.Refusals = []Refusal{{Netns: n.ID, Key: p.Key, Process: Process{PID: 812, Command: "nginx", Cgroup: "/system.slice/nginx.service"}, Errno: "EADDRNOTAVAIL", Count: 100 + i}}
		}
		list = append(list, s)
	}
	return list
}

func TestAStoryTellsWhatHappened(t *testing.T) {
	r, path := create(t, Options{})
	appendAll(t, r, anIncident()...)
	rec := openRecord(t, path)
	s, err := rec.Story(Query{Points: 45})
	if err != nil {
		t.Fatal(err)
	}
	if s.Samples != 90 || len(s.Gaps) != 0 || len(s.Pools) != 2 {
		t.Fatalf("%d samples, gaps %v, %d pools", s.Samples, s.Gaps, len(s.Pools))
	}
	p := s.Pools[0]
	if p.Key.Dst.String() != "10.0.0.5:443" || p.Peak.Held != 28232 || !p.PeakAt.Equal(began.Add(350*time.Second)) {
		t.Errorf("the fullest is %v with %d at %v", p.Key, p.Peak.Held, p.PeakAt)
	}
	wantRefused := 0
	for i := 35; i < 48; i++ {
		wantRefused += 100 + i
	}
	if p.Refused != wantRefused || s.Refused != wantRefused || len(s.Refusals) != 13 {
		t.Errorf("%d, %d refused in %d rows, want %d", p.Refused, s.Refused, len(s.Refusals), wantRefused)
	}
	// Held to 90 %, 25,409 ports: from the 34th sample on.
	if d := cmp.Diff([]Spell{{From: began.Add(340 * time.Second).Local(), To: began.Add(490 * time.Second).Local(), Empty: true}}, p.Spells); d != "" {
		t.Errorf("spells (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]pool.Owner{{PID: 812, Command: "nginx", Cgroup: "/system.slice/nginx.service", Ports: 14116}}, p.Peak.Owners); d != "" {
		t.Errorf("holders (-want +got):\n%s", d)
	}
	if len(p.Points) != 45 || p.Points[0].Taken != 1000 || p.Points[20].Taken != 28232 || p.Points[44].Taken != 1000 {
		t.Errorf("points %+v", p.Points)
	}
	drawn := 0
	for _, q := range p.Points {
		drawn += q.Refused
	}
	if drawn != wantRefused {
		t.Errorf("the curve has %d refusals", drawn)
	}
	if len(s.Changes) != 1 || s.Changes[0].Before != "2" || !s.Changes[0].Time.Equal(began.Add(40*time.Second)) {
		t.Errorf("changes %+v", s.Changes)
	}
	if f := s.Findings; len(f) != 1 || !f[0].From.Equal(began.Add(350*time.Second)) || !f[0].To.Equal(began.Add(480*time.Second)) || f[0].Open {
		t.Errorf("findings %+v", s.Findings)
	}
}

// What was there when the recorder was stopped, and is not when it starts again, ended
// at the latest then, though no row says so.
func TestARestartEndsWhatIsGone(t *testing.T) {
	r, path := create(t, Options{})
	full := aSample(0, aPool("10.0.0.5:443", 28232))
	full.Namespaces[0].Judged = true
	full.Namespaces[0].Findings = []finding.Finding{{Code: "PR101", Severity: finding.Critical, Title: "no port is left"}}
	appendAll(t, r, full)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Create(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, after := range []time.Duration{10 * time.Second, 20 * time.Second} {
		s := aSample(after)
		s.Namespaces[0].Judged = true
		appendAll(t, r, s)
	}
	s, err := openRecord(t, path).Story(Query{})
	if err != nil {
		t.Fatal(err)
	}
	ended := began.Add(10 * time.Second)
	if p := s.Pools[0]; len(p.Spells) != 1 || p.Spells[0].Open || !p.Spells[0].To.Equal(ended) {
		t.Errorf("spells %+v", p.Spells)
	}
	if len(s.Findings) != 1 || s.Findings[0].Open || !s.Findings[0].To.Equal(ended) {
		t.Errorf("findings %+v", s.Findings)
	}
}

func TestAStoryIsAboutWhatWasAsked(t *testing.T) {
	r, path := create(t, Options{})
	appendAll(t, r, anIncident()...)
	rec := openRecord(t, path)
	for name, c := range map[string]struct {
		query          Query
		pools, samples int
	}{
		"a destination":                       {Query{Dst: netip.MustParseAddr("10.0.0.6")}, 1, 90},
		"a destination and port":              {Query{Dst: netip.MustParseAddr("10.0.0.6"), DstPort: 5432}, 1, 90},
		"another port":                        {Query{Dst: netip.MustParseAddr("10.0.0.6"), DstPort: 80}, 0, 90},
		"a source":                            {Query{Src: netip.MustParseAddr("10.0.0.1")}, 2, 90},
		"another source":                      {Query{Src: netip.MustParseAddr("10.0.0.2")}, 0, 90},
		"a protocol":                          {Query{Proto: socket.UDP}, 0, 90},
		"another namespace":                   {Query{Netns: 7}, 0, 90},
		"the tightest only":                   {Query{Top: 1}, 1, 90},
		"a minute":                            {Query{Since: began.Add(time.Minute), Until: began.Add(2 * time.Minute)}, 2, 7},
		"a time of which nothing is recorded": {Query{Since: began.Add(time.Hour)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := rec.Story(c.query)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Pools) != c.pools || s.Samples != c.samples {
				t.Errorf("%d pools, %d samples: want %d, %d", len(s.Pools), s.Samples, c.pools, c.samples)
			}
		})
	}
	// What had begun before holds at the first moment.
	s, err := rec.Story(Query{Since: began.Add(415 * time.Second), Until: began.Add(425 * time.Second), Points: 10})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Pools[0]
	if p.Peak.Held != 28232 || len(p.Spells) != 1 || !p.Spells[0].Open || !p.Spells[0].From.Equal(began.Add(420*time.Second)) {
		t.Errorf("in the middle of it: %+v", p)
	}
}

// Whatever is recorded, with whole samples and restarts anywhere, each moment is told
// as it was, and the peaks of a story are those of its samples.
func TestARecordTellsWhatWasAppended(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", runs))
		r, err := Create(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		defer func() { _ = r.Close() }()
		dsts := []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "[2001:db8::1]:80"}
		var want []*Sample
		at := time.Duration(0)
		for range rapid.IntRange(1, 25).Draw(t, "samples") {
			s := aSample(at)
			at += time.Second
			s.Namespaces = nil
			for ns := range uint64(rapid.IntRange(0, 2).Draw(t, "namespaces")) {
				n := aSample(0).Namespaces[0]
				n.ID = ns + 1
				n.Holders = rapid.Bool().Draw(t, "holders asked")
				for _, dst := range dsts {
					if held := rapid.SampledFrom([]int{0, 0, 1, 2, 28232}).Draw(t, dst); held > 0 {
						n.Pools = append(n.Pools, aPool(dst, held))
					}
				}
				s.Namespaces = append(s.Namespaces, n)
			}
			switch rapid.SampledFrom([]string{"", "", "", "whole", "restart"}).Draw(t, "how") {
			case "whole":
				r.span.began = time.Time{}
			case "restart":
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				if r, err = Create(path, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Append(s); err != nil {
				t.Fatal(err)
			}
			want = append(want, s)
		}
		rec, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer rec.Close()
		type name struct {
			netns uint64
			key   pool.Key
		}
		peaks := make(map[name]int)
		from := rapid.IntRange(0, len(want)-1).Draw(t, "since")
		for i, w := range want {
			m, err := rec.At(w.Time)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Namespaces) != len(w.Namespaces) {
				t.Fatalf("sample %d has %d namespaces, want %d", i, len(m.Namespaces), len(w.Namespaces))
			}
			for j := range w.Namespaces {
				pools := append([]pool.Pool(nil), w.Namespaces[j].Pools...)
				sortPools(pools)
				if d := same(pools, m.Namespaces[j].Pools); d != "" {
					t.Fatalf("sample %d, namespace %d (-want +got):\n%s", i, j, d)
				}
				for _, p := range pools {
					if i >= from {
						n := name{w.Namespaces[j].ID, p.Key}
						peaks[n] = max(peaks[n], p.Held)
					}
				}
			}
		}
		// In one part for each sample the curve says what that sample said.
		story, err := rec.Story(Query{Since: want[from].Time, Points: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range story.Pools {
			for i, w := range want[from:] {
				held := 0
				for _, n := range w.Namespaces {
					for _, q := range n.Pools {
						if n.ID == p.Netns && q.Key == p.Key {
							held = q.Held
						}
					}
				}
				if q := p.Points[i]; q.Taken != held || q.Present != (held > 0) {
					t.Errorf("%v: sample %d is drawn as %+v, %d were held", p.Key, from+i, q, held)
				}
			}
		}
		story, err = rec.Story(Query{Since: want[from].Time, Points: 7})
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[name]int)
		for _, p := range story.Pools {
			n := name{p.Netns, p.Key}
			got[n] = p.Peak.Held
			drawn := 0
			for _, q := range p.Points {
				drawn = max(drawn, q.Taken)
			}
			if drawn != p.Peak.Held {
				t.Errorf("the curve of %v reaches %d, its peak is %d", p.Key, drawn, p.Peak.Held)
			}
		}
		if d := cmp.Diff(peaks, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
			t.Errorf("peaks (-want +got):\n%s", d)
		}
	})
}
