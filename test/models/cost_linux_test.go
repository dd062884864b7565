package models

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/model"
	"github.com/portroom/portroom/port"
)

// A filling is what connect() cost while a range filled up.
type filling struct {
	cost  []time.Duration // processor time of the n-th connect
	vain  []time.Duration // of those that found no port
	ports int
}

// vainConnects is how many connects are tried when all is taken.
const vainConnects = 50

// How a range is filled towards one destination.
type how struct {
	// keep leaves the connections open. Else each is closed at once, and its TIME_WAIT
	// keeps the port.
	keep bool
	// window sets IP_LOCAL_PORT_RANGE to the range, which since 6.8 makes the search go
	// on where it was.
	window bool
}

func (h how) String() string {
	if h.keep {
		return "ESTABLISHED"
	}
	return "TIME_WAIT"
}

// fill takes every port of the range.
func fill(n *space, r port.Range, h how) (f filling, err error) {
	f.ports = r.Len()
	err = n.Do(func() error {
		listener, err := listen(server)
		if err != nil {
			return err
		}
		defer unix.Close(listener)
		var ends [][2]int
		defer func() {
			for _, e := range ends {
				reset(e)
			}
		}()
		for len(f.vain) < vainConnects {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if h.window {
				err = unix.SetsockoptInt(fd, unix.SOL_IP, ipLocalPortRange, int(r.First)|int(r.Last)<<16)
			}
			if err != nil {
				return err
			}
			begun := threadTime()
			err = unix.Connect(fd, sockaddr(server))
			cost := threadTime() - begun
			if err == unix.EADDRNOTAVAIL {
				f.vain = append(f.vain, cost)
				unix.Close(fd)
				continue
			}
			if err != nil {
				return err
			}
			f.cost = append(f.cost, cost)
			accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
			if err != nil {
				return err
			}
			if h.keep {
				ends = append(ends, [2]int{fd, accepted})
				continue
			}
			unix.Close(fd)
			unix.Close(accepted)
		}
		return nil
	})
	return f, err
}

const ipLocalPortRange = 51 // IP_LOCAL_PORT_RANGE of include/uapi/linux/in.h

// threadTime is the processor time of the calling thread: how busy the machine is with
// other things is not in it.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail
	return time.Duration(t.Nano())
}

// knee is how many ports were held when connects became dear for good: the first of
// which the hundred after it cost several times what the first quarter did.
func (f *filling) knee() int {
	base := median(f.cost[:f.ports/4])
	for i := range len(f.cost) - 100 {
		if median(f.cost[i:i+100]) > 3*base {
			return i + 50 // half of the window is beyond it
		}
	}
	return -1
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// mean leaves out the dearest hundredth: an interrupt may fall into a connect.
func mean(d []time.Duration) float64 {
	d = slices.Clone(d)
	slices.Sort(d)
	d = d[:len(d)-len(d)/100]
	sum := time.Duration(0)
	for _, v := range d {
		sum += v
	}
	return float64(sum) / float64(len(d))
}

// simulated fills the same range in the model.
func simulated(t *testing.T, r port.Range, settings ...string) *model.Result {
	t.Helper()
	pool := profile(t, append(settings, "tcp_tw_reuse=0", "ip_local_port_range="+r.String())...)
	res, err := model.Simulate(context.Background(), model.Run{Pool: pool, Arrivals: model.Even(model.Steady(10000)), Sources: 1, Destinations: 1,
		Duration: time.Duration(r.Len()+vainConnects) * 100 * time.Microsecond, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// What a search costs: the kernel's connect() and the ports that the model looks at, in
// one run.
func TestTheCostOfASearchIsThatOfThePortsItLooksAt(t *testing.T) {
	var base, perPort, excess, looked []float64
	for _, row := range []struct {
		ports port.Range
		how   how
	}{
		{port.Range{First: 30000, Last: 34095}, how{keep: true}},
		{port.Range{First: 30000, Last: 34095}, how{}},
		{port.Range{First: 30000, Last: 38191}, how{}},
	} {
		r := row.ports
		f, err := fill(newSpace(t, "tcp_tw_reuse=0", "ip_local_port_range="+r.String()), r, row.how)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.cost) != f.ports {
			t.Fatalf("%d connects of %d ports", len(f.cost), f.ports)
		}
		res := simulated(t, r)
		half := f.ports / 2
		before, after, vain := mean(f.cost[:half]), mean(f.cost[half:]), mean(f.vain)
		ns := (after - before) / (res.AfterKnee.Mean() - res.BeforeKnee.Mean())
		t.Logf("%d ports, %s: connect() takes %.1f µs before the knee, %.1f µs after it (×%.0f), %.1f µs in vain; the model looks at %.1f, %.0f and %.0f ports: %.0f ns for each, %.0f in vain; knee at %d, %d in the model",
			f.ports, row.how, before/1e3, after/1e3, after/before, vain/1e3, res.BeforeKnee.Mean(), res.AfterKnee.Mean(), res.Failed.Mean(), ns, vain/res.Failed.Mean(), f.knee(), res.LongSearch)
		for who, k := range map[string]int{"the kernel": f.knee(), "the model": res.LongSearch} {
			if math.Abs(float64(k-half)) > 0.01*float64(f.ports) {
				t.Errorf("%d ports: the knee of %s is at %d, want %d", f.ports, who, k, half)
			}
		}
		// Published and measured elsewhere: 60 to 240 ns for each port.
		if ns < 20 || ns > 720 {
			t.Errorf("%d ports: %.0f ns for each port that the model looks at, want 60 to 240 within a factor of three", f.ports, ns)
		}
		// A connect in vain looks at all ports: how much more that is does not depend on
		// the processor.
		if got, want := (vain-before)/(after-before), res.Failed.Mean()/res.AfterKnee.Mean(); got < want/1.5 || got > want*1.5 {
			t.Errorf("%d ports: a connect in vain takes %.2f times as long as one after the knee, in the model %.2f", f.ports, got, want)
		}
		base, perPort, excess, looked = append(base, before), append(perPort, ns), append(excess, after-before), append(looked, res.AfterKnee.Mean())
	}
	// Twice the ports, twice the search.
	if ratio, want := excess[2]/excess[1], looked[2]/looked[1]; ratio < want/1.5 || ratio > want*1.5 {
		t.Errorf("with twice the ports the search takes %.2f times as long, in the model %.2f", ratio, want)
	}
	// Cloudflare measured 0.025 ms and 4.59 ms with 56,512 ports
	// (blog.cloudflare.com/linux-transport-protocol-port-selection-performance).
	const published = 4.59e6
	foretold := base[2] + perPort[2]*simulated(t, port.Range{First: 9024, Last: 65535}).AfterKnee.Mean()
	t.Logf("with 56512 ports a connect after the knee would take %.2f ms here, published are %.2f ms", foretold/1e6, published/1e6)
	if foretold < published/3 || foretold > published*3 {
		t.Errorf("with 56512 ports a connect after the knee would take %.2f ms, published are %.2f ms", foretold/1e6, published/1e6)
	}
	churn(t, base[0], perPort[0])
}

// churn holds a share of a range, closes one connection at random and connects again:
// what that costs, by the cost of one port, against the ports that the model looks at.
func churn(t *testing.T, base, perPort float64) {
	const rounds = 400
	r := port.Range{First: 30000, Last: 33999}
	n := newSpace(t, "tcp_tw_reuse=0", "ip_local_port_range="+r.String())
	for _, share := range []float64{0.25, 0.6, 0.9} {
		held := int(share * float64(r.Len()))
		var costs []time.Duration
		err := n.Do(func() error {
			listener, err := listen(server)
			if err != nil {
				return err
			}
			defer unix.Close(listener)
			rng := rand.New(rand.NewPCG(1, 1))
			ends := make([][2]int, 0, held)
			defer func() {
				for _, e := range ends {
					reset(e)
				}
			}()
			for range held {
				client, accepted, ok, err := connect(listener, server)
				if err != nil || !ok {
					return errors.Join(err, fmt.Errorf("no port for connection %d of %d", len(ends), held))
				}
				ends = append(ends, [2]int{client, accepted})
			}
			for range rounds {
				k := rng.IntN(len(ends))
				reset(ends[k])
				begun := threadTime()
				client, accepted, ok, err := connect(listener, server)
				costs = append(costs, threadTime()-begun)
				if err != nil || !ok {
					return errors.Join(err, errors.New("no port where one was freed"))
				}
				ends[k] = [2]int{client, accepted}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		pool := profile(t, "ip_local_port_range="+r.String())
		rng := rand.New(rand.NewPCG(1, 1))
		ports := model.NewPorts(&pool, rng)
		var taken []int
		for range held {
			i, _, _ := ports.Take()
			taken = append(taken, i)
		}
		sum := 0
		for range rounds {
			k := rng.IntN(held)
			ports.Release(taken[k])
			i, n, _ := ports.Take()
			taken[k] = i
			sum += n
		}
		looked := float64(sum) / rounds
		got, want := mean(costs), base+looked*perPort
		t.Logf("churn with %.0f %% held: %.1f µs, foretold %.1f µs from %.0f ports", share*100, got/1e3, want/1e3, looked)
		// socket() and accept() are in it, and caches are warm or not.
		if got < want/1.7 || got > want*1.7+15e3 {
			t.Errorf("churn with %.0f %% held takes %.1f µs, foretold are %.1f µs", share*100, got/1e3, want/1e3)
		}
	}
}

// reset ends a connection without TIME_WAIT.
func reset(ends [2]int) {
	_ = unix.SetsockoptLinger(ends[0], unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(ends[0])
	unix.Close(ends[1])
}

// With IP_LOCAL_PORT_RANGE, since 6.8, there is no knee, in the kernel and in the model.
func TestAWindowHasNoKnee(t *testing.T) {
	r := port.Range{First: 30000, Last: 38191}
	f, err := fill(newSpace(t, "tcp_tw_reuse=0", "ip_local_port_range="+r.String()), r, how{window: true})
	if err != nil {
		t.Fatal(err)
	}
	half := f.ports / 2
	before, after := mean(f.cost[:half]), mean(f.cost[half:f.ports*95/100])
	res := simulated(t, r, "IP_LOCAL_PORT_RANGE="+r.String())
	t.Logf("connect() takes %.1f µs in the first half and %.1f µs after it; the model looks at %.1f and %.1f ports", before/1e3, after/1e3, res.BeforeKnee.Mean(), res.AfterKnee.Mean())
	if after > 3*before || res.AfterKnee.Mean() > 10 {
		t.Errorf("connect() takes %.1f µs in the first half and %.1f µs after it, the model looks at %.1f ports", before/1e3, after/1e3, res.AfterKnee.Mean())
	}
}
