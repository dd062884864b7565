package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// A run of ten years at a million connects a second ends when it is told to, with
// what there is; until then a bar says how far it is.
func TestAnInterruptedSimulationPrintsWhatThereIs(t *testing.T) {
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, progress: true}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(time.Second, cancel)
	status := a.run(ctx, []string{"simulate", "--system", "linux", "--system", "macos", "--rate", "1e6", "--duration", "87600h"})
	if status != exitFailed {
		t.Errorf("exit status %d, want %d", status, exitFailed)
	}
	for _, want := range []string{"linux", "28232", "! linux: interrupted after ", "1 system not played"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, out.String())
		}
	}
	for _, want := range []string{"portroom: linux [....", "portroom: interrupted"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is not said: %q", want, errs.String())
		}
	}
}

func TestATraceIsReadOrSaysWhichLineIsWrong(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"seconds\n10.5\n10.5,x\n# more\n\n12\n", "0s 0s 1.5s"},
		{"1700000000.25 a\n1700000001 b", "0s 750ms"},
		{"", "there is no time in it: want seconds, one a line"},
		{"time", "there is no time in it: want seconds, one a line"},
		{"1\nx\n", `line 2: "x" is no time: want seconds such as 12.345`},
		{"1\n0.5\n", "line 2: 0.5 s comes after 1 s: want ascending times"},
		{"0\n1e300\n", "line 2: the trace is longer than ten years"},
		{"NaN\n", `line 1: "NaN" is no time: want seconds such as 12.345`},
	} {
		times, err := parseTrace(strings.NewReader(row.text))
		var got []string
		for _, d := range times {
			got = append(got, d.String())
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
		}
		if text != row.want {
			t.Errorf("%q: %s, want %s", row.text, text, row.want)
		}
	}
}

// What is accepted never goes back in time.
func FuzzParseTrace(f *testing.F) {
	f.Add("seconds,port\n1.5,80\n2,81\n")
	f.Add("-3\n1e8\n")
	f.Fuzz(func(t *testing.T, text string) {
		times, err := parseTrace(strings.NewReader(text))
		if err != nil {
			return
		}
		last := time.Duration(0)
		for _, d := range times {
			if d < last {
				t.Fatalf("%q: %s after %s", text, d, last)
			}
			last = d
		}
	})
}
