package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestEmitTakesTwoArguments(t *testing.T) {
	for text, want := range map[string]string{
		"set A=1 --emit sysctl out":         "set A=1 --emit sysctl:out",
		"set --emit sysctl out A=1":         "set --emit sysctl:out A=1",
		"fix widen-range --emit=cmd d e":    "fix widen-range --emit=cmd:d e",
		"fix --emit sysctl:out widen-range": "fix --emit sysctl:out widen-range",
		"fix --emit sysctl":                 "fix --emit sysctl",
		"fix --emit sysctl --json":          "fix --emit sysctl --json",
		"fix -- --emit sysctl out":          "fix -- --emit sysctl out",
		"fix --emit":                        "fix --emit",
	} {
		if got := joinEmit(strings.Fields(text)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
