package trace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/trace/bpf"
)

// Tracer watches the connections of all network namespaces. Its methods may be
// called by several goroutines at a time.
type Tracer struct {
	objects  bpf.TraceObjects
	attached link.Link
	ring     *ringbuf.Reader
	refusals chan Refusal
	stop     context.CancelFunc
	done     chan struct{} // the goroutine that reads the ring has ended

	mu     sync.Mutex // guards what follows
	closed bool
	book   book
	groups groups
}

// Start begins to watch. What is connected already is not followed. Close ends it;
// when ctx ends, Refusals does.
func Start(ctx context.Context, opt Options) (*Tracer, error) {
	flows, sets, err := opt.sizes()
	if err != nil {
		return nil, err
	}
	spec, err := bpf.LoadTrace()
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	tick, err := tickNanoseconds()
	if err != nil {
		return nil, err
	}
	for _, m := range []string{bpf.TraceMapRows, bpf.TraceMapFlows, bpf.TraceMapUnused} {
		spec.Maps[m].MaxEntries = uint32(flows)
	}
	spec.Maps[bpf.TraceMapSockets].MaxEntries = uint32(sets)
	err = errors.Join(
		spec.Variables[bpf.TraceVarSetsMask].Set(uint32(sets-1)),
		spec.Variables[bpf.TraceVarRowsLimit].Set(uint32(flows)),
		spec.Variables[bpf.TraceVarTickNs].Set(tick),
	)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t := &Tracer{refusals: make(chan Refusal), done: make(chan struct{}), groups: newGroups()}
	if err := spec.LoadAndAssign(&t.objects, &ebpf.CollectionOptions{Cache: btf.NewCache()}); err != nil {
		return nil, unavailable(err)
	}
	if err := t.attach(); err != nil {
		return nil, errors.Join(unavailable(err), t.objects.Close())
	}
	ctx, t.stop = context.WithCancel(ctx)
	go t.forward(ctx)
	return t, nil
}

// attach lets the program run.
func (t *Tracer) attach() (err error) {
	if t.ring, err = ringbuf.NewReader(t.objects.Events); err != nil {
		return err
	}
	t.attached, err = link.AttachTracing(link.TracingOptions{Program: t.objects.SetState})
	if err != nil {
		return errors.Join(err, t.ring.Close())
	}
	return nil
}

// Close ends the watch and releases what it took in the kernel.
func (t *Tracer) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	t.mu.Unlock()
	t.stop()
	err := errors.Join(t.attached.Close(), t.ring.Close())
	<-t.done
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(err, t.objects.Close())
}

// tickNanoseconds returns how long a tick of the kernel is, which the coarse clocks
// advance by (KTIME_LOW_RES in kernel/time/posix-timers.c).
func tickNanoseconds() (uint64, error) {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &res); err != nil {
		return 0, fmt.Errorf("trace: the kernel's tick: %w", err)
	}
	return uint64(res.Nano()), nil
}

// unavailable says in one sentence why the program cannot run here.
func unavailable(err error) error {
	e := &UnavailableError{Err: err}
	switch {
	case errors.Is(err, os.ErrPermission) && !capable():
		e.Reason = "to trace connections needs root, or CAP_BPF and CAP_PERFMON"
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, os.ErrNotExist), errors.Is(err, btf.ErrNotFound), errors.Is(err, unix.EINVAL):
		e.Reason = "this kernel cannot trace connections: Linux 5.12 with BTF (CONFIG_DEBUG_INFO_BTF) can"
	default:
		e.Reason = fmt.Sprintf("the BPF program that traces connections cannot be loaded: %v", err)
	}
	return e
}

// capable reports whether this thread has what loading a tracing program takes.
func capable() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	has := func(c uint) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	return has(unix.CAP_SYS_ADMIN) || has(unix.CAP_BPF) && has(unix.CAP_PERFMON)
}
