package socket

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/port"
)

// A Reader reads the sockets of the network namespace that the calling thread
// is in. It is for one goroutine at a time, locked to its thread if namespaces
// are changed between calls.
type Reader struct {
	engine Engine
	loaded bool
	iters  *iterators
	noIter error // why iters is nil
	buf    []byte
	seq    uint32
}

// NewReader returns a reader.
func NewReader(engine Engine) (*Reader, error) {
	switch engine {
	case Auto, Iterator, Diag, Plain:
		return &Reader{engine: engine, buf: make([]byte, 64<<10)}, nil
	}
	return nil, fmt.Errorf("unknown engine %q: want iter, diag or plain", engine)
}

// Close releases what the reader holds in the kernel.
func (r *Reader) Close() error {
	if r.iters == nil {
		return nil
	}
	return r.iters.close()
}

// load loads the BPF iterators when they are first needed.
func (r *Reader) load() error {
	if !r.loaded {
		r.loaded = true
		if r.engine == Plain {
			r.noIter = errors.New("BPF was not to be used")
		} else {
			r.iters, r.noIter = loadIterators()
		}
	}
	return r.noIter
}

// Limited returns nil when the reader can learn the state of bind buckets and
// the age of TIME_WAIT entries, or the reason why it cannot.
func (r *Reader) Limited() error { return r.load() }

// Buckets returns, for each network namespace by its inode number, the ports
// whose bind bucket is owned by an explicit bind: those that every connect()
// passes over. Namespaces without any are absent. It reads all namespaces at
// once and returns an error that says why when the state of the buckets cannot
// be read.
func (r *Reader) Buckets(ctx context.Context) (map[uint32]*port.Set, error) {
	if err := r.load(); err != nil {
		return nil, err
	}
	bound := make(map[uint32]*port.Set)
	err := r.iters.run(ctx, r.iters.buckets, bucketLen, r.buf, func(b []byte) error {
		netns, p, l3mdev := parseBucket(b)
		if p == 0 {
			return errors.New("BPF iterator: the bind hash has chains too long to walk")
		}
		// Sockets bound to a VRF have buckets of their own, which an unbound
		// connect() does not look at.
		if l3mdev != 0 {
			return nil
		}
		set := bound[netns]
		if set == nil {
			set = new(port.Set)
			bound[netns] = set
		}
		set.Add(p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return bound, nil
}

// StartTCP asks sock_diag for the TCP sockets of the namespace, TIME_WAIT and
// requests included, listening sockets first. idle asks for those too that hold
// a port and neither listen nor connect, which costs a walk of its own; kernels
// before 6.8 have none to show.
func (r *Reader) StartTCP(ctx context.Context, idle bool) (*Dump, error) {
	states := uint32(allStates)
	if !idle {
		states &^= 1 << BoundInactive
	}
	return start(ctx, TCP, tcpRequest(r.next(), states, false))
}

// IterateTCP calls fn for each TCP socket of the namespace but those that neither
// listen nor connect, with what only BPF iterators know of it.
func (r *Reader) IterateTCP(ctx context.Context, fn func(*Socket) error) error {
	if err := r.load(); err != nil {
		return err
	}
	return r.iters.sockets(ctx, progTCP, TCP, r.buf, fn)
}

// UDP calls fn for each UDP socket of the namespace, by BPF iterator if
// exact.
func (r *Reader) UDP(ctx context.Context, exact bool, fn func(*Socket) error) (interrupted bool, err error) {
	if exact {
		if err := r.load(); err != nil {
			return false, err
		}
		return false, r.iters.sockets(ctx, progUDP, UDP, r.buf, fn)
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		i, err := r.dump(ctx, UDP, udpRequest(r.next(), family), fn)
		if err != nil {
			return interrupted, err
		}
		interrupted = interrupted || i
	}
	return interrupted, nil
}

// UserPorts calls fn for each live TCP socket whose port was asked for by
// bind(), that is for those of which sock_diag alone can tell that their bucket
// is bound. Auto is No in each.
func (r *Reader) UserPorts(ctx context.Context, fn func(*Socket) error) (interrupted bool, err error) {
	return r.dump(ctx, TCP, tcpRequest(r.next(), allStates, true), func(s *Socket) error {
		s.Auto, s.Bound = No, Yes
		return fn(s)
	})
}

// BoundInactive calls fn for each socket that holds a port by bind() and neither
// listens nor connects. Before Linux 6.8 sock_diag has none to show.
func (r *Reader) BoundInactive(ctx context.Context, fn func(*Socket) error) (interrupted bool, err error) {
	return r.dump(ctx, TCP, tcpRequest(r.next(), 1<<BoundInactive, false), fn)
}

func (r *Reader) next() uint32 {
	r.seq++
	return r.seq
}

// A Dump is an answer of sock_diag that is on its way: the kernel is asked and
// the answer taken in beside whatever else is done, until [Dump.Each] looks at
// it.
type Dump struct {
	proto  Proto
	ctx    context.Context // of the receiver; ends what it has begun
	full   chan received
	free   chan []byte
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
// buffers may wait to be looked at: 12.5 MiB, as much as the kernel writes while
// BPF programs are loaded and the open files of 100,000 sockets are read.
const (
	pieceLen   = 32 << 10
	bufferLen  = 8 * pieceLen
	maxBuffers = 50
)

// start sends one dump request over a socket of its own, in the network namespace
// of the calling thread, and begins to take in the answer.
func start(ctx context.Context, proto Proto, req []byte) (*Dump, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ask sock_diag for %s sockets: %w", proto, diagError(err))
	}
	ctx, cancel := context.WithCancel(ctx)
	d := &Dump{proto: proto, ctx: ctx, full: make(chan received, maxBuffers), free: make(chan []byte, maxBuffers), cancel: cancel}
	go d.receive(ctx, fd)
	return d, nil
}

// receive takes in the answer to its end, reusing the buffers that were looked
// at.
func (d *Dump) receive(ctx context.Context, fd int) {
	defer unix.Close(fd)
	defer close(d.full)
	for made := 0; ; {
		var buf []byte
		select {
		case buf = <-d.free:
		default:
			if made < maxBuffers {
				buf = make([]byte, bufferLen)
				made++
				break
			}
			select {
			case buf = <-d.free:
			case <-ctx.Done():
			}
		}
		if err := ctx.Err(); err != nil {
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

// receivePieces fills a buffer with as many pieces as surely fit. last says that
// the end of the answer is among them.
func receivePieces(fd int, buf []byte) (n int, last bool, err error) {
	for !last && len(buf)-n >= pieceLen {
		k, _, flags, _, err := unix.Recvmsg(fd, buf[n:], nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return n, false, fmt.Errorf("read sock_diag: %w", err)
		case k == 0:
			return n, false, errors.New("read sock_diag: the kernel closed the dump early")
		case flags&unix.MSG_TRUNC != 0:
			return n, false, fmt.Errorf("read sock_diag: a message is longer than %d bytes", len(buf)-n)
		}
		last = ends(buf[n : n+k])
		n += (k + 3) &^ 3 // messages are aligned, and so is what follows them
	}
	return min(n, len(buf)), last, nil
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
}

// dump asks and looks at the answer.
func (r *Reader) dump(ctx context.Context, proto Proto, req []byte, fn func(*Socket) error) (interrupted bool, err error) {
	d, err := start(ctx, proto, req)
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
