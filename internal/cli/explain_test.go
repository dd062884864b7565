package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/finding/errtext"
)

func TestLinesAreReadWhateverTheirEndsAndLengths(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":             {"", nil},
		"the last has no end": {"a\nb", []string{"a", "b"}},
		"ends of Windows":     {"a\r\nb\r\n", []string{"a", "b"}},
		"empty ones":          {"\n\na\n", []string{"", "", "a"}},
		"a long one":          {"a\n" + long + "\nb\n", []string{"a", long[:errtext.MaxLine], "b"}},
		"many":                {strings.Repeat("a\n", 3*batch+1), repeated("a", 3*batch+1)},
	} {
		for how, in := range map[string]io.Reader{
			"at once": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text)),
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				var got []string
				if err := readLines(in, func(lines []string) { got = append(got, lines...) }); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
	if err := readLines(iotest.ErrReader(io.ErrClosedPipe), func([]string) {}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func repeated(s string, n int) []string {
	return strings.Fields(strings.Repeat(s+" ", n))
}

// Who interrupts a log that goes on, such as of tail -f, is told what was in it.
func TestAnInterruptedLogIsReported(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer in.Close()
	var text bytes.Buffer
	e := &explainer{app: &app{stdout: &text}, here: finding.Linux, noHost: true}
	ended := make(chan error)
	go func() { ended <- e.log(ctx, in) }()
	for range 2 { // a write ends when all of it was read; the second when the first was handed on
		if _, err := io.WriteString(out, "dial tcp 10.0.0.5:80: connect: cannot assign requested address\n"); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if !strings.Contains(text.String(), "toward 10.0.0.5:80") {
		t.Errorf("the report is %q", text.String())
	}
}
