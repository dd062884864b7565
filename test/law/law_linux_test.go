// Package law holds the product's claim against the kernel: random populations
// of sockets in namespaces of their own, the headroom that portroom states for
// each pool, and then connects until the kernel refuses.
package law

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/route"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/test/need"
)

var ne = binary.NativeEndian

// tallies of what was compared, printed at the end.
var scenarios, pools, exact, binds, udps, bounds, asked atomic.Int64

// want is a statement to be proved.
type want struct {
	what     string
	low, max int
	exact    bool
	orphans  bool // why it may be further apart: see pool.Orphans
}

func wanted(what string, p *pool.Pool) want {
	return want{what, p.Headroom, p.HeadroomMax, p.Exact(), slices.Contains(p.Inexact, pool.Orphans)}
}

func (w want) check(got int) error {
	if got < w.low || got > w.max || w.exact && w.low != w.max {
		return fmt.Errorf("%s: portroom says %d to %d (exact=%v), the kernel granted %d", w.what, w.low, w.max, w.exact, got)
	}
	return nil
}

// measure asks portroom from outside the namespace.
func (w *world) measure(engine socket.Engine, ask func(*survey.View)) error {
	opt := survey.Options{Namespaces: []netns.Namespace{{ID: w.id, Path: w.path}}, Engine: engine, Owners: engine != socket.Plain}
	return survey.Each(context.Background(), opt, func(v *survey.View) error { ask(v); return nil })
}

func TestHeadroomIsWhatTheKernelGrants(t *testing.T) {
	need.Root(t)
	release, err := host.KernelRelease("/")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) { scenario(rt, release) })
	fmt.Printf("%d scenarios: %d TCP pools (%d exact), %d bind(ip,0), %d UDP pools, %d bounds without BPF, %d answers of the command with and without capabilities\n",
		scenarios.Load(), pools.Load(), exact.Load(), binds.Load(), udps.Load(), bounds.Load(), asked.Load())
}

// A pool to be tried, and how.
type trial struct {
	dial dial
	key  pool.Key
}

func scenario(rt *rapid.T, release host.Release) {
	w, err := newWorld()
	if err != nil {
		rt.Fatal(err)
	}
	defer w.end()
	first := rapid.IntRange(20000, 60000).Draw(rt, "first")
	count := rapid.IntRange(1, 24).Draw(rt, "count")
	reuse := rapid.IntRange(0, 2).Draw(rt, "tw_reuse")
	var setup error
	w.run(func() {
		set := func(name, value string) {
			if err := sysctl(name, value); err != nil && setup == nil {
				setup = err
			}
			w.note("%s = %s", name, value)
		}
		set("ip_local_port_range", fmt.Sprintf("%d %d", first, first+count-1))
		set("tcp_tw_reuse", itoa(reuse))
		set("tcp_timestamps", itoa(rapid.SampledFrom([]int{1, 1, 1, 0}).Draw(rt, "timestamps")))
		if hasSysctl("tcp_tw_reuse_delay") {
			set("tcp_tw_reuse_delay", rapid.SampledFrom([]string{"1", "60000"}).Draw(rt, "delay"))
		}
		var reserved []string
		for range rapid.IntRange(0, 3).Draw(rt, "reservations") {
			p := first + rapid.IntRange(-1, count).Draw(rt, "reserved")
			reserved = append(reserved, itoa(p))
		}
		set("ip_local_reserved_ports", strings.Join(reserved, ","))
	})
	if setup != nil {
		rt.Fatal(setup)
	}
	w.run(func() { w.populate(rt, first, count) })
	if reuse != 0 && w.timeWaits > 0 {
		// Let the delay pass: 1 ms, or before 6.14 a change of the second.
		pause := 20 * time.Millisecond
		if !release.AtLeast(6, 14) {
			pause = 2100 * time.Millisecond
		}
		time.Sleep(pause)
	}
	w.prove(rt)
	scenarios.Add(1)
}

// A kernel before 6.12 may take the place of a connection that was closed on one
// side only. 5.10.223 does; the fix came to its series two months later.
func TestAnOrphanIsHeldOrTheBoundsSaySo(t *testing.T) {
	need.Root(t)
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer w.end()
	d := dial{dst: netip.AddrPortFrom(addrs4[2], dstPorts[0]), src: addrs4[3], noPort: true}
	w.run(func() {
		err = errors.Join(sysctl("ip_local_port_range", "20000 20009"), sysctl("tcp_tw_reuse", "1"))
		w.connect(d)
		w.connect(d)
		w.finish(0, "client only")
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond)
	var said want
	err = w.measure(socket.Auto, func(v *survey.View) {
		p := v.Room(pool.Key{Proto: socket.TCP, Src: d.src, Dst: d.dst})
		said = wanted(d.String(), &p)
	})
	if err != nil {
		t.Fatal(err)
	}
	granted := 0
	w.run(func() { granted, err = fill(d) })
	if err := errors.Join(err, said.check(granted)); err != nil {
		t.Error(err)
	}
	release, err := host.KernelRelease("/")
	if err != nil {
		t.Fatal(err)
	}
	if fixed := release.AtLeast(6, 12); said.exact != fixed || said.orphans == fixed || said.low != 8 {
		t.Errorf("portroom says %d to %d, exact=%v, orphans=%v", said.low, said.max, said.exact, said.orphans)
	}
	fmt.Printf("beside an orphan %d ports are granted, %d to %d were said\n", granted, said.low, said.max)
}

// populate opens, binds and closes at random.
func (w *world) populate(rt *rapid.T, first, count int) {
	if rapid.IntRange(0, 3).Draw(rt, "change timestamps") == 0 {
		defer sysctl("tcp_timestamps", "1")
	}
	all := append(append([]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, addrs4...), addrs6...)
	flag := func(name string, odds int) bool { return rapid.IntRange(0, odds).Draw(rt, name) == 0 }
	inRange := func() uint16 { return uint16(first + rapid.IntRange(0, count-1).Draw(rt, "port")) }
	for range rapid.IntRange(0, 3*count/2+4).Draw(rt, "steps") {
		switch op := rapid.IntRange(0, 15).Draw(rt, "op"); {
		case op < 8:
			w.connect(drawDial(rt, inRange))
		case op < 11:
			if len(w.conns) > 0 {
				i := rapid.IntRange(0, len(w.conns)-1).Draw(rt, "conn")
				w.finish(i, rapid.SampledFrom(endings).Draw(rt, "ending"))
			}
		case op < 13:
			w.occupy(rapid.SampledFrom(all).Draw(rt, "addr"), inRange(), flag("listen", 1), flag("reuseaddr", 1), flag("reuseport", 3), flag("v6only", 1))
		case op == 13:
			if n := len(w.idle); n > 0 {
				i := rapid.IntRange(0, n-1).Draw(rt, "idle")
				w.note("close bound %d", i)
				unix.Close(w.idle[i])
				w.idle = append(w.idle[:i], w.idle[i+1:]...)
			}
		case op == 14:
			w.acceptInRange(rt, first, count)
		default:
			w.populateUDP(rt, all, inRange)
		}
	}
}

// drawDial draws one of the three kinds of connect.
func drawDial(rt *rapid.T, inRange func() uint16) dial {
	v6 := rapid.IntRange(0, 3).Draw(rt, "v6") == 0
	addrs := addrs4
	if v6 {
		addrs = addrs6
	}
	d := dial{dst: netip.AddrPortFrom(rapid.SampledFrom(addrs[:2]).Draw(rt, "dst"), rapid.SampledFrom(dstPorts[:2]).Draw(rt, "dport"))}
	if rapid.Bool().Draw(rt, "far") {
		d.dst = netip.AddrPortFrom(addrs[len(addrs)-1], d.dst.Port())
	}
	d.mapped = !v6 && rapid.IntRange(0, 3).Draw(rt, "mapped") == 0
	d.device = rapid.IntRange(0, 11).Draw(rt, "device") == 0
	switch kind := rapid.IntRange(0, 5).Draw(rt, "kind"); kind {
	case 0, 1: // plain
	case 2, 3:
		d.src, d.noPort = rapid.SampledFrom(addrs).Draw(rt, "src"), true
	case 4:
		d.src = rapid.SampledFrom(addrs).Draw(rt, "src")
		d.reuse = rapid.Bool().Draw(rt, "reuse")
	case 5:
		d.src, d.port = rapid.SampledFrom(addrs).Draw(rt, "src"), inRange()
		d.reuse = rapid.Bool().Draw(rt, "reuse")
	}
	return d
}

// acceptInRange makes a listener inside the range, a connection to it from a
// port outside, and closes one or the other, so that children outlive it.
func (w *world) acceptInRange(rt *rapid.T, first, count int) {
	p := uint16(first + rapid.IntRange(0, count-1).Draw(rt, "server port"))
	a := rapid.SampledFrom(addrs4).Draw(rt, "server addr")
	n := len(w.idle)
	w.occupy(a, p, true, true, false, false)
	if len(w.idle) == n {
		return
	}
	d := dial{dst: netip.AddrPortFrom(a, p), src: addrs4[0], port: uint16(rapid.IntRange(11000, 12000).Draw(rt, "peer port"))}
	fd, err := d.open()
	w.note("%s: %v", d, err)
	if err != nil {
		return
	}
	c := &conn{client: fd, server: -1}
	for range 200 {
		if s, _, err := unix.Accept4(w.idle[n], unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK); err == nil {
			c.server = s
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.conns = append(w.conns, c)
	if rapid.Bool().Draw(rt, "close listener") {
		w.note("close its listener")
		unix.Close(w.idle[n])
		w.idle = w.idle[:n]
	}
}

func (w *world) populateUDP(rt *rapid.T, all []netip.Addr, inRange func() uint16) {
	var src netip.Addr
	var p uint16
	var dst netip.AddrPort
	switch rapid.IntRange(0, 3).Draw(rt, "udp kind") {
	case 0:
		dst = netip.AddrPortFrom(rapid.SampledFrom(append(addrs4, addrs6...)).Draw(rt, "udp dst"), 53)
	case 1:
		src = rapid.SampledFrom(all).Draw(rt, "udp src")
	case 2:
		src, p = rapid.SampledFrom(all).Draw(rt, "udp src"), inRange()
	case 3:
		src = rapid.SampledFrom(addrs4).Draw(rt, "udp src")
		dst = netip.AddrPortFrom(rapid.SampledFrom(addrs4).Draw(rt, "udp dst"), 53)
	}
	reuse, only := rapid.IntRange(0, 3).Draw(rt, "udp reuse") == 0, rapid.Bool().Draw(rt, "udp v6only")
	noPort := rapid.IntRange(0, 3).Draw(rt, "udp noport") == 0
	fd, err := openUDP(src, p, dst, reuse, only, noPort)
	w.note("udp %s:%d to %s reuse=%v v6only=%v noport=%v: %v", src, p, dst, reuse, only, noPort, err)
	if err == nil {
		w.udp = append(w.udp, fd)
	}
}

// prove asks portroom about pools with and without sockets, then the kernel.
func (w *world) prove(rt *rapid.T) {
	trials := w.drawTrials(rt)
	exactly := make([]want, len(trials))
	loosely := make([]want, len(trials))
	udp := udpTrials()
	udpWant := make([]want, len(udp))
	udpLoose := make([]want, len(udp))
	fail := func(err error) {
		if err != nil {
			rt.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
		}
	}
	ask := func(tcp, datagram []want) func(*survey.View) {
		return func(v *survey.View) {
			for i, tr := range trials {
				p := v.Room(tr.key)
				tcp[i] = wanted(tr.dial.String(), &p)
			}
			for i, k := range udp {
				p := v.Room(k)
				datagram[i] = wanted("udp "+k.Src.String(), &p)
			}
		}
	}
	fail(w.measure(socket.Auto, ask(exactly, udpWant)))
	fail(w.measure(socket.Plain, ask(loosely, udpLoose)))
	// The first pool is asked of the command as well, by a process inside.
	var said []want
	if os.Getpid() != 1 || rapid.IntRange(0, 4).Draw(rt, "ask in the machine") == 0 {
		for _, user := range []string{"all", "none"} {
			answer, err := w.ask(trials[0].dial, trials[0].key.Src.String(), user)
			fail(err)
			said = append(said, answer)
			asked.Add(1)
		}
		if said[0].low != exactly[0].low || said[0].max != exactly[0].max {
			fail(fmt.Errorf("%s: %d to %d from inside, %d to %d from outside", said[0].what, said[0].low, said[0].max, exactly[0].low, exactly[0].max))
		}
	}

	// rapid must hear of failures on its own goroutine.
	prove := func(f func() error) {
		var err error
		w.run(func() { err = f() })
		fail(err)
	}
	for i, tr := range trials {
		prove(func() error {
			got, err := fill(tr.dial)
			if err == nil {
				err = errors.Join(exactly[i].check(got), loosely[i].check(got))
			}
			if i == 0 && err == nil {
				for _, s := range said {
					err = errors.Join(err, s.check(got))
				}
			}
			if err == nil && !exactly[i].exact && !exactly[i].orphans && exactly[i].max-exactly[i].low != 1 {
				err = fmt.Errorf("%s: bounds %d to %d are further apart than an odd range makes them", exactly[i].what, exactly[i].low, exactly[i].max)
			}
			return err
		})
		if exactly[i].exact {
			exact.Add(1)
		}
		pools.Add(1)
		bounds.Add(1)
	}
	for i, k := range udp {
		prove(func() error {
			src, dst := k.Src, netip.AddrPortFrom(addrs4[0], 53)
			if src.Is6() {
				dst = netip.AddrPortFrom(addrs6[0], 53)
			}
			if src.IsUnspecified() {
				src = netip.Addr{}
			}
			got, err := fillUDP(src, dst)
			return errors.Join(err, udpWant[i].check(got), udpLoose[i].check(got))
		})
		udps.Add(1)
	}

	// bind(ip, 0) comes last and is asked for anew: what was connected above may
	// have taken the place of TIME_WAIT entries.
	var list []netip.Addr
	list = append(append(list, addrs4...), addrs6...)
	for _, src := range list[:1+rapid.IntRange(0, len(list)-1).Draw(rt, "binds")] {
		var sure, loose want
		key := pool.Key{Proto: socket.TCP, Src: src, Dst: netip.AddrPortFrom(src, 1)}
		fail(w.measure(socket.Auto, func(v *survey.View) {
			p := v.Room(key)
			sure = want{what: "bind " + src.String(), low: p.BindHeadroom, max: p.BindHeadroomMax}
		}))
		fail(w.measure(socket.Plain, func(v *survey.View) {
			p := v.Room(key)
			loose = want{what: "bind without BPF " + src.String(), low: p.BindHeadroom, max: p.BindHeadroomMax}
		}))
		if sure.max-sure.low > 1 {
			fail(fmt.Errorf("%s: bounds %d to %d", sure.what, sure.low, sure.max))
		}
		prove(func() error {
			got, err := fillBind(src)
			return errors.Join(err, sure.check(got), loose.check(got))
		})
		binds.Add(1)
	}
}

// drawTrials returns the pools to be tried, in the order of trying.
func (w *world) drawTrials(rt *rapid.T) []trial {
	// A socket that is not bound leaves from the address that the routing table
	// says: 127.0.0.1 for all of 127/8.
	choice := make(map[netip.Addr]netip.Addr)
	w.run(func() {
		for _, dst := range append(append([]netip.Addr{}, addrs4...), addrs6...) {
			c, err := route.Source(dst, 0)
			if err != nil {
				panic(err)
			}
			choice[dst] = c.Src
		}
	})
	seed := rapid.Uint64().Draw(rt, "order of trials")
	order := rand.New(rand.NewPCG(seed, 0))
	var all []trial
	for _, port := range dstPorts { // nobody ever connected to the last
		for _, family := range [][]netip.Addr{addrs4, addrs6} {
			for _, dst := range family {
				for _, src := range family {
					d := dial{dst: netip.AddrPortFrom(dst, port), src: src, noPort: true}
					if src == choice[dst] && order.IntN(2) == 0 {
						d.src = netip.Addr{}
					}
					d.mapped = src.Is4() && order.IntN(3) == 0
					all = append(all, trial{d, pool.Key{Proto: socket.TCP, Src: src, Dst: d.dst}})
				}
			}
		}
	}
	order.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:24]
}

// udpTrials are the UDP pools: each address, and sockets that are not bound.
func udpTrials() []pool.Key {
	keys := []pool.Key{{Proto: socket.UDP, Src: netip.IPv4Unspecified()}, {Proto: socket.UDP, Src: netip.IPv6Unspecified()}}
	for _, a := range append(append([]netip.Addr{}, addrs4...), addrs6...) {
		keys = append(keys, pool.Key{Proto: socket.UDP, Src: a})
	}
	return keys
}
