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
	loaded bool
	iters  *iterators
	noIter error // why iters is nil
	buf    []byte
	seq    uint32
	memory memory
}

// NewReader returns a reader.
func NewReader(engine Engine) (*Reader, error) {
	if _, err := ParseEngine(string(engine)); err != nil {
		return nil, fmt.Errorf("unknown engine %w", err)
	}
	return &Reader{engine: engine, buf: make([]byte, 64<<10)}, nil
}

// Close releases what the reader holds in the kernel.
func (r *Reader) Close() error {
	err := r.memory.close()
	if r.iters != nil {
		err = errors.Join(err, r.iters.close())
	}
	return err
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
	return r.start(ctx, TCP, tcpRequest(r.next(), states, false))
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

// UserListeners calls fn for each listening TCP socket whose port was asked for by
// number. The kernel looks at listening sockets only.
func (r *Reader) UserListeners(ctx context.Context, fn func(*Socket) error) (interrupted bool, err error) {
	return r.dump(ctx, TCP, tcpRequest(r.next(), 1<<Listen, true), func(s *Socket) error {
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
