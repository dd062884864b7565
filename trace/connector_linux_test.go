package trace_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/load"
)

// connectorEnv makes the test binary a program that connects as it is told.
const connectorEnv = "PORTROOM_TEST_CONNECTOR"

func TestMain(m *testing.M) {
	load.Child()
	if spec := os.Getenv(connectorEnv); spec != "" {
		os.Exit(connector(spec))
	}
	if mode := os.Getenv(starterEnv); mode != "" {
		os.Exit(starter(mode))
	}
	os.Exit(m.Run())
}

// A task is what a connector does.
type task struct {
	Dst      netip.AddrPort
	IPv6     bool // an AF_INET6 socket, also for an IPv4 destination
	Attempts int
	Threads  int // that share the attempts; 0 is one
	Nonblock bool
	NoPort   netip.Addr // bind() to it with IP_BIND_ADDRESS_NO_PORT first
	Bind     netip.AddrPort
	Again    bool // each socket was refused by the peer of another connect before
	How      ending
}

type ending string

const (
	keep      ending = "keep"
	closeHere ending = "close"
	reset     ending = "reset"
	peerFirst ending = "peer"
	keepReset ending = "keep, then reset" // at once when the process ends
)

// connector says how many connects were granted and refused, and keeps what it
// has until its input ends.
func connector(spec string) int {
	var k task
	if err := json.Unmarshal([]byte(spec), &k); err != nil {
		fmt.Println(err)
		return 1
	}
	var granted, refused atomic.Int64
	var failure atomic.Value
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(k.Attempts))
	for range max(k.Threads, 1) {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				switch err := k.connect(); {
				case err == nil:
					granted.Add(1)
				case errors.Is(err, unix.EADDRNOTAVAIL):
					refused.Add(1)
				default:
					failure.Store(err)
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(granted.Load(), refused.Load())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func (k *task) connect() error {
	family := unix.AF_INET
	if k.IPv6 || k.Dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	to := func(ap netip.AddrPort) unix.Sockaddr {
		if family == unix.AF_INET6 {
			return &unix.SockaddrInet6{Addr: ap.Addr().As16(), Port: int(ap.Port())}
		}
		return &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
	}
	if k.Again {
		nobody := netip.AddrPortFrom(k.Dst.Addr(), 1)
		if err := unix.Connect(fd, to(nobody)); !errors.Is(err, unix.ECONNREFUSED) {
			return fmt.Errorf("connect to a port where nobody listens: %w", err)
		}
	}
	if k.NoPort.IsValid() {
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
		if err := unix.Bind(fd, to(netip.AddrPortFrom(k.NoPort, 0))); err != nil {
			return err
		}
	}
	if k.Bind.IsValid() {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
		if err := unix.Bind(fd, to(k.Bind)); err != nil {
			return err
		}
	}
	if k.Nonblock {
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
	}
	err = unix.Connect(fd, to(k.Dst))
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return err
	}
	switch k.How {
	case keep:
		return nil
	case reset, keepReset:
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return err
		}
		if k.How == keepReset {
			return nil
		}
	case peerFirst:
		if _, err := unix.Read(fd, make([]byte, 1)); err != nil {
			return err
		}
	}
	return unix.Close(fd)
}

// A process is a connector that has done its work and lives.
type process struct {
	PID              int
	Granted, Refused int
	cmd              *exec.Cmd
	in               io.Closer
}

// start runs a connector in a namespace. cgroup is the descriptor of a control
// group's directory, or 0.
func start(t *testing.T, ns *load.Netns, cgroup int, k task) *process {
	t.Helper()
	spec, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), connectorEnv+"="+string(spec))
	if cgroup != 0 {
		cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: cgroup}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	p := &process{PID: cmd.Process.Pid, cmd: cmd, in: in}
	t.Cleanup(p.end)
	var line strings.Builder
	buf := make([]byte, 1)
	for !strings.HasSuffix(line.String(), "\n") {
		if _, err := out.Read(buf); err != nil {
			t.Fatalf("the connector said %q: %v", line.String(), err)
		}
		line.Write(buf)
	}
	if _, err := fmt.Sscan(line.String(), &p.Granted, &p.Refused); err != nil {
		t.Fatalf("the connector said %q", line.String())
	}
	return p
}

func (p *process) end() {
	p.in.Close()
	_ = p.cmd.Wait()
}

// connectOnce connects and closes.
func connectOnce(to netip.AddrPort) error {
	k := task{Dst: to, How: closeHere}
	return k.connect()
}
