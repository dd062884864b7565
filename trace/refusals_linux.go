package trace

import (
	"context"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/trace/bpf"
)

// Refusals returns the refusals as they happen: of each flow at most ten a second,
// each with the count so far. The channel is closed when the tracer is, or when the
// context of Start ends. Who reads too slowly misses some, which Lost.Events counts.
func (t *Tracer) Refusals() <-chan Refusal { return t.refusals }

// forward reads the ring until it is closed.
func (t *Tracer) forward(ctx context.Context) {
	defer close(t.done)
	defer close(t.refusals)
	stop := context.AfterFunc(ctx, func() { _ = t.ring.Close() })
	defer stop()
	for {
		record, err := t.ring.Read()
		if err != nil {
			return // closed; nothing else ends it
		}
		var e bpf.TraceEvent
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &e); err != nil {
			continue
		}
		select {
		case t.refusals <- t.refusal(&e):
		case <-ctx.Done():
			return
		}
	}
}

func (t *Tracer) refusal(e *bpf.TraceEvent) Refusal {
	r := Refusal{
		Flow: flowOf(&e.Flow), Time: wallClock(e.At), Command: text(e.Comm[:]), Port: e.Sport, Refused: e.Refused,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		r.Cgroup = t.groups.of(t.objects.Cgroups, &r.Flow)
	}
	return r
}

// wallClock converts ns of CLOCK_MONOTONIC.
func wallClock(at uint64) time.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return time.Now()
	}
	return time.Now().Add(time.Duration(int64(at) - ts.Nano()))
}
