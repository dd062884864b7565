package models

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/model"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/test/load"
)

// A way opens a socket that has a source port.
type way int

const (
	connecting    way = iota // connect()
	noPort                   // bind() with IP_BIND_ADDRESS_NO_PORT, then connect()
	binding                  // bind(ADDRESS, 0)
	bindFirst                // bind(ADDRESS, 0), then connect()
	bindShared               // the same with SO_REUSEADDR
	mapped                   // connect() of an AF_INET6 socket to a v4-mapped address
	udpConnecting            // connect() of a UDP socket
	udpBinding               // bind(ADDRESS, 0) of one
)

// A step opens sockets one way until the kernel refuses.
type step struct {
	how      way
	src, dst string
	// How many there are: least to most, which differ where chance decides.
	least, most int
	errno       error
	stage       string // that fails
}

// Addresses of every host; the destinations listen on two ports.
const (
	own1, own2   = "10.77.0.1", "10.77.0.2"
	dst1, dst2   = "10.77.0.3:9", "10.77.0.4:9"
	dst1b        = "10.77.0.3:10"
	six, sixHost = "[::1]:9", "::1"
)

var hundred = port.Range{First: 40000, Last: 40099}

// The table of how much 100 ports give.
var capacities = []struct {
	name    string
	sysctls []string
	listen  int // listeners on own2, in the range
	steps   []step
}{
	{"connect() gets every port for each destination", nil, 0, []step{
		{connecting, "", dst1, 100, 100, unix.EADDRNOTAVAIL, "connect"},
		{connecting, "", dst2, 100, 100, unix.EADDRNOTAVAIL, "connect"},
		{connecting, "", dst1b, 100, 100, unix.EADDRNOTAVAIL, "connect"},
	}},
	{"and from a second source by IP_BIND_ADDRESS_NO_PORT", nil, 0, []step{
		{noPort, own1, dst1, 100, 100, unix.EADDRNOTAVAIL, "connect"},
		{noPort, own2, dst1, 100, 100, unix.EADDRNOTAVAIL, "connect"},
	}},
	{"bind() first gets 100 for each source, whatever the destinations", nil, 0, []step{
		{bindFirst, own1, dst1, 100, 100, unix.EADDRINUSE, "bind"},
		{bindFirst, own1, dst2, 0, 0, unix.EADDRINUSE, "bind"},
		{bindFirst, own2, dst1, 100, 100, unix.EADDRINUSE, "bind"},
	}},
	{"bind() to all addresses needs a port that is free on all", nil, 0, []step{
		{binding, own1, "", 100, 100, unix.EADDRINUSE, "bind"},
		{binding, "0.0.0.0", "", 0, 0, unix.EADDRINUSE, "bind"},
		{binding, own2, "", 100, 100, unix.EADDRINUSE, "bind"},
	}},
	{"connect() gets nothing where bind() has taken all, on whatever address", nil, 0, []step{
		{binding, own2, "", 100, 100, unix.EADDRINUSE, "bind"},
		{connecting, "", dst1, 0, 0, unix.EADDRNOTAVAIL, "connect"},
		{noPort, own1, dst1, 0, 0, unix.EADDRNOTAVAIL, "connect"},
	}},
	{"listeners on another address cost one port each", nil, 20, []step{
		{connecting, "", dst1, 80, 80, unix.EADDRNOTAVAIL, "connect"},
		{noPort, own1, dst1, 80, 80, unix.EADDRNOTAVAIL, "connect"},
		{noPort, own2, dst2, 80, 80, unix.EADDRNOTAVAIL, "connect"},
	}},
	{"SO_REUSEADDR alone gets no more", []string{"ip_autobind_reuse=0"}, 0, []step{
		{bindShared, own1, dst1, 100, 100, unix.EADDRINUSE, "bind"},
		{bindShared, own1, dst2, 0, 0, unix.EADDRINUSE, "bind"},
	}},
	{"with ip_autobind_reuse a second destination gets a few", []string{"ip_autobind_reuse=1"}, 0, []step{
		{bindShared, own1, dst1, 100, 100, unix.EADDRNOTAVAIL, "connect"},
		{bindShared, own1, dst2, 1, 25, unix.EADDRNOTAVAIL, "connect"},
	}},
	{"UDP gets 100 for all destinations together", nil, 0, []step{
		{udpConnecting, "", dst1, 100, 100, unix.EAGAIN, "connect"},
		{udpConnecting, "", dst2, 0, 0, unix.EAGAIN, "connect"},
	}},
	{"UDP bind() gets 100 for each address", nil, 0, []step{
		{udpBinding, own1, "", 100, 100, unix.EADDRINUSE, "bind"},
		{udpBinding, own2, "", 100, 100, unix.EADDRINUSE, "bind"},
	}},
	{"v4-mapped IPv6 shares the pool of IPv4", nil, 0, []step{
		{mapped, "", dst1, 100, 100, unix.EADDRNOTAVAIL, "connect"},
		{connecting, "", dst1, 0, 0, unix.EADDRNOTAVAIL, "connect"},
	}},
	{"IPv6 has tuples of its own on the same ports", nil, 0, []step{
		{connecting, "", dst1, 100, 100, unix.EADDRNOTAVAIL, "connect"},
		{connecting, sixHost, six, 100, 100, unix.EADDRNOTAVAIL, "connect"},
	}},
}

func TestHowMuchAHundredPortsGive(t *testing.T) {
	for _, row := range capacities {
		t.Run(row.name, func(t *testing.T) {
			n := newHost(t, append([]string{"tcp_tw_reuse=0", "ip_local_port_range=" + hundred.String()}, row.sysctls...)...)
			for _, a := range []string{own1, own2, "10.77.0.3", "10.77.0.4"} {
				if out, err := exec.Command("ip", "-n", n.Name, "addr", "add", a+"/32", "dev", "lo").CombinedOutput(); err != nil {
					t.Fatalf("add %s: %v: %s", a, err, out)
				}
			}
			autobind := len(row.sysctls) > 0 && row.sysctls[0] == "ip_autobind_reuse=1"
			m := &model.Network{Range: hundred, UDP: row.steps[0].how >= udpConnecting, AutobindReuse: autobind, Rand: rand.New(rand.NewPCG(1, 1))}
			kernel, err := fillKernel(n, row.listen, row.steps)
			if err != nil {
				t.Fatal(err)
			}
			for i := range row.listen {
				m.Listen(own2, hundred.First+uint16(5*i))
			}
			for i := range row.steps {
				s := &row.steps[i]
				got := kernel[i]
				in := fillModel(m, s)
				if got.n < s.least || got.n > s.most || !errors.Is(got.err, s.errno) || got.stage != s.stage {
					t.Errorf("step %d: the kernel grants %d, then %s: %v; want %d to %d, then %s: %v", i+1, got.n, got.stage, got.err, s.least, s.most, s.stage, s.errno)
				}
				if in < s.least || in > s.most {
					t.Errorf("step %d: the model grants %d, want %d to %d", i+1, in, s.least, s.most)
				}
				if s.least == s.most && in != got.n {
					t.Errorf("step %d: the kernel grants %d, the model %d", i+1, got.n, in)
				}
			}
		})
	}
}

// fillModel opens sockets as the step says until the model refuses.
func fillModel(m *model.Network, s *step) (n int) {
	src := s.src
	if src == "" && s.how != udpConnecting {
		src = "the route's" // for v4-mapped the same
	}
	if src == "0.0.0.0" {
		src = ""
	}
	for n < 1000 {
		how := model.Bind
		switch s.how {
		case connecting, noPort, mapped:
			how = model.Connect
		case bindShared:
			how = model.BindShared
		}
		p, ok := m.Open(how, src, s.dst)
		if ok && (s.how == bindFirst || s.how == bindShared) {
			ok = m.ConnectBound(p, src, s.dst)
		}
		if !ok {
			return n
		}
		n++
	}
	return n
}

// granted is what a step got of the kernel, and how it ended.
type granted struct {
	n     int
	err   error
	stage string
}

// fillKernel does the steps in one namespace.
func fillKernel(host *load.Netns, listeners int, steps []step) (out []granted, err error) {
	err = host.Do(func() error {
		var fds []int
		defer func() {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}()
		for _, a := range []string{dst1, dst2, dst1b, six} {
			fd, err := serve(netip.MustParseAddrPort(a))
			if err != nil {
				return fmt.Errorf("listen on %s: %w", a, err)
			}
			fds = append(fds, fd)
		}
		for i := range listeners {
			fd, err := serve(netip.AddrPortFrom(netip.MustParseAddr(own2), hundred.First+uint16(5*i)))
			if err != nil {
				return err
			}
			fds = append(fds, fd)
		}
		for i := range steps {
			g := granted{}
			for g.n < 1000 {
				fd, stage, err := steps[i].open()
				if fd >= 0 {
					fds = append(fds, fd)
				}
				if err != nil {
					g.err, g.stage = err, stage
					break
				}
				g.n++
			}
			out = append(out, g)
		}
		return nil
	})
	return out, err
}

// serve is a listener whose backlog takes all connects, which nobody accepts.
func serve(at netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, errors.Join(unix.Bind(fd, sockaddr(at)), unix.Listen(fd, 1024))
}

// open makes one socket as the step says. stage is where it failed.
func (s *step) open() (fd int, stage string, err error) {
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	var dst netip.AddrPort
	if s.dst != "" {
		dst = netip.MustParseAddrPort(s.dst)
		if s.how == mapped {
			dst = netip.AddrPortFrom(netip.AddrFrom16(dst.Addr().As16()), dst.Port())
		}
		if dst.Addr().Is6() {
			family = unix.AF_INET6
		}
	}
	if s.how >= udpConnecting {
		kind = unix.SOCK_DGRAM
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "socket", err
	}
	set := func(level, opt int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, opt, 1)
		}
	}
	switch s.how {
	case noPort:
		set(unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT)
	case bindShared:
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR)
	}
	if err != nil {
		return fd, "setsockopt", err
	}
	if s.how != connecting && s.how != mapped && s.how != udpConnecting {
		if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(netip.MustParseAddr(s.src), 0))); err != nil {
			return fd, "bind", err
		}
	}
	if s.how == binding || s.how == udpBinding {
		return fd, "", nil
	}
	return fd, "connect", unix.Connect(fd, sockaddr(dst))
}
