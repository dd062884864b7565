package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/trace"
)

// A hook runs a command at the first refusal of a pool.
type hook struct {
	line   string
	quiet  time.Duration
	stderr io.Writer
	now    func() time.Time

	last    map[place]time.Time // when it was last run
	running sync.WaitGroup
	slots   chan struct{}
}

// place is a pool of a namespace.
type place struct {
	netns uint64
	key   pool.Key
}

// mostHooks is how many commands run at a time. A host that is out of ports is not
// to run out of processes too.
const mostHooks = 4

// newHook returns a hook that does nothing when there is no command.
func newHook(line string, quiet time.Duration, stderr io.Writer) *hook {
	return &hook{
		line: line, quiet: quiet, stderr: stderr, now: time.Now,
		last: make(map[place]time.Time), slots: make(chan struct{}, mostHooks),
	}
}

// due reports whether the command is to run for a pool now, and takes it that it
// does.
func (h *hook) due(p place) bool {
	now := h.now()
	for other, at := range h.last {
		if now.Sub(at) >= h.quiet {
			delete(h.last, other) // what is quiet no longer need not be remembered
		}
	}
	if _, ok := h.last[p]; ok {
		return false
	}
	h.last[p] = now
	return true
}

// fire runs the command for a refusal unless its pool is in its quiet period.
func (h *hook) fire(ctx context.Context, r trace.Refusal) {
	if h.line == "" || !h.due(place{r.Netns, poolKey(r.Src, r.Dst, r.Ifindex)}) {
		return
	}
	h.run(ctx, r.Src.String(), r.Dst.String(), r)
}

func (h *hook) run(ctx context.Context, src, dst string, r trace.Refusal) {
	select {
	case h.slots <- struct{}{}:
	default:
		fmt.Fprintf(h.stderr, "portroom: --exec is not run for %s: %d commands are running\n", dst, mostHooks)
		return
	}
	name, args := shell(h.line)
	// What was begun is let finish when the watch ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	cmd.Stdout, cmd.Stderr = h.stderr, h.stderr
	cmd.Env = append(os.Environ(),
		"PORTROOM_TIME="+r.Time.Format(time.RFC3339),
		"PORTROOM_NETNS="+strconv.FormatUint(r.Netns, 10),
		"PORTROOM_PROTO=tcp",
		"PORTROOM_SRC="+src,
		"PORTROOM_DST="+dst,
		"PORTROOM_PID="+strconv.Itoa(r.PID),
		"PORTROOM_COMMAND="+r.Command,
		"PORTROOM_CGROUP="+r.Cgroup,
		"PORTROOM_ERRNO=EADDRNOTAVAIL",
	)
	h.running.Go(func() {
		defer func() { <-h.slots }()
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(h.stderr, "portroom: --exec for %s: %v\n", dst, err)
		}
	})
}

// wait waits for the commands that run.
func (h *hook) wait() { h.running.Wait() }
