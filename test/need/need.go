// Package need decides what becomes of a test whose means are missing.
package need

import (
	"os"
	"testing"
)

// That skips the test when ok is false, saying what is missing and how to get
// it. In CI it fails instead: there every test has to run.
func That(t testing.TB, ok bool, what, get string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: %s", what, get)
	default:
		t.Skipf("%s is missing: %s", what, get)
	}
}

// Root is for tests that make network namespaces and load BPF programs.
func Root(t testing.TB) {
	t.Helper()
	That(t, os.Geteuid() == 0, "root", "run the tests as root")
}
