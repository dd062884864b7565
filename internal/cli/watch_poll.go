package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/trace"
)

// poll is watch where connects cannot be traced: it measures once a second and says
// which pools are full.
func (a *app) poll(ctx context.Context, only *netns.Namespace, h *hook, why error) error {
	fmt.Fprintf(a.stderr, "portroom: %v\n", why)
	fmt.Fprintln(a.stderr, "portroom: the pools are measured once a second instead: what is printed is which have no port left, not how many connects are refused, nor whose; what fills and empties within a second is not seen")
	list := []netns.Namespace{{}}
	var err error
	if only != nil {
		list[0] = *only
	} else if list, err = a.namespaces(); err != nil {
		return err
	}
	p := &poller{a: a, hook: h, full: make(map[place]bool)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		begun := time.Now()
		switch err := p.measure(ctx, list, begun.Truncate(time.Second)); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		// Not more than a tenth of the time.
		timer.Reset(max(time.Until(begun.Truncate(time.Second).Add(time.Second)), measureShare*time.Since(begun)))
	}
}

// A poller remembers which pools it has called full.
type poller struct {
	a    *app
	hook *hook
	full map[place]bool
}

// measure prints the pools that are full: in JSON each second, for people once.
func (p *poller) measure(ctx context.Context, namespaces []netns.Namespace, second time.Time) error {
	engine := socket.Engine(p.a.engine)
	if p.a.noBPF {
		engine = socket.Plain
	}
	var list []refusal
	full := make(map[place]bool)
	opt := survey.Options{Namespaces: namespaces, Engine: engine}
	err := survey.Each(ctx, opt, func(v *survey.View) error {
		for _, pl := range v.Pools() {
			if pl.HeadroomMax > 0 || pl.Key.Proto != socket.TCP {
				continue // some connects succeed, or UDP, which fails with EAGAIN
			}
			at := place{v.Namespace.ID, pl.Key}
			full[at] = true
			if !p.a.json && p.full[at] {
				continue
			}
			list = append(list, fullPool(v, &pl, second))
		}
		return nil
	})
	if err != nil && !errors.Is(err, netns.ErrGone) {
		return err
	}
	p.full = full
	for i := range list {
		r := &list[i]
		if p.hook.line != "" && p.hook.due(place{r.Netns, r.key}) {
			p.hook.run(ctx, r.Src, r.Dst, trace.Refusal{Flow: trace.Flow{Netns: r.Netns}, Time: second})
		}
	}
	return p.a.printRefusals(list)
}

// fullPool is the line of a pool without a port, of whose refusals nothing is known.
func fullPool(v *survey.View, p *pool.Pool, second time.Time) refusal {
	errno := "EADDRNOTAVAIL"
	if v.Windows != nil {
		errno = "WSAENOBUFS"
	}
	r := refusal{
		refusalJSON: refusalJSON{
			Time: second.Format(time.RFC3339), Netns: v.Namespace.ID, Proto: p.Key.Proto.String(),
			Src: p.Key.Src.String(), Dst: dstText(p.Key), Errno: errno, Reason: reasonFull,
		},
		at: second, key: p.Key,
	}
	r.hold(p)
	return r
}
