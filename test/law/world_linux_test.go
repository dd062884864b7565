package law

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/loopback"
)

// A world is a network namespace of its own with sockets in it. Its functions
// run on one thread that never leaves the namespace.
type world struct {
	path string // of the namespace
	id   uint64
	do   chan func()
	log  []string

	conns     []*conn
	idle      []int            // bound or listening descriptors
	udp       []int            // UDP descriptors
	servers   map[uint16][]int // listening on destination ports, by port: IPv4, IPv6
	timeWaits int              // entries that tcp_tw_reuse may concern
}

// A conn is a connection and both its ends.
type conn struct {
	client, server int // -1 when closed
}

// The addresses of every world, on lo. Those in 127/8 and ::1 are loopback for
// tcp_tw_reuse=2, the others are not.
var (
	addrs4 = parseAll("127.0.0.1", "127.0.0.2", "10.77.0.1", "10.77.0.2")
	addrs6 = parseAll("::1", "fd77::1", "fd77::2")
)

// dstPorts are below every range that is tried.
var dstPorts = []uint16{10001, 10002, 10003}

func parseAll(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// newWorld makes a namespace with lo up, its addresses and its servers.
func newWorld() (*world, error) {
	w := &world{do: make(chan func()), servers: make(map[uint16][]int)}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the namespace
		// with its last socket.
		runtime.LockOSThread()
		err := w.enter()
		ready <- err
		if err != nil {
			return
		}
		for f := range w.do {
			f()
		}
	}()
	return w, <-ready
}

func (w *world) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("new network namespace: %w", err)
	}
	w.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	var st unix.Stat_t
	if err := unix.Stat(w.path, &st); err != nil {
		return err
	}
	w.id = st.Ino
	if err := loopback.Up(); err != nil {
		return err
	}
	for _, a := range append(addrs4[2:], addrs6[1:]...) {
		if err := addAddr(a); err != nil {
			return fmt.Errorf("add %s: %w", a, err)
		}
	}
	for _, p := range dstPorts {
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				return err
			}
			anywhere := netip.IPv4Unspecified()
			if family == unix.AF_INET6 {
				anywhere = netip.IPv6Unspecified()
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
					return err
				}
			}
			if err := unix.Bind(fd, sockaddr(anywhere, p)); err != nil {
				return err
			}
			if err := unix.Listen(fd, 4096); err != nil {
				return err
			}
			w.servers[p] = append(w.servers[p], fd)
		}
	}
	return nil
}

// run runs f inside the world. A panic, by which rapid ends a draw that leads
// nowhere, goes to the caller.
func (w *world) run(f func()) {
	done := make(chan any)
	w.do <- func() {
		defer func() { done <- recover() }()
		f()
	}
	if p := <-done; p != nil {
		panic(p)
	}
}

// end closes everything.
func (w *world) end() {
	w.run(func() {
		for _, c := range w.conns {
			reset(c.client)
			reset(c.server)
		}
		for _, fds := range [][]int{w.idle, w.udp} {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
		for _, s := range w.servers {
			unix.Close(s[0])
			unix.Close(s[1])
		}
	})
	close(w.do)
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0)
}

func hasSysctl(name string) bool {
	_, err := os.Stat("/proc/sys/net/ipv4/" + name)
	return err == nil
}

// addAddr gives lo an address (RTM_NEWADDR).
func addAddr(a netip.Addr) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	raw := a.AsSlice()
	family := byte(unix.AF_INET)
	if a.Is6() {
		family = unix.AF_INET6
	}
	attr := func(typ uint16) []byte {
		b := make([]byte, 4, 4+len(raw))
		ne.PutUint16(b, uint16(4+len(raw)))
		ne.PutUint16(b[2:], typ)
		return append(b, raw...)
	}
	// ifaddrmsg{family, prefixlen, flags (IFA_F_NODAD), scope, index}
	body := []byte{family, byte(8 * len(raw)), 0x02, 0, 1, 0, 0, 0}
	body = append(body, attr(unix.IFA_LOCAL)...)
	body = append(body, attr(unix.IFA_ADDRESS)...)
	msg := make([]byte, 16, 16+len(body))
	ne.PutUint32(msg, uint32(16+len(body)))
	ne.PutUint16(msg[4:], unix.RTM_NEWADDR)
	ne.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if err := unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	if n < 20 {
		return errors.New("rtnetlink: short answer")
	}
	if e := int32(ne.Uint32(buf[16:])); e != 0 {
		return unix.Errno(-e)
	}
	return nil
}

// reset closes a TCP descriptor so that nothing of it remains.
func reset(fd int) {
	if fd < 0 {
		return
	}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// connect opens a connection and accepts it.
func (w *world) connect(d dial) {
	fd, err := d.open()
	w.note("%s: %v", d, err)
	if err != nil {
		return
	}
	i := 0
	if d.dst.Addr().Is6() {
		i = 1
	}
	c := &conn{client: fd, server: -1}
	w.conns = append(w.conns, c)
	for range 200 {
		c.server, _, err = unix.Accept4(w.servers[d.dst.Port()][i], unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == nil {
			return
		}
		c.server = -1
		time.Sleep(time.Millisecond)
	}
}

// The ways to end a connection.
var endings = []string{"client first", "server first", "reset", "client only", "server only"}

func (w *world) finish(i int, how string) {
	c := w.conns[i]
	w.note("close %d: %s", i, how)
	shut := func(fd *int) {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
		time.Sleep(200 * time.Microsecond)
	}
	switch how {
	case "client first":
		shut(&c.client)
		shut(&c.server)
		w.timeWaits++
	case "server first":
		shut(&c.server)
		shut(&c.client)
	case "reset":
		reset(c.client)
		c.client = -1
		shut(&c.server)
	case "client only":
		shut(&c.client)
		w.timeWaits++ // before 6.12 an orphan may be taken over like one
	case "server only":
		shut(&c.server)
	}
}

// listen or bind one socket to a port of the range.
func (w *world) occupy(a netip.Addr, p uint16, listen, reuseAddr, reusePort, v6only bool) {
	w.note("bind %s:%d listen=%v reuseaddr=%v reuseport=%v v6only=%v", a, p, listen, reuseAddr, reusePort, v6only)
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	set := func(level, opt int, on bool) {
		if on {
			_ = unix.SetsockoptInt(fd, level, opt, 1)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, reuseAddr)
	set(unix.SOL_SOCKET, unix.SO_REUSEPORT, reusePort)
	set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only && a.Is6())
	if err = unix.Bind(fd, sockaddr(a, p)); err == nil && listen {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		w.note("  %v", err)
		unix.Close(fd)
		return
	}
	w.idle = append(w.idle, fd)
}

func itoa(n int) string { return strconv.Itoa(n) }
