package socket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Dump is an answer of sock_diag that is on its way: the kernel is asked and
// the answer taken in beside whatever else is done, until [Dump.Each] looks at
// it.
type Dump struct {
	proto  Proto
	ctx    context.Context // of the receiver; ends what it has begun
	full   chan received
	free   chan []byte
	memory *memory
	arenas []arena // that the buffers are cut from; the receiver's until it has gone
	cancel context.CancelFunc
}

// received is what some receives brought: messages one after the other, or why
// there are none.
type received struct {
	buf []byte
	err error
}

// The answer comes in pieces of 32 KiB at most (netlink_recvmsg). Eight are passed
// on together, since to wake the one who waits costs more than to receive. So many
// buffers may wait to be looked at: 12 MiB, as much as the kernel writes while BPF
// programs are loaded and the open files of 100,000 sockets are read.
const (
	pieceLen   = 32 << 10
	bufferLen  = 8 * pieceLen
	maxBuffers = maxArenas * arenaLen / bufferLen
	maxArenas  = 6
)

// start sends one dump request over a socket of its own, in the network namespace
// of the calling thread, and begins to take in the answer.
func (r *Reader) start(ctx context.Context, proto Proto, req []byte) (*Dump, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ask sock_diag for %s sockets: %w", proto, diagError(err))
	}
	ctx, cancel := context.WithCancel(ctx)
	d := &Dump{proto: proto, ctx: ctx, memory: &r.memory, full: make(chan received, maxBuffers), free: make(chan []byte, maxBuffers), cancel: cancel}
	go d.receive(fd)
	return d, nil
}

// receive takes in the answer to its end, reusing the buffers that were looked
// at.
func (d *Dump) receive(fd int) {
	defer unix.Close(fd)
	defer close(d.full)
	for {
		buf, err := d.buffer()
		if err != nil {
			d.full <- received{err: err}
			return
		}
		n, last, err := receivePieces(fd, buf)
		d.full <- received{buf[:n], err}
		if last || err != nil {
			return
		}
	}
}

// buffer returns one that was looked at, a new one, or waits.
func (d *Dump) buffer() ([]byte, error) {
	select {
	case buf := <-d.free:
		return buf, d.ctx.Err()
	default:
	}
	if len(d.arenas) < maxArenas {
		a, err := d.memory.take()
		if err != nil {
			return nil, err
		}
		d.arenas = append(d.arenas, a)
		for at := bufferLen; at < arenaLen; at += bufferLen {
			d.free <- a.usable[at : at+bufferLen : at+bufferLen]
		}
		return a.usable[:bufferLen:bufferLen], d.ctx.Err()
	}
	select {
	case buf := <-d.free:
		return buf, d.ctx.Err()
	case <-d.ctx.Done():
		return nil, d.ctx.Err()
	}
}

// receivePieces fills a buffer with as many pieces as surely fit. last says that
// the end of the answer is among them.
func receivePieces(fd int, buf []byte) (n int, last bool, err error) {
	for !last && len(buf)-n >= pieceLen {
		k, err := receive(fd, buf[n:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return n, false, fmt.Errorf("read sock_diag: %w", err)
		case k == 0:
			return n, false, errors.New("read sock_diag: the kernel closed the dump early")
		case k > len(buf)-n:
			return n, false, fmt.Errorf("read sock_diag: a message is longer than %d bytes", len(buf)-n)
		}
		last = ends(buf[n : n+k])
		n += (k + 3) &^ 3 // messages are aligned, and so is what follows them
	}
	return min(n, len(buf)), last, nil
}

// receive receives one piece and returns its length, also if that is more than
// fits. The kernel has it ready: each receive writes the next (netlink_recvmsg).
// So the call does not go by way of the scheduler, which would give the processor
// to others each time; only if it had to wait does it.
func receive(fd int, buf []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN:
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
		return n, err
	}
	return 0, errno
}

// Each calls fn for each socket of the answer. interrupted says that the kernel
// found its table changed in a way that makes the answer inconsistent.
func (d *Dump) Each(fn func(*Socket) error) (interrupted bool, err error) {
	defer d.Close()
	s := Socket{Proto: d.proto}
	for r := range d.full {
		if err := cmp.Or(r.err, d.ctx.Err()); err != nil {
			return interrupted, err
		}
		st, err := parseDump(r.buf, &s, fn)
		interrupted = interrupted || st.interrupted
		if err != nil {
			var ke kernelError
			if errors.As(err, &ke) {
				err = fmt.Errorf("dump %s sockets: %w", d.proto, diagError(unix.Errno(-ke)))
			}
			return interrupted, err
		}
		if st.done {
			return interrupted, nil
		}
		d.free <- r.buf[:cap(r.buf)]
	}
	return interrupted, errors.New("read sock_diag: the answer has no end")
}

// Close gives up the rest of the answer.
func (d *Dump) Close() {
	d.cancel()
	for range d.full { // until the receiver has gone
	}
	d.memory.give(d.arenas)
	d.arenas = nil
}

// dump asks and looks at the answer.
func (r *Reader) dump(ctx context.Context, proto Proto, req []byte, fn func(*Socket) error) (interrupted bool, err error) {
	d, err := r.start(ctx, proto, req)
	if err != nil {
		return false, err
	}
	return d.Each(fn)
}

// diagError adds what to do to the errors that have a cure.
func diagError(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: this kernel has no inet_diag; load the modules tcp_diag and udp_diag", err)
	}
	return err
}

// An arena is a huge page of memory: to take 12 MiB from the kernel in pages of 4
// KiB would cost as much as to receive a tenth of the answer.
type arena struct {
	mapped []byte // as mmap returned it
	usable []byte // arenaLen bytes at a multiple of arenaLen
}

const arenaLen = 2 << 20 // PMD_SIZE on amd64, and on arm64 with pages of 4 KiB

// memory keeps the arenas from one answer to the next.
type memory struct {
	mu   sync.Mutex
	free []arena
}

func (m *memory) take() (arena, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		a := m.free[n-1]
		m.free = m.free[:n-1]
		return a, nil
	}
	mapped, err := unix.Mmap(-1, 0, 2*arenaLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return arena{}, fmt.Errorf("memory for sock_diag: %w", err)
	}
	_ = unix.Madvise(mapped, unix.MADV_HUGEPAGE) // small pages do as well
	at := -uintptr(unsafe.Pointer(&mapped[0])) % arenaLen
	return arena{mapped, mapped[at : at+arenaLen]}, nil
}

func (m *memory) give(list []arena) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, list...)
}

// close gives the memory back to the kernel; no answer may be on its way.
func (m *memory) close() error {
	var errs []error
	for _, a := range m.free {
		errs = append(errs, unix.Munmap(a.mapped))
	}
	m.free = nil
	return errors.Join(errs...)
}
