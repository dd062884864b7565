package models

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/model"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// server is where all connects go. It is below every range that is tried.
var server = netip.MustParseAddrPort("127.0.0.1:9")

// newHost makes a private namespace with sysctls of net.ipv4 set, such as
// "tcp_tw_reuse=0".
func newHost(t testing.TB, sysctls ...string) *load.Netns {
	t.Helper()
	need.Root(t)
	n, err := load.NewNetns(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range sysctls {
		name, value, _ := strings.Cut(s, "=")
		if err := n.Sysctl("net.ipv4."+name, strings.ReplaceAll(value, "-", " ")); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// profile is the model of this very kernel, with settings such as "tcp_tw_reuse=0".
func profile(t testing.TB, settings ...string) model.Pool {
	t.Helper()
	h, err := host.Read("/")
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Find(fmt.Sprintf("linux-%d.%d", h.Kernel.Major, h.Kernel.Minor))
	if err != nil {
		t.Fatal(err)
	}
	var set []model.Assignment
	for _, s := range append(settings, "CONFIG_HZ="+strconv.Itoa(host.TickRate())) {
		a, err := model.ParseAssignment(s)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, a)
	}
	pool, err := p.Resolve(set)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// A clock is what the kernel's clocks showed at one moment.
type clock struct {
	monotonic time.Duration
	jiffies   int64
}

// readClock reads both; the tick that the timers go by is only shown to root.
func readClock() (clock, error) {
	f, err := os.Open("/proc/timer_list")
	if err != nil {
		return clock{}, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "jiffies: "); ok {
			n, err := strconv.ParseInt(text, 10, 64)
			return clock{now(), n}, err
		}
	}
	return clock{}, errors.New("/proc/timer_list shows no jiffies")
}

func now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail
	return time.Duration(t.Nano())
}

// sleepUntil waits for a time of the monotonic clock.
func sleepUntil(at time.Duration) {
	t := unix.NsecToTimespec(int64(at))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil) == unix.EINTR {
	}
}

// listen makes the listening socket of a destination.
func listen(at netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := errors.Join(unix.Bind(fd, sockaddr(at)), unix.Listen(fd, 4096)); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// connect opens a connection to a listener and accepts it. Without a free port ok is
// false.
func connect(listener int, to netip.AddrPort) (client, accepted int, ok bool, err error) {
	client, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, false, err
	}
	err = unix.Connect(client, sockaddr(to))
	if err == nil {
		accepted, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	}
	if err != nil {
		unix.Close(client)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			err = nil
		}
		return -1, -1, false, err
	}
	return client, accepted, true, nil
}
