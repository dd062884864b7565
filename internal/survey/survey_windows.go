package survey

import (
	"context"
	"errors"
	"fmt"

	"github.com/portroom/portroom/internal/winhost"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// errUnlisted says why numbers are upper bounds only.
var errUnlisted = errors.New("this system does not list sockets that are bound and not connected")

// Each measures this host, which has no namespaces, and calls fn once.
func Each(ctx context.Context, opt Options, fn func(*View) error) error {
	settings, err := winhost.Settings(ctx)
	if err != nil {
		return err
	}
	spaces, err := spacesOf(settings)
	if err != nil {
		return err
	}
	r := socket.NewReader(opt.Owners)
	v := &View{Windows: settings, PortBound: socket.No}
	if !r.ListsBound() {
		v.Limited, v.PortBound = errUnlisted, socket.Unknown
		for i := range spaces {
			spaces[i].Unlisted = true
		}
	}
	v.Spaces = spaces
	t := pool.NewHostwide(spaces, pool.Options{Owners: opt.Owners, Map: opt.Map, MapProto: opt.MapProto})
	v.Table = t
	if opt.Owners {
		v.Owners = r.Owners()
	}
	err = r.Sockets(ctx, func(s *socket.Socket, owner int32) error {
		t.Add(s, owner)
		if s.Proto == socket.TCP && s.State == socket.TimeWait {
			v.TimeWaits++
		}
		if opt.Port == 0 || s.SrcPort != opt.Port {
			return nil
		}
		if s.Proto == socket.TCP {
			v.PortBound = socket.Yes
		}
		h := Holder{Socket: *s}
		if owner != socket.NoOwner {
			h.Owner = v.Owners.At(owner)
		}
		v.Sockets = append(v.Sockets, h)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the socket tables: %w", err)
	}
	return fn(v)
}
