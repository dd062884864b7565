package socket

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/host"
	lo "github.com/portroom/portroom/internal/loopback"
	"github.com/portroom/portroom/test/need"
)

// freshNetns puts the calling goroutine into a network namespace of its own with
// its loopback device up, and returns the namespace's inode number. The goroutine
// stays locked to its thread, so that the thread ends with it: a test runs in a
// goroutine of its own, a subtest would be elsewhere.
func freshNetns(t testing.TB) uint32 {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	check(t, "set lo up", lo.Up())
	var st unix.Stat_t
	check(t, "stat namespace", unix.Stat("/proc/thread-self/ns/net", &st))
	return uint32(st.Ino)
}

func check(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func openSocket(t testing.TB, family, typ int) int {
	t.Helper()
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	check(t, "socket", err)
	return fd
}

func sockaddr(s string) unix.Sockaddr {
	a := netip.MustParseAddrPort(s)
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func localPort(t testing.TB, fd int) uint16 {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	check(t, "getsockname", err)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	t.Fatalf("local address %T", sa)
	return 0
}

// A world is a population of sockets in a namespace of its own, with what is
// true of each. Only Remaining, and Stale of TIME_WAIT, are left open: time
// changes them.
type world struct {
	netns    uint32
	tcp, udp []Socket
	buckets  []uint16 // ports that an explicit bind owns
	release  host.Release
}

// bound opens a socket and binds it.
func (w *world) bound(t testing.TB, typ int, to string) int {
	t.Helper()
	family := unix.AF_INET
	if netip.MustParseAddrPort(to).Addr().Is6() {
		family = unix.AF_INET6
	}
	fd := openSocket(t, family, typ)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, "bind "+to, unix.Bind(fd, sockaddr(to)))
	if typ == unix.SOCK_STREAM {
		w.buckets = append(w.buckets, localPort(t, fd))
	}
	return fd
}

// listener is bound and listens; an option may be set before.
func (w *world) listener(t testing.TB, at string, v6only, deferred int, s Socket) int {
	t.Helper()
	a := netip.MustParseAddrPort(at)
	family := unix.AF_INET
	if a.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd := openSocket(t, family, unix.SOCK_STREAM)
	t.Cleanup(func() { unix.Close(fd) })
	if family == unix.AF_INET6 {
		check(t, "IPV6_V6ONLY", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only))
	}
	check(t, "TCP_DEFER_ACCEPT", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferred))
	check(t, "bind "+at, unix.Bind(fd, sockaddr(at)))
	check(t, "listen", unix.Listen(fd, 8))
	w.buckets = append(w.buckets, a.Port())
	s.State, s.Src, s.SrcPort, s.Auto, s.ByConnect = Listen, AddrOf(a.Addr()), a.Port(), No, No
	s.Dst = addr("0.0.0.0")
	if s.IPv6 = a.Addr().Is6(); s.IPv6 {
		s.Dst = Addr{}
	}
	w.add(t, fd, s)
	return fd
}

// add notes what is true of a socket; fd is -1 for one without a file.
func (w *world) add(t testing.TB, fd int, s Socket) {
	t.Helper()
	if fd >= 0 {
		var st unix.Stat_t
		check(t, "fstat", unix.Fstat(fd, &st))
		s.Inode, s.UID = st.Ino, st.Uid
	}
	list := &w.tcp
	if s.Proto == 0 {
		s.Proto = TCP
	}
	if s.Proto == UDP {
		list = &w.udp
	}
	*list = append(*list, s)
}

var loopback = addr("127.0.0.1")

// connect connects a new socket to a port of 127.0.0.1 and returns it and its own
// port.
func connect(t testing.TB, typ int, port uint16) (int, uint16) {
	t.Helper()
	fd := openSocket(t, unix.AF_INET, typ)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, "connect", unix.Connect(fd, sockaddr(fmt.Sprint("127.0.0.1:", port))))
	return fd, localPort(t, fd)
}

func accept(t testing.TB, listener int) int {
	t.Helper()
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	check(t, "accept", err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// pair notes both ends of a connection. The end that accept() returns has no port
// of its own choice: sk_clone() takes SOCK_BINDPORT_LOCK away.
func (w *world) pair(t testing.TB, client, server int, own, port uint16, onServer func(*Socket)) {
	t.Helper()
	w.add(t, client, Socket{
		State: Established, Src: loopback, Dst: loopback, SrcPort: own, DstPort: port, Auto: Yes, ByConnect: Yes,
	})
	s := Socket{State: Established, Src: loopback, Dst: loopback, SrcPort: port, DstPort: own, Auto: Yes, ByConnect: No}
	onServer(&s)
	w.add(t, server, s)
}

// closeNow closes a socket whose cleanup would come too late. The number stays in
// use, so that the cleanup closes nothing else.
func closeNow(t testing.TB, fd int) {
	t.Helper()
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, "open", err)
	defer unix.Close(null)
	check(t, "dup3", unix.Dup3(null, fd, unix.O_CLOEXEC))
}

// newWorld makes the population in a fresh namespace, on the calling thread.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{netns: freshNetns(t)}
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	check(t, "kernel release", err)
	w.release, err = host.ParseRelease(string(text))
	check(t, "kernel release", err)
	_, err = os.Stat("/proc/thread-self/net/tcp6")
	need.That(t, err == nil, "IPv6", "run on a kernel with CONFIG_IPV6")

	l := w.listener(t, "127.0.0.1:5000", 0, 0, Socket{})
	client, own := connect(t, unix.SOCK_STREAM, 5000)
	w.pair(t, client, accept(t, l), own, 5000, func(*Socket) {})

	// The end that closes first is left in TIME_WAIT.
	client, own = connect(t, unix.SOCK_STREAM, 5000)
	server := accept(t, l)
	closeNow(t, client)
	if n, err := unix.Read(server, make([]byte, 1)); n != 0 || err != nil {
		t.Fatalf("the end of the stream: %d, %v", n, err)
	}
	closeNow(t, server)
	w.add(t, -1, Socket{State: TimeWait, Src: loopback, Dst: loopback, SrcPort: own, DstPort: 5000, ByConnect: Yes})

	// As long as the other end stays open it is an orphan in FIN_WAIT2, for which
	// a TIME_WAIT entry stands at once if tcp_fin_timeout is at most 60 s.
	client, own = connect(t, unix.SOCK_STREAM, 5000)
	server = accept(t, l)
	closeNow(t, client)
	w.add(t, -1, Socket{
		State: FinWait2, Src: loopback, Dst: loopback, SrcPort: own, DstPort: 5000,
		HalfOpenTimeWait: true, ByConnect: Yes,
	})
	w.add(t, server, Socket{
		State: CloseWait, Src: loopback, Dst: loopback, SrcPort: 5000, DstPort: own, Auto: Yes, ByConnect: No,
	})

	// A listener that waits for data keeps the request until there are some.
	w.listener(t, "127.0.0.1:5001", 0, 30, Socket{})
	client, own = connect(t, unix.SOCK_STREAM, 5001)
	w.pair(t, client, -1, own, 5001, func(s *Socket) { s.State, s.Auto, s.ByConnect = SynRecv, Unknown, Unknown })

	fd := w.bound(t, unix.SOCK_STREAM, "127.0.0.1:5002")
	check(t, "SO_BINDTODEVICE", unix.BindToDevice(fd, "lo"))
	check(t, "fchown", unix.Fchown(fd, 1234, -1)) // sockfs_setattr sets sk_uid
	w.add(t, fd, Socket{
		State: BoundInactive, Src: loopback, Dst: addr("0.0.0.0"), SrcPort: 5002, Ifindex: 1, Auto: No, ByConnect: No,
	})
	fd = w.bound(t, unix.SOCK_STREAM, "[::]:0")
	w.add(t, fd, Socket{State: BoundInactive, IPv6: true, SrcPort: localPort(t, fd), V6Only: No, Auto: Yes, ByConnect: No})

	w.listener(t, "[::]:5003", 1, 0, Socket{V6Only: Yes})
	l = w.listener(t, "[::]:5004", 0, 0, Socket{V6Only: No})
	client, own = connect(t, unix.SOCK_STREAM, 5004)
	w.pair(t, client, accept(t, l), own, 5004, func(s *Socket) { s.IPv6, s.V6Only = true, No })

	w.newUDP(t)
	w.settle(t)
	return w
}

func (w *world) newUDP(t testing.TB) {
	t.Helper()
	fd, own := connect(t, unix.SOCK_DGRAM, 5000)
	w.add(t, fd, Socket{
		Proto: UDP, State: Established, Src: loopback, Dst: loopback, SrcPort: own, DstPort: 5000, Auto: Yes,
	})
	fd = w.bound(t, unix.SOCK_DGRAM, "127.0.0.1:5002")
	w.add(t, fd, Socket{
		Proto: UDP, State: Closed, Src: loopback, Dst: addr("0.0.0.0"), SrcPort: 5002, Auto: No,
	})
	fd = openSocket(t, unix.AF_INET6, unix.SOCK_DGRAM)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, "IPV6_V6ONLY", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	check(t, "bind", unix.Bind(fd, sockaddr("[::1]:5005")))
	w.add(t, fd, Socket{
		Proto: UDP, State: Closed, IPv6: true, Src: addr("::1"), SrcPort: 5005, V6Only: Yes, Auto: No,
	})
}

// settle waits until the kernel's own table, /proc/net/tcp, holds the states that
// the sockets are to be in.
func (w *world) settle(t testing.TB) {
	t.Helper()
	want := make(map[string]int)
	for _, s := range w.tcp {
		if !s.IPv6 && s.State != BoundInactive {
			want[fmt.Sprintf("%02X", uint8(s.State))]++
		}
	}
	var got map[string]int
	for range 200 {
		text, err := os.ReadFile("/proc/thread-self/net/tcp")
		check(t, "read /proc", err)
		got = make(map[string]int)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); f[0] != "sl" {
				got[f[3]]++
			}
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("states in /proc/net/tcp: %v, want %v", got, want)
}
