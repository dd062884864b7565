package survey

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// The population of most tests: a range of 100 ports, five of them blocked, and
// connections from loopback to a server below the range.
const (
	first, last = 20000, 20099
	reserved    = "20010-20013"
	inRange     = 20050 // a listener
	server      = 10001
	connections = 7
	blocked     = 5
)

// key is the pool of the connections.
var key = pool.Key{Proto: socket.TCP, Src: netip.MustParseAddr("127.0.0.1"), Dst: netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", server))}

// sameAddr lets cmp look at addresses.
var sameAddr = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func place(t *testing.T) (*load.Netns, netns.Namespace) {
	t.Helper()
	n := load.ForTest(t)
	if err := n.Sysctl("net.ipv4.ip_local_port_range", fmt.Sprintf("%d %d", first, last)); err != nil {
		t.Fatal(err)
	}
	ns, err := netns.Find(n.Name)
	if err != nil {
		t.Fatal(err)
	}
	return n, ns
}

// keep closes c at the end of the test.
func keep(t *testing.T, c io.Closer) { t.Cleanup(func() { _ = c.Close() }) }

// listen listens on a port of 127.0.0.1, within the namespace of the thread.
func listen(ctx context.Context, at int) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", at))
}

// populate makes n connections to the server and the listener inside the range.
func populate(t *testing.T, in *load.Netns, n int) {
	t.Helper()
	if err := in.Sysctl("net.ipv4.ip_local_reserved_ports", reserved); err != nil {
		t.Fatal(err)
	}
	err := in.Do(func() error {
		l, err := listen(t.Context(), server)
		if err != nil {
			return err
		}
		keep(t, l)
		idle, err := listen(t.Context(), inRange)
		if err != nil {
			return err
		}
		keep(t, idle)
		for range n {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				return err
			}
			keep(t, c)
			s, err := l.Accept()
			if err != nil {
				return err
			}
			keep(t, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// one surveys a single namespace.
func one(t *testing.T, opt Options, fn func(*View)) {
	t.Helper()
	calls := 0
	err := Each(t.Context(), opt, func(v *View) error { calls++; fn(v); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if calls != 1 {
		t.Fatalf("Each called %d times for one namespace", calls)
	}
}

func TestTheAccountOfAKnownPopulation(t *testing.T) {
	n, ns := place(t)
	populate(t, n, connections)
	for name, engine := range map[string]socket.Engine{"auto": socket.Auto, "iterator": socket.Iterator, "diag": socket.Diag} {
		t.Run(name, func(t *testing.T) {
			one(t, Options{Namespaces: []netns.Namespace{ns}, Engine: engine, Owners: true}, func(v *View) {
				need.That(t, v.Limited == nil, "BPF", fmt.Sprint("run the tests where BPF programs load: ", v.Limited))
				got := v.Room(key)
				want := pool.Pool{
					Key: key, Range: 100, Blocked: blocked, Capacity: 100 - blocked, Held: connections,
					Headroom: 100 - blocked - connections, HeadroomMax: 100 - blocked - connections,
					Owners: []pool.Owner{{PID: os.Getpid(), Command: comm(t), Cgroup: netns.Cgroup(os.Getpid()), Ports: connections}},
				}
				want.States[socket.Established] = connections
				numbers := cmpopts.IgnoreFields(pool.Pool{}, "BindHeadroom", "BindHeadroomMax", "Knee", "CeilingPerSecond")
				if diff := cmp.Diff(want, got, sameAddr, numbers); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if got := v.Settings.Range; got != (port.Range{First: first, Last: last}) {
					t.Errorf("the settings are of another namespace: range %v", got)
				}
				if v.Namespace != ns {
					t.Errorf("the view is of %+v, want %+v", v.Namespace, ns)
				}
				if all := v.Pools(); len(all) != 1 || all[0].Key != key || all[0].Held != connections {
					t.Errorf("the pools are %+v", all)
				}
				if b := v.Table.Blocked(); b.Total != blocked || b.Kinds[pool.Reserved] != 4 || b.Kinds[pool.Listening] != 1 {
					t.Errorf("blocked ports: %+v", b)
				}
			})
		})
	}
}

func comm(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:len(text)-1])
}

// The number stated is the number of connects that succeed.
func TestTheHeadroomIsGranted(t *testing.T) {
	n, ns := place(t)
	populate(t, n, connections)
	room := 0
	one(t, Options{Namespaces: []netns.Namespace{ns}}, func(v *View) { room = v.Room(key).Headroom })
	granted := 0
	err := n.Do(func() error {
		for range 101 {
			c, err := net.Dial("tcp4", key.Dst.String())
			if errors.Is(err, unix.EADDRNOTAVAIL) {
				return nil
			}
			if err != nil {
				return err
			}
			keep(t, c)
			granted++
		}
		return errors.New("the kernel never refuses")
	})
	if err != nil || granted != room {
		t.Errorf("headroom %d, the kernel granted %d: %v", room, granted, err)
	}
}

func TestEnginesAgreeOnHeld(t *testing.T) {
	n, ns := place(t)
	populate(t, n, connections)
	for name, engine := range map[string]socket.Engine{
		"auto": socket.Auto, "iterator": socket.Iterator, "diag": socket.Diag, "plain": socket.Plain,
	} {
		t.Run(name, func(t *testing.T) {
			opt := Options{Namespaces: []netns.Namespace{ns}, Engine: engine}
			one(t, opt, func(v *View) {
				got := v.Room(key)
				if got.Range != 100 || got.Blocked != blocked || got.Held != connections || got.HeadroomMax != 100-blocked-connections {
					t.Errorf("the pool is %+v", got)
				}
				if got.Headroom > 100-blocked-connections {
					t.Errorf("headroom %d is more than the kernel grants", got.Headroom)
				}
				// To another destination the connections matter only as far as the
				// state of their ports is not known.
				other := key
				other.Dst = netip.MustParseAddrPort("127.0.0.2:10001")
				empty := v.Room(other)
				low, why := 100-blocked, []pool.Reason(nil)
				if v.Limited != nil {
					low, why = 100-blocked-connections, []pool.Reason{pool.NoBuckets}
				}
				if engine == socket.Plain && v.Limited == nil {
					t.Error("nothing limits a reader without BPF")
				}
				if empty.Held != 0 || empty.Headroom != low || empty.HeadroomMax != 100-blocked || !slices.Equal(empty.Inexact, why) {
					t.Errorf("an empty pool: headroom %d to %d, %q, want %d to %d, %q",
						empty.Headroom, empty.HeadroomMax, empty.Inexact, low, 100-blocked, why)
				}
				if v.Owners != nil || len(got.Owners) != 0 {
					t.Errorf("owners, which were not asked for: %+v", got.Owners)
				}
			})
		})
	}
}

func TestPortCollectsTheSocketsOnIt(t *testing.T) {
	n, ns := place(t)
	populate(t, n, connections)
	for name, engine := range map[string]socket.Engine{"auto": socket.Auto, "iterator": socket.Iterator, "diag": socket.Diag, "plain": socket.Plain} {
		t.Run(name, func(t *testing.T) {
			opt := Options{Namespaces: []netns.Namespace{ns}, Engine: engine, Owners: true, Port: server}
			one(t, opt, func(v *View) {
				states := make(map[string]int)
				for _, h := range v.Sockets {
					states[h.State.String()]++
					if h.Proto != socket.TCP || h.SrcPort != server || h.Src.Netip() != key.Src {
						t.Errorf("a socket that is not on the port: %+v", h)
					}
					if h.Owner.PID != os.Getpid() || h.Owner.Command != comm(t) {
						t.Errorf("the owner is %+v, want %d", h.Owner, os.Getpid())
					}
				}
				if diff := cmp.Diff(map[string]int{"LISTEN": 1, "ESTABLISHED": connections}, states); diff != "" {
					t.Errorf("the sockets on port %d (-want +got):\n%s", server, diff)
				}
				if v.PortBound != socket.Yes {
					t.Errorf("whether the port is bound: %v, want yes", v.PortBound)
				}
			})
			opt.Port, opt.Owners = inRange+1, false // nobody's
			one(t, opt, func(v *View) {
				if len(v.Sockets) != 0 || v.PortBound == socket.Yes {
					t.Errorf("port %d: %+v, bound %v", opt.Port, v.Sockets, v.PortBound)
				}
			})
			opt.Port = server
			one(t, opt, func(v *View) {
				if len(v.Sockets) != 1+connections || v.Sockets[0].Owner != (socket.Owner{}) {
					t.Errorf("without owners: %+v", v.Sockets)
				}
			})
		})
	}
}
