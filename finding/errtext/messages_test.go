package errtext

import (
	"os"
	"strings"
	"testing"

	"github.com/portroom/portroom/finding"
)

// message is a row of testdata/messages.txt.
type message struct {
	err     string
	system  finding.System
	call    Call
	cause   string
	verdict Verdict
	source  string
	text    string
}

func messages(t testing.TB) []message {
	t.Helper()
	file, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []message
	for line := range strings.Lines(string(file)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, "|", 7)
		if len(f) != 7 {
			t.Fatalf("%q has %d fields, want 7", line, len(f))
		}
		out = append(out, message{f[0], finding.System(f[1]), Call(f[2]), f[3], Verdict(f[4]), f[5], f[6]})
	}
	return out
}

func TestRealMessagesAreRecognised(t *testing.T) {
	all := messages(t)
	if len(all) < 60 {
		t.Errorf("%d messages, want at least 60", len(all))
	}
	for _, c := range all {
		t.Run(c.source, func(t *testing.T) {
			m, ok := Recognise(c.text)
			if !ok {
				t.Fatalf("not recognised: %s", c.text)
			}
			name := m.Name
			if m.Err != nil {
				name = m.Err.Name
			}
			if name != c.err || m.System != c.system || m.Call != c.call {
				t.Errorf("%s on %q in %q, want %s on %q in %q: %s", name, m.System, m.Call, c.err, c.system, c.call, c.text)
			}
			if m.Err != nil && m.System != "" && m.Number != m.Err.Number(m.System) {
				t.Errorf("number %d, want %d", m.Number, m.Err.Number(m.System))
			}
			e := Explain(m, nil, nil)
			if e.Causes[0].Code != c.cause || e.Exhaustion != c.verdict {
				t.Errorf("exhaustion %s by %+v, want %s by %s: %s", e.Exhaustion, e.Causes, c.verdict, c.cause, c.text)
			}
		})
	}
}
