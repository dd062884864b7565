package main

import (
	"context"
	"fmt"
	"time"
)

// simulation is a run of the simulator, on one processor.
type simulation struct {
	row      string
	rate     float64
	length   time.Duration
	args     []string
	target   string
	mustHold func(r result, connects float64) bool
}

// Rows h: Linux far below its ceiling, and an hour of 10,000 connects a second that
// all find a port.
var simulations = []simulation{
	{"j1", 160, 50 * time.Hour, nil, "≥ 3 million connects/s", func(r result, connects float64) bool { return connects/r.ASecs >= 3e6 }},
	{"j2", 10000, time.Hour, []string{"--destinations", "32", "--random", "--lifetime", "exp:1s"}, "≤ 30 s, peak ≤ 200 MiB",
		func(r result, _ float64) bool { return r.ASecs <= 30 && r.PeakKiB <= 200<<10 }},
}

func (b *bench) simulate(ctx context.Context, s simulation) error {
	length := s.length
	if b.quick {
		length /= 100
	}
	connects := s.rate * length.Seconds()
	args := append([]string{b.portroom, "simulate", "--system", "linux", "--rate", fmt.Sprint(s.rate), "--duration", length.String()}, s.args...)
	c := command{name: "portroom simulate", args: args, env: []string{"GOMAXPROCS=1"}}
	var xs samples
	for range min(b.runs, 3) {
		x, err := c.execute(ctx, nil)
		if err != nil {
			return err
		}
		xs = append(xs, x)
	}
	b.add(s.row, fmt.Sprintf("%.1f million connects simulated on one processor", connects/1e6), c, xs, command{}, nil, s.target,
		func(r result) bool { return s.mustHold(r, connects) },
		fmt.Sprintf("%.1f million connects a second", connects/xs.median()/1e6))
	return nil
}

func (b *bench) rowJ1(ctx context.Context) error { return b.simulate(ctx, simulations[0]) }
func (b *bench) rowJ2(ctx context.Context) error { return b.simulate(ctx, simulations[1]) }
