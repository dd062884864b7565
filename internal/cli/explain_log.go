package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/portroom/portroom/finding/errtext"
)

// batch is how many lines of a log are handed on together.
const batch = 256

// log reads a log and says what was recognised. An interruption ends the log: what
// was read until then is reported.
func (e *explainer) log(ctx context.Context, in io.Reader) error {
	t := errtext.Tally{Here: e.here}
	// A read of a terminal or a pipe that says nothing cannot be interrupted, so it
	// has a goroutine, which ends with the log or with the process.
	full, done := make(chan []string, 4), make(chan error, 1)
	go func() {
		done <- readLines(in, func(lines []string) { full <- lines })
		close(full)
	}()
	add := func(lines []string) {
		for _, line := range lines {
			t.Add(line)
		}
	}
	var broken error
	for open := true; open; {
		var lines []string
		select {
		case lines, open = <-full:
			add(lines)
			if !open {
				broken = <-done
			}
		case <-ctx.Done():
			broken, open = ctx.Err(), false
			for len(full) > 0 { // was read before
				add(<-full)
			}
		}
	}
	if broken != nil && !errors.Is(broken, context.Canceled) {
		return fmt.Errorf("read standard input: %w", broken)
	}
	explained := make([]errtext.Explanation, 0, len(t.Kinds))
	for i := range t.Kinds {
		x, err := e.explain(context.WithoutCancel(ctx), t.Kinds[i].Match)
		if err != nil {
			return err
		}
		explained = append(explained, x)
	}
	report := e.printTally
	if e.json {
		report = e.jsonTally
	}
	return errors.Join(report(&t, explained), broken)
}

// readLines hands on the lines of a text, the beginnings of those that are longer
// than is looked at.
func readLines(in io.Reader, fn func([]string)) error {
	r := bufio.NewReaderSize(in, 64<<10)
	lines := make([]string, 0, batch)
	var line []byte
	begun := false
	for {
		piece, err := r.ReadSlice('\n')
		if room := errtext.MaxLine - len(line); room > 0 {
			line = append(line, piece[:min(len(piece), room)]...)
		}
		begun = begun || len(piece) > 0
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if begun {
			lines = append(lines, strings.TrimRight(string(line), "\r\n"))
			line, begun = line[:0], false
		}
		// Whatever has come is handed on before waiting for more.
		if len(lines) > 0 && (err != nil || len(lines) == batch || r.Buffered() == 0) {
			fn(lines)
			lines = make([]string, 0, batch)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
