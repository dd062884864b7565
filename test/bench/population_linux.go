package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portroom/portroom/test/load"
)

// population is a namespace full of TIME_WAIT. They last 60 s, so it is made
// anew whenever it is about to run dry.
type population struct {
	dests    int
	progress func(string, ...any)

	ns   *load.Netns
	size int
	born time.Time // when the filling began
}

// lifetime is how long after its birth a population is measured on: TIME_WAIT
// lasts 60 s, and a pair of runs takes a few.
const lifetime = 54 * time.Second

// attempts is how often a pair is measured before the machine is held too slow.
const attempts = 3

var errTooSlow = errors.New("this machine is too slow: TIME_WAITs expire before they are measured")

// of returns a namespace with about n sockets in TIME_WAIT.
func (p *population) of(ctx context.Context, n int) (*load.Netns, error) {
	if p.ns != nil && p.size == n && time.Since(p.born) < lifetime {
		return p.ns, nil
	}
	if err := p.close(); err != nil {
		return nil, err
	}
	ns, err := load.NewNetns(ctx)
	if err != nil {
		return nil, err
	}
	p.ns, p.size, p.born = ns, n, time.Now()
	if err := ns.TimeWaits(ctx, n, p.dests); err != nil {
		return nil, err
	}
	took := time.Since(p.born)
	p.progress("%d TIME_WAIT in %.1f s, %.0f a second", n, took.Seconds(), float64(n)/took.Seconds())
	if took > lifetime {
		return nil, errTooSlow
	}
	return ns, nil
}

func (p *population) close() error {
	if p.ns == nil {
		return nil
	}
	ns := p.ns
	p.ns = nil
	if err := ns.Close(); err != nil {
		return err
	}
	// The kernel frees a million sockets in the background; let it finish, or
	// it would run beside what is measured.
	time.Sleep(settle * time.Duration(1+p.size/300_000))
	return nil
}

const settle = 500 * time.Millisecond // by 300,000 sockets, with a reserve

// during runs f on a population of n and repeats it with a new one if the kernel
// counts less than 95 % of n before or after.
func (p *population) during(ctx context.Context, n int, f func(*load.Netns) error) error {
	for range attempts {
		ns, err := p.of(ctx, n)
		if err != nil {
			return err
		}
		before, err := ns.Count()
		if err != nil {
			return err
		}
		if before.TimeWait >= n*95/100 {
			if err := f(ns); err != nil {
				return err
			}
			after, err := ns.Count()
			if err != nil {
				return err
			}
			if after.TimeWait >= n*95/100 {
				return nil
			}
			before = after
		}
		p.progress("only %d of %d TIME_WAIT were left: again", before.TimeWait, n)
		if err := p.close(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d TIME_WAIT: %w", n, errTooSlow)
}
