package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/test/load"
)

// topLook is how long top is looked at after its first screen.
const topLook = 20 * time.Second

// rowP: top over a million sockets, in a terminal of script(1): how long until its first
// screen, and which share of a processor it takes from then on.
func (b *bench) rowP(ctx context.Context) (err error) {
	if _, err := exec.LookPath("script"); err != nil {
		return errors.New("script(1), which makes the terminal for top, is missing; install bsdutils")
	}
	cmd := exec.CommandContext(ctx, "script", "-qfec", "stty cols 120 rows 30; exec "+b.portroom+" top", "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LANG=C.UTF-8", "PORTROOM_ENGINE=")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var first time.Duration
	var pop *load.Netns
	err = b.pop.during(ctx, b.manyTimeWait, func(ns *load.Netns) error {
		if cmd.Process != nil {
			return errors.New("too few TIME_WAIT were left")
		}
		pop = ns
		begun := time.Now()
		if err := ns.Start(cmd); err != nil {
			return err
		}
		r := bufio.NewReader(out)
		var text strings.Builder
		for !strings.Contains(text.String(), "tightest first") {
			c, err := r.ReadByte()
			if err != nil {
				return fmt.Errorf("top ended early: %w: %s", err, text.String())
			}
			text.WriteByte(c)
		}
		first = time.Since(begun)
		go func() { _, _ = io.Copy(io.Discard, r) }() // until it ends
		return nil
	})
	if cmd.Process != nil {
		defer func() {
			_, _ = io.WriteString(in, "q") // if it has not ended, Wait says
			err = errors.Join(err, cmd.Wait())
		}()
	}
	if err != nil {
		return err
	}
	pid, err := childOf(cmd.Process.Pid)
	if err != nil {
		return err
	}
	before, err := ticks(pid)
	if err != nil {
		return err
	}
	begun := time.Now()
	time.Sleep(topLook)
	after, err := ticks(pid)
	if err != nil {
		return err
	}
	share := float64(after-before) / hertz / time.Since(begun).Seconds()
	peak, err := peakKiB(pid)
	if err != nil {
		return err
	}
	left, err := pop.Count()
	if err != nil {
		return err
	}
	r := result{
		Row: "p", Work: timeWaits(b.manyTimeWait), A: "portroom top, first screen", ASecs: first.Seconds(), ARuns: 1, PeakKiB: peak,
		Target: "A ≤ 2 s, then < 20 % of a core",
		Notes:  []string{fmt.Sprintf("%.1f %% of a core in the %s after; %d TIME_WAIT were left then", 100*share, topLook, left.TimeWait)},
	}
	b.judge(&r, first <= 2*time.Second && share < 0.2)
	return nil
}

// childOf returns the only child of a process.
func childOf(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// hertz is USER_HZ, in which /proc/PID/stat counts (proc(5)).
const hertz = 100

// ticks is the processor time that a process has taken.
func ticks(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// After the name, which may hold anything; utime and stime are fields 14 and 15.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is %q", pid, text)
	}
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return user + system, errors.Join(err, err2)
}

// peakKiB is the most memory that a process has had.
func peakKiB(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	var n int64
	_, err = fmt.Sscan(rest, &n)
	return n, err
}
