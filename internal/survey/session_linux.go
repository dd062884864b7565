package survey

import (
	"context"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/socket"
)

// A Session measures again and again. What is costly to set up, the BPF programs
// above all, it keeps.
type Session struct {
	engine    socket.Engine
	reader    *socket.Reader
	listsIdle bool
}

// NewSession returns a session whose measurements read the TCP table by this engine.
func NewSession(engine socket.Engine) (*Session, error) {
	r, err := socket.NewReader(engine)
	if err != nil {
		return nil, err
	}
	release, err := host.KernelRelease("/")
	if err != nil {
		_ = r.Close() // nothing was read
		return nil, err
	}
	return &Session{engine: engine, reader: r, listsIdle: release.AtLeast(6, 8)}, nil
}

// Close releases what the session keeps.
func (s *Session) Close() error { return s.reader.Close() }

// Each measures the namespaces one after the other and calls fn inside each,
// on a thread that is in that namespace. A namespace that vanished is passed
// over when there are several; views are not kept, so that memory does not grow
// with the number of namespaces.
func Each(ctx context.Context, opt Options, fn func(*View) error) error {
	s, err := NewSession(opt.Engine)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // it was read from only
	return s.Each(ctx, opt, fn)
}

// Each measures as the function of this name does, by the engine of the session; that of the
// options does not count.
func (s *Session) Each(ctx context.Context, opt Options, fn func(*View) error) error {
	m := measure{Options: opt, reader: s.reader, listsIdle: s.listsIdle, cgroups: make(map[int]string)}
	m.Engine = s.engine
	seen := 0
	for i, ns := range opt.Namespaces {
		if opt.Progress != nil {
			opt.Progress(i, len(opt.Namespaces))
		}
		err := ns.Do(func() error {
			v, err := m.namespace(ctx, ns)
			if err != nil {
				return err
			}
			return fn(v)
		})
		if Vanished(err) && len(opt.Namespaces) > 1 {
			continue
		}
		if err != nil {
			return err
		}
		seen++
	}
	if seen == 0 && len(opt.Namespaces) > 0 {
		return netns.ErrGone
	}
	return nil
}
