package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/portroom/portroom/record"
	"github.com/portroom/portroom/test/load"
)

// What the recorder is measured over: connections that stay, and a client that opens
// and closes so many a second, whose TIME_WAIT make up the rest of 100,000 sockets in
// the mean of the minute that counts.
const (
	recordKept     = 22_000               // two sockets each
	recordBefore   = 25_000               // TIME_WAIT at the beginning
	recordRate     = 1000                 // connects a second
	recordFirst    = load.FirstDest + 100 // the listeners of those that stay are before
	recordSettling = 15 * time.Second
	recordSpan     = time.Minute
)

// rowO measures what the flight recorder takes of a processor.
func (b *bench) rowO(ctx context.Context) error {
	kept, before, rate, span := recordKept, recordBefore, recordRate, recordSpan
	if b.quick {
		kept, before, rate, span = kept/10, before/10, rate/10, span/6
	}
	ns, err := load.NewNetns(ctx)
	if err != nil {
		return err
	}
	defer ns.Close()
	held, err := ns.Established(ctx, kept, 4)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := ns.TimeWaitsFrom(ctx, before, recordFirst, 20); err != nil {
		return err
	}
	feeding, stop := context.WithCancel(ctx)
	fed := make(chan error, 1)
	go func() { fed <- feed(feeding, ns, rate) }()
	defer func() { stop(); <-fed }()

	db := filepath.Join(b.dir, "record.db")
	cmd := exec.CommandContext(ctx, b.portroom, "record", "--db", db, "--netns", ns.Name, "--interval", "1s")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	var used, first time.Duration
	var sockets []int
	for at := time.Duration(0); at <= recordSettling+span; at += 5 * time.Second {
		if at > 0 {
			time.Sleep(5 * time.Second)
		}
		if used, err = processorOf(cmd.Process.Pid); err != nil {
			return fmt.Errorf("%w: %s", err, said.String())
		}
		if at <= recordSettling {
			first = used
			continue
		}
		c, err := ns.Count()
		if err != nil {
			return err
		}
		sockets = append(sockets, c.TimeWait+2*kept)
	}
	peak, err := peakOf(cmd.Process.Pid)
	if err != nil {
		return err
	}
	ended = true
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	stop()
	if err := <-fed; err != nil {
		return err
	}
	fed <- nil
	r, err := record.Open(db)
	if err != nil {
		return err
	}
	defer r.Close()
	sum, err := r.Summary()
	if err != nil {
		return err
	}
	mean := 0
	for _, n := range sockets {
		mean += n / len(sockets)
	}
	share := (used - first).Seconds() / span.Seconds() * 100
	b.add("o", fmt.Sprintf("%d sockets, %d connects a second, recorded for %v", mean, rate, span),
		command{name: "portroom record, processor time"}, samples{{wall: used - first, peakKiB: peak}}, command{}, nil, "A < 1 % of a processor, 50 MiB",
		func(r result) bool { return share < 1 && r.PeakKiB <= 50<<10 },
		fmt.Sprintf("%.2f %% of one processor; a sample every %.1f s", share, sum.Last.Sub(sum.First).Seconds()/float64(max(1, sum.Samples-1))))
	return nil
}

// feed opens and closes connections at a rate until ctx ends.
func feed(ctx context.Context, ns *load.Netns, rate int) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := ns.TimeWaitsFrom(ctx, rate/5, recordFirst, 20); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// processorOf is the processor time of a process so far, by /proc/PID/stat in ticks of
// a hundredth of a second (USER_HZ).
func processorOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	user, err := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err, err2)
}

// peakOf is the most memory that a process had, in KiB (VmHWM).
func peakOf(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
	}
	return strconv.ParseInt(f[0], 10, 64)
}
