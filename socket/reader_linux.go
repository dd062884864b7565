package socket

import (
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
	iters  *iterators
	noIter error // why iters is nil
	buf    []byte
	seq    uint32
}

// NewReader returns a reader. That the BPF iterators cannot be used is no error
// unless they are asked for by name: see [Reader.Limited].
func NewReader(engine Engine) (*Reader, error) {
	r := &Reader{engine: engine, buf: make([]byte, 64<<10)}
	switch engine {
	case Auto, Iterator, Diag:
		r.iters, r.noIter = loadIterators()
		if r.noIter != nil && engine == Iterator {
			return nil, r.noIter
		}
	case Plain:
		r.noIter = errors.New("BPF was not to be used")
	default:
		return nil, fmt.Errorf("unknown engine %q: want iter, diag or plain", engine)
	}
	return r, nil
}

// Close releases what the reader holds in the kernel.
func (r *Reader) Close() error {
	if r.iters == nil {
		return nil
	}
	return r.iters.close()
}

// Limited returns nil when the reader can learn the state of bind buckets and
// the age of TIME_WAIT entries, or the reason why it cannot.
func (r *Reader) Limited() error { return r.noIter }

// Iterates reports whether [Reader.TCP] and [Reader.UDP] read by BPF iterators,
// which list no bound and unconnected sockets.
func (r *Reader) Iterates() bool { return r.iters != nil && r.engine != Diag }

// Buckets returns, for each network namespace by its inode number, the ports
// whose bind bucket is owned by an explicit bind: those that every connect()
// passes over. Namespaces without any are absent. It reads all namespaces at
// once and returns an error that says why when the state of the buckets cannot
// be read.
func (r *Reader) Buckets(ctx context.Context) (map[uint32]*port.Set, error) {
	if r.iters == nil {
		return nil, r.noIter
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

// TCP calls fn for each TCP socket of the namespace, TIME_WAIT and requests
// included; listening sockets come first. interrupted says that the kernel
// found its table changed in a way that makes the result inconsistent: begin
// again with an empty account.
func (r *Reader) TCP(ctx context.Context, fn func(*Socket) error) (interrupted bool, err error) {
	if r.Iterates() {
		return false, r.iters.sockets(ctx, progTCP, TCP, r.buf, fn)
	}
	return r.dump(ctx, TCP, tcpRequest(r.next(), allStates, false), fn)
}

// UDP calls fn for each UDP socket of the namespace.
func (r *Reader) UDP(ctx context.Context, fn func(*Socket) error) (interrupted bool, err error) {
	if r.Iterates() {
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

// DiagTCP is TCP by sock_diag whatever the engine: only sock_diag tells how long
// a TIME_WAIT still lasts.
func (r *Reader) DiagTCP(ctx context.Context, fn func(*Socket) error) (interrupted bool, err error) {
	return r.dump(ctx, TCP, tcpRequest(r.next(), allStates, false), fn)
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

// dump sends one dump request over a socket of its own and takes in the answer
// through the reader's one buffer.
func (r *Reader) dump(ctx context.Context, proto Proto, req []byte, fn func(*Socket) error) (interrupted bool, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return false, fmt.Errorf("open sock_diag: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("ask sock_diag for %s sockets: %w", proto, diagError(err))
	}
	s := Socket{Proto: proto}
	for {
		if err := ctx.Err(); err != nil {
			return interrupted, err
		}
		n, _, flags, _, err := unix.Recvmsg(fd, r.buf, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return interrupted, fmt.Errorf("read sock_diag: %w", err)
		case n == 0:
			return interrupted, errors.New("read sock_diag: the kernel closed the dump early")
		case flags&unix.MSG_TRUNC != 0:
			return interrupted, fmt.Errorf("read sock_diag: a message is longer than %d bytes", len(r.buf))
		}
		st, err := parseDump(r.buf[:n], &s, fn)
		interrupted = interrupted || st.interrupted
		if err != nil {
			var ke kernelError
			if errors.As(err, &ke) {
				err = fmt.Errorf("dump %s sockets: %w", proto, diagError(unix.Errno(-ke)))
			}
			return interrupted, err
		}
		if st.done {
			return interrupted, nil
		}
	}
}

// diagError adds what to do to the errors that have a cure.
func diagError(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return fmt.Errorf("%w: this kernel has no inet_diag; load the modules tcp_diag and udp_diag", err)
	}
	return err
}
