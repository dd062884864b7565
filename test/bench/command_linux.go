package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/portroom/portroom/test/load"
)

// patience is the longest that one command may take.
const patience = 3 * time.Minute

// command is a program to measure.
type command struct {
	name   string // for the table
	args   []string
	env    []string
	codes  []int // exit statuses that mean success; none means 0 only
	output io.Writer
}

// sample is one run of a command.
type sample struct {
	wall    time.Duration
	peakKiB int64
}

// execute runs c inside ns, or in the bench's own namespace if ns is nil.
func (c command) execute(ctx context.Context, ns *load.Netns) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	// Files, for a pipe would make the bench run beside the command. Without
	// output, Stdout is /dev/null.
	errs, err := os.CreateTemp("", "portroom-bench-*.err")
	if err != nil {
		return sample{}, err
	}
	defer os.Remove(errs.Name())
	defer errs.Close()
	cmd.Stderr = errs
	cmd.Stdout = c.output

	var began time.Time
	start := func() error {
		began = time.Now()
		return cmd.Start()
	}
	if ns == nil {
		err = start()
	} else {
		err = ns.Do(start)
	}
	if err != nil {
		return sample{}, fmt.Errorf("run %s: %w", c.name, err)
	}
	err = cmd.Wait()
	wall := time.Since(began)
	if cause := ctx.Err(); cause != nil {
		return sample{}, fmt.Errorf("run %s: %w", c.name, cause)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(c.codes, exit.ExitCode()) {
		err = nil
	}
	if err != nil {
		said, _ := os.ReadFile(errs.Name())
		return sample{}, fmt.Errorf("run %s: %w: %s", c.name, err, strings.TrimSpace(string(said)))
	}
	s := sample{wall: wall}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		// Never less than the bench's own memory, which the child shares until
		// it executes the program (exec_mmap in fs/exec.c).
		s.peakKiB = u.Maxrss
	}
	return s, nil
}

// samples is the runs of one command.
type samples []sample

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	walls := make([]time.Duration, len(s))
	for i := range s {
		walls[i] = s[i].wall
	}
	slices.Sort(walls)
	m := walls[len(walls)/2]
	if len(walls)%2 == 0 {
		m = (m + walls[len(walls)/2-1]) / 2
	}
	return m.Seconds()
}

func (s samples) peakKiB() (peak int64) {
	for _, x := range s {
		peak = max(peak, x.peakKiB)
	}
	return peak
}
