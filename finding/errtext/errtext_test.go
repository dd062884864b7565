package errtext

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

func TestLookupTakesNumbersNamesAndEvents(t *testing.T) {
	for _, c := range []struct {
		what    string
		here    finding.System
		name    string
		system  finding.System
		number  int
		verdict Verdict
		cause   string
	}{
		{"10055", linux, "WSAENOBUFS", windows, 10055, Likely, "PR101"},
		{"99", linux, "EADDRNOTAVAIL", linux, 99, Possible, "PR101"},
		{"-99", linux, "EADDRNOTAVAIL", linux, 99, Possible, "PR101"},
		{"98", linux, "EADDRINUSE", linux, 98, Possible, "PR902"},
		{"11", linux, "EAGAIN", linux, 11, Possible, "PR910"},
		{"35", linux, "EAGAIN", darwin, 35, Possible, "PR910"},
		{"49", linux, "EADDRNOTAVAIL", darwin, 49, Possible, "PR101"},
		{"49", freebsd, "EADDRNOTAVAIL", freebsd, 49, Possible, "PR101"},
		{"48", linux, "EADDRINUSE", darwin, 48, Possible, "PR902"},
		{"55", darwin, "ENOBUFS", darwin, 55, No, "PR905"},
		{"105", linux, "ENOBUFS", linux, 105, No, "PR905"},
		{"10048", linux, "WSAEADDRINUSE", windows, 10048, Possible, "PR902"},
		{"10049", linux, "WSAEADDRNOTAVAIL", windows, 10049, No, "PR903"},
		{"10013", linux, "WSAEACCES", windows, 10013, No, "PR205"},
		{"24", linux, "EMFILE", linux, 24, No, "PR904"},
		{"111", linux, "ECONNREFUSED", linux, 111, No, "PR906"},
		{"10061", windows, "WSAECONNREFUSED", windows, 10061, No, "PR906"},
		{"0xC0000209", linux, "STATUS_TOO_MANY_ADDRESSES", windows, 0xC0000209, Likely, "PR101"},
		{"0xc000020a", linux, "STATUS_ADDRESS_ALREADY_EXISTS", windows, 0xC000020A, Possible, "PR902"},
		{"3221225993", linux, "STATUS_TOO_MANY_ADDRESSES", windows, 0xC0000209, Likely, "PR101"},
		{"0x2747", linux, "WSAENOBUFS", windows, 10055, Likely, "PR101"},
		{"WSAENOBUFS", linux, "WSAENOBUFS", windows, 10055, Likely, "PR101"},
		{"wsaenobufs", linux, "WSAENOBUFS", windows, 10055, Likely, "PR101"},
		{"ENOBUFS", linux, "ENOBUFS", linux, 105, No, "PR905"},
		{"ENOBUFS", windows, "WSAENOBUFS", windows, 10055, Likely, "PR101"},
		{"EADDRNOTAVAIL", linux, "EADDRNOTAVAIL", linux, 99, Possible, "PR101"},
		{"EADDRNOTAVAIL", darwin, "EADDRNOTAVAIL", darwin, 49, Possible, "PR101"},
		{"EWOULDBLOCK", linux, "EAGAIN", linux, 11, Possible, "PR910"},
		{"STATUS_TOO_MANY_ADDRESSES", linux, "STATUS_TOO_MANY_ADDRESSES", windows, 0xC0000209, Likely, "PR101"},
		{"event 4227", linux, "event 4227", windows, 4227, Likely, "PR913"},
		{"Event ID: 4231", linux, "event 4231", windows, 4231, Likely, "PR101"},
		{"4266", linux, "event 4266", windows, 4266, Likely, "PR121"},
		{"event 4226", linux, "event 4226", windows, 4226, No, "PR106"},
		{"connect: cannot assign requested address", windows, "EADDRNOTAVAIL", linux, 99, Likely, "PR101"},
		{"connect EADDRNOTAVAIL 10.0.0.5:80", darwin, "EADDRNOTAVAIL", darwin, 49, Likely, "PR101"},
	} {
		t.Run(c.what+" on "+string(c.here), func(t *testing.T) {
			m, ok := Lookup(c.what, c.here)
			if !ok || m.Name != c.name || m.System != c.system || m.Number != c.number {
				t.Fatalf("%v: %q on %q is %d, want %q on %q, %d", ok, m.Name, m.System, m.Number, c.name, c.system, c.number)
			}
			e := Explain(m, nil, nil)
			if e.Exhaustion != c.verdict || e.Causes[0].Code != c.cause {
				t.Errorf("exhaustion %s by %s, want %s by %s", e.Exhaustion, e.Causes[0].Code, c.verdict, c.cause)
			}
			if e.Causes[0].Remedy == "" || e.Causes[0].Text == "" {
				t.Errorf("without text or remedy: %+v", e.Causes[0])
			}
			for i, mean := range m.Meanings() {
				if mean.Text == "" || i == 0 && mean.System != m.System {
					t.Errorf("meaning %d is %+v", i, mean)
				}
			}
		})
	}
}

func TestWhatIsNoErrorIsNotRecognised(t *testing.T) {
	for _, what := range []string{
		"", "0", "7", "65535", "99999999", "1e3", "0x", "0xC0000005", "event 7036", "event", "ENOENT", "WSA", "E", "-", "none",
		"GET /index.html HTTP/1.1\" 200 99", "took 99 ms", "port 10055 is open", "error 10", "the address is fine (99)", "PID (98)",
		"2018/09/29 23:34:57 [info] 4793#4793: *210641 client closed connection", "job 0xC0000209ab done", "code 98",
	} {
		if m, ok := Lookup(what, linux); ok {
			t.Errorf("%q is taken for %+v", what, m)
		}
	}
}

var update = flag.Bool("update", false, "write the causes of docs/findings.md")

// The causes of the page are written from the table: go test ./finding/errtext -update
func TestThePageIsWrittenFromTheCauses(t *testing.T) {
	const page, begin, end = "../../docs/findings.md", "<!-- causes -->\n", "<!-- end of causes -->\n"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q and %q", page, begin, end)
	}
	table := "| code | cause | remedy |\n|---|---|---|\n"
	for _, code := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(code, "PR9") {
			table += fmt.Sprintf("| %s | %s | %s |\n", code, known[code].text, known[code].remedy)
		} else if !slices.ContainsFunc(finding.Rules(), func(r finding.Rule) bool { return r.Code == code }) {
			t.Errorf("%s is neither a cause of its own nor a finding", code)
		}
	}
	want := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Errorf("%s is not what the causes say: go test ./finding/errtext -update", page)
	}
}

func TestEveryErrorHasACauseAndAMeaningOnEverySystem(t *testing.T) {
	for i := range allErrors {
		for _, s := range systems {
			if allErrors[i].numbers[s] == 0 {
				continue
			}
			for _, call := range []Call{AnyCall, Connect, Bind, Listen, Open, Accept, Send} {
				m := on(&allErrors[i], s)
				m.Call = call
				e := Explain(m, nil, nil)
				if len(e.Causes) == 0 {
					t.Errorf("%s on %s in %q has no cause", m.Name, s, call)
				}
				sum := 0.0
				for _, c := range e.Causes {
					sum += c.Weight
					if c.Text == "" {
						t.Errorf("cause %s is not described", c.Code)
					}
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("the weights of %s on %s in %q are %v together", m.Name, s, call, sum)
				}
				if means := m.Meanings(); len(means) == 0 || means[0].System != s || means[0].Text == "" {
					t.Errorf("%s on %s: %+v", m.Name, s, means)
				}
			}
		}
	}
}

// pools are those of a host that looks at one destination.
func facts(held int, ipv6 socket.Tri) *finding.Facts {
	p := pool.Pool{
		Key:   pool.Key{Proto: socket.TCP, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddrPort("10.0.0.5:80")},
		Range: 10, Capacity: 10, Held: held, Headroom: 10 - held, HeadroomMax: 10 - held,
	}
	return &finding.Facts{System: linux, Pools: []pool.Pool{p}, IPv6: ipv6}
}

func TestEvidenceChangesWhatIsLikely(t *testing.T) {
	for _, c := range []struct {
		name, what string
		facts      *finding.Facts
		verdict    Verdict
		cause      string
	}{
		{"without evidence", "99", nil, Possible, "PR101"},
		{"an exhausted pool", "99", facts(10, socket.Yes), Likely, "PR101"},
		{"no pool is tight", "99", facts(1, socket.Yes), Possible, "PR901"},
		{"the pool of the destination is exhausted", "dial tcp 10.0.0.5:80: connect: cannot assign requested address", facts(10, socket.Yes), Likely, "PR101"},
		{"another pool is exhausted", "dial tcp 10.0.0.6:80: connect: cannot assign requested address", facts(10, socket.Yes), Possible, "PR101"},
		{"the pool of the destination is nearly empty", "dial tcp 10.0.0.5:80: connect: cannot assign requested address", facts(1, socket.Yes), Possible, "PR101"},
		{"IPv6 without an address", "connect() to [::1]:80 failed (99: Cannot assign requested address)", facts(10, socket.No), No, "PR903"},
		{"localhost, IPv6 without an address", "ssh: connect to host localhost port 22: Cannot assign requested address", facts(1, socket.No), No, "PR903"},
		{"bind is never about ports", "bind: cannot assign requested address", facts(10, socket.Yes), No, "PR901"},
		{"the error of another system", "10055", facts(1, socket.Yes), Likely, "PR101"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, ok := Lookup(c.what, linux)
			if !ok {
				t.Fatal("not recognised")
			}
			var found []finding.Finding
			if c.facts != nil {
				found = finding.Judge(c.facts)
			}
			e := Explain(m, c.facts, found)
			if e.Exhaustion != c.verdict || e.Causes[0].Code != c.cause {
				t.Errorf("exhaustion %s by %+v, want %s by %s", e.Exhaustion, e.Causes, c.verdict, c.cause)
			}
			if want := c.facts != nil && m.System == linux; e.Measured != want {
				t.Errorf("measured %v, want %v", e.Measured, want)
			}
		})
	}
}

func TestTimesOfCommonLogs(t *testing.T) {
	for line, want := range map[string]string{
		"2018/09/29 23:34:57 [crit] x":                                        "2018-09-29 23:34:57",
		"[2024-02-01T02:45:04Z ERROR x]":                                      "2024-02-01 02:45:04",
		`time="2023-10-11T00:04:57+02:00" level=warning`:                      "2023-10-11 00:04:57",
		"[2023-06-30 10:54:39,863: ERROR/MainProcess] x":                      "2023-06-30 10:54:39",
		"Feb 23 16:44:36 jobs kernel: [38775494.393661] x":                    "Feb 23 16:44:36",
		"Apr  2 02:32:19 host sshd: x":                                        "Apr  2 02:32:19",
		`192.168.0.1 - - [21/Oct/2019:05:22:54 +0100] "x"`:                    "2019-10-21 05:22:54",
		"[Thu Apr 02 02:32:19.328709 2020] [:error] x":                        "2020-04-02 02:32:19",
		"18651:C 07 Jun 2018 16:49:09.526 # x":                                "2018-06-07 16:49:09",
		"Date:          12/2/2013 11:52:26 AM":                                "2013-12-02 11:52:26",
		"20180225185705: Waiting for connection ...":                          "2018-02-25 18:57:05",
		"2018-13-45 99:99:99 no time":                                         "",
		"no time":                                                             "",
		strings.Repeat("x", 300) + " 2018/09/29 23:34:57 is too far to count": "",
	} {
		if got := When(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestATallyCountsAndKeepsFirstAndLast(t *testing.T) {
	var tally Tally
	for _, line := range []string{
		"2018/09/29 23:34:50 started",
		"2018/09/29 23:34:57 dial tcp 10.0.0.5:80: connect: cannot assign requested address",
		"java.net.SocketException: Too many open files",
		"\tat java.net.PlainSocketImpl.socketAccept(Native Method)",
		"2018/09/29 23:35:10 dial tcp 10.0.0.5:80: connect: cannot assign requested address",
		"2018/09/29 23:36:00 stopped",
	} {
		tally.Add(line)
	}
	if tally.Lines != 6 || tally.Recognised != 3 || len(tally.Kinds) != 2 {
		t.Fatalf("%+v", tally)
	}
	k := tally.Kinds[0]
	if k.Count != 2 || k.First != "2018-09-29 23:34:57" || k.Last != "2018-09-29 23:35:10" || k.Line != 2 || !k.Match.Dst.IsValid() {
		t.Errorf("%+v", k)
	}
	if k := tally.Kinds[1]; k.Count != 1 || k.First != "2018-09-29 23:34:57" {
		t.Errorf("a line without time does not have that of the line before: %+v", k)
	}
	tally.Add("dial tcp 10.0.0.6:80: connect: cannot assign requested address")
	if tally.Kinds[0].Match.Dst.IsValid() {
		t.Error("a kind with two destinations names one")
	}
}

func TestATallyOfAHostileLogIsBounded(t *testing.T) {
	var tally Tally
	for i := range 14 {
		for _, call := range []string{"connect()", "bind()", "listen tcp", "accept", "wsasend", ": socket:", "x"} {
			for _, s := range systems {
				tally.Add(fmt.Sprintf("%s %s errno=%d %s", call, allErrors[i].Name, allErrors[i].numbers[s], strings.Repeat("z", 500)))
			}
		}
	}
	if len(tally.Kinds) > MaxKinds || tally.Others == 0 || tally.Recognised != tally.Lines {
		t.Errorf("%d kinds, %d others, %d of %d", len(tally.Kinds), tally.Others, tally.Recognised, tally.Lines)
	}
	sum := tally.Others
	for _, k := range tally.Kinds {
		sum += k.Count
		if len(k.Example) > maxExample+len("…") {
			t.Errorf("an example of %d bytes", len(k.Example))
		}
	}
	if sum != tally.Recognised {
		t.Errorf("%d counted, want %d", sum, tally.Recognised)
	}
}

// Any bytes may come; what is kept of them can be shown.
func FuzzRecognise(f *testing.F) {
	for _, c := range messages(f) {
		f.Add(c.text)
	}
	f.Add("\xff\xfe\x00[errno 99]\x1b[31m")
	f.Fuzz(func(t *testing.T, line string) {
		var tally Tally
		tally.Add(line)
		tally.Add(line)
		if tally.Recognised == 1 {
			t.Error("the same line is recognised once and not the second time")
		}
		m, ok := Lookup(line, linux)
		if ok {
			if m.System != "" && m.Name == "" {
				t.Errorf("%+v has no name", m)
			}
			if e := Explain(m, nil, nil); len(e.Causes) == 0 {
				t.Errorf("%+v has no cause", m)
			}
			m.Meanings()
		}
		for _, k := range tally.Kinds {
			if !utf8.ValidString(k.Example) || strings.ContainsAny(k.Example, "\x1b\x00\n\r") {
				t.Errorf("the example cannot be shown: %q", k.Example)
			}
		}
	})
}

func BenchmarkRecogniseAnOrdinaryLine(b *testing.B) {
	line := `192.0.2.7 - - [21/Oct/2019:05:22:54 +0100] "GET /a/path?with=a&query=of&some=length HTTP/1.1" 200 5316 "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64)"`
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		Recognise(line)
	}
}
