package trace_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
	"github.com/portroom/portroom/trace"
)

// ports is how many the namespaces of the tests have.
const ports = 10

var (
	server4 = netip.MustParseAddrPort("127.0.0.1:7000")
	server6 = netip.MustParseAddrPort("[::1]:7000")
)

// world makes a namespace of ten ports with a listener on each family's port 7000,
// which accepts nothing, and says its inode number.
func world(t *testing.T) (*load.Netns, uint64) {
	t.Helper()
	ns, err := load.NewNetns(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, value := range map[string]string{"net.ipv4.ip_local_port_range": "40000 40009", "net.ipv4.tcp_tw_reuse": "0"} {
		if err := ns.Sysctl(name, value); err != nil {
			t.Fatal(err)
		}
	}
	listen(t, ns, &unix.SockaddrInet4{Port: 7000})
	listen(t, ns, &unix.SockaddrInet6{Addr: server6.Addr().As16(), Port: 7000})
	found, err := netns.Find(ns.Name)
	if err != nil {
		t.Fatal(err)
	}
	return ns, found.ID
}

func listen(t *testing.T, ns *load.Netns, at unix.Sockaddr) (fd int) {
	t.Helper()
	family := unix.AF_INET
	if _, ok := at.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err = unix.Bind(fd, at); err != nil {
			return err
		}
		return unix.Listen(fd, 4096)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func startTrace(t *testing.T, opt trace.Options) *trace.Tracer {
	t.Helper()
	need.Root(t)
	tr, err := trace.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// rows reads what was counted in one namespace.
func rows(t *testing.T, tr *trace.Tracer, id uint64) []trace.Row {
	t.Helper()
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	a.Lost.Unseen = 0 // by any connection of this machine
	if a.Lost.Any() {
		t.Errorf("lost: %+v", a.Lost)
	}
	var mine []trace.Row
	for _, r := range a.Rows {
		if r.Netns == id {
			mine = append(mine, r)
		}
	}
	return mine
}

// only returns the row of one process.
func only(t *testing.T, list []trace.Row, pid int) trace.Row {
	t.Helper()
	var found []trace.Row
	for _, r := range list {
		if r.PID == pid {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("process %d has %d rows of %+v, want 1", pid, len(found), list)
	}
	return found[0]
}

// ourName is the comm of the connectors.
func ourName(t *testing.T) string {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	if exe := "exe"; strings.TrimSpace(string(comm)) != exe {
		return exe // they are started through /proc/self/exe
	}
	return strings.TrimSpace(string(comm))
}

func TestEveryRefusalIsCountedWithItsProcessAndDestination(t *testing.T) {
	other := netip.MustParseAddr("127.0.0.9")
	for name, c := range map[string]struct {
		task task
		src  netip.Addr
	}{
		"a blocking connect over IPv4":              {task{Dst: server4}, server4.Addr()},
		"a non-blocking connect over IPv4":          {task{Dst: server4, Nonblock: true}, server4.Addr()},
		"a blocking connect over IPv6":              {task{Dst: server6}, server6.Addr()},
		"a non-blocking connect over IPv6":          {task{Dst: server6, Nonblock: true}, server6.Addr()},
		"an IPv6 socket to a v4-mapped destination": {task{Dst: server4, IPv6: true}, server4.Addr()},
		"a socket that bound an address and no port": {
			task{Dst: server4, NoPort: other}, other,
		},
		"a v4-mapped socket that bound an address and no port": {
			task{Dst: server4, NoPort: other, IPv6: true}, other,
		},
		"eight threads at once": {task{Dst: server4, Threads: 8}, server4.Addr()},
		"sockets that an earlier connect left a port on": {
			task{Dst: server4, Again: true}, server4.Addr(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr := startTrace(t, trace.Options{})
			ns, id := world(t)
			c.task.Attempts, c.task.How = 45, keep
			p := start(t, ns, 0, c.task)
			if p.Granted != ports || p.Refused != 35 {
				t.Fatalf("%d granted and %d refused, want %d and 35", p.Granted, p.Refused, ports)
			}
			var mine []trace.Row
			for _, r := range rows(t, tr, id) {
				if r.Dst == c.task.Dst {
					mine = append(mine, r)
				}
			}
			r := only(t, mine, p.PID)
			if r.Src != c.src || r.Command != ourName(t) || r.Ifindex != 0 {
				t.Errorf("the row is of %s from %s by %q", r.Dst, r.Src, r.Command)
			}
			if r.Connects != 45 || r.Refused != 35 || r.Failed != 0 || r.RefusedBound != 0 || r.Open() != ports {
				t.Errorf("counted %+v", r.Counts)
			}
		})
	}
}

func TestARefusalSaysWhichControlGroup(t *testing.T) {
	need.Root(t)
	tr := startTrace(t, trace.Options{})
	ns, id := world(t)
	root := unifiedHierarchy(t)
	path := filepath.Join(root, "portroom-test", ns.Name+".scope")
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	p := start(t, ns, int(dir.Fd()), task{Dst: server4, Attempts: 15, How: keep})
	// The group goes before anyone asks for its name.
	p.end()
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
	_ = os.Remove(filepath.Dir(path)) // others may be using it
	r := only(t, rows(t, tr, id), p.PID)
	if want := "/portroom-test/" + ns.Name + ".scope"; r.Cgroup != want || r.Refused != 5 {
		t.Errorf("%d refused in group %q, want 5 in %q", r.Refused, r.Cgroup, want)
	}
}

func unifiedHierarchy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	root := ""
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[2] == "cgroup2" && strings.HasPrefix(f[3], "rw") {
			root = f[1]
		}
	}
	need.That(t, root != "", "a cgroup2 hierarchy that may be written to", "mount -t cgroup2 none /mnt")
	return root
}

func TestProcessesThatLiveForOneConnectAreEachCounted(t *testing.T) {
	tr := startTrace(t, trace.Options{})
	ns, id := world(t)
	holder := start(t, ns, 0, task{Dst: server4, Attempts: ports, How: keep})
	pids := make(map[int]bool)
	for range 40 {
		p := start(t, ns, 0, task{Dst: server4, Attempts: 1, How: keep})
		p.end()
		pids[p.PID] = true
	}
	seen := 0
	for _, r := range rows(t, tr, id) {
		if r.PID == holder.PID {
			continue
		}
		if !pids[r.PID] || r.Refused != 1 || r.Command != ourName(t) {
			t.Errorf("row %+v", r)
		}
		seen++
	}
	if seen != len(pids) {
		t.Errorf("%d processes were seen, want %d", seen, len(pids))
	}
}

func TestWhatIsNoWantOfAPortIsNotCountedAsOne(t *testing.T) {
	tr := startTrace(t, trace.Options{})
	ns, id := world(t)

	// The same errno, from bind() to an address that is not here.
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}})
	})
	if err != unix.EADDRNOTAVAIL {
		t.Fatalf("bind to a foreign address: %v", err)
	}
	if list := rows(t, tr, id); len(list) != 0 {
		t.Errorf("a bind was counted: %+v", list)
	}

	// Nobody listens: refused by the peer, with a port.
	nobody := netip.AddrPortFrom(server4.Addr(), 1)
	err = ns.Do(func() error {
		for range 3 {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			err = unix.Connect(fd, &unix.SockaddrInet4{Addr: nobody.Addr().As4(), Port: 1})
			unix.Close(fd)
			if err != unix.ECONNREFUSED {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := only(t, rows(t, tr, id), os.Getpid())
	if r.Failed != 3 || r.Refused != 0 || r.Open() != 0 {
		t.Errorf("counted %+v", r.Counts)
	}

	// A port that was bound, whose tuple is taken.
	at := netip.MustParseAddrPort("127.0.0.1:50000")
	p := start(t, ns, 0, task{Dst: server4, Bind: at, Attempts: 4, How: keep})
	if p.Granted != 1 || p.Refused != 3 {
		t.Fatalf("%d granted, %d refused", p.Granted, p.Refused)
	}
	r = only(t, rows(t, tr, id), p.PID)
	if r.RefusedBound != 3 || r.Refused != 0 || r.Open() != 1 {
		t.Errorf("counted %+v", r.Counts)
	}
}

func TestWhoClosesFirstIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		how  ending
		want func(*trace.Counts) uint64
		tw   bool
	}{
		"this side":        {closeHere, func(c *trace.Counts) uint64 { return c.ClosedHere }, true},
		"the peer":         {peerFirst, func(c *trace.Counts) uint64 { return c.ClosedThere }, false},
		"neither, a reset": {reset, func(c *trace.Counts) uint64 { return c.Aborted }, false},
	} {
		t.Run(name, func(t *testing.T) {
			tr := startTrace(t, trace.Options{})
			ns, id := world(t)
			// A server that closes at once, or after the client.
			fd := listen(t, ns, &unix.SockaddrInet4{Port: 7001})
			done := make(chan error, 1)
			go func() {
				for range ports {
					peer, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
					if err != nil {
						done <- err
						return
					}
					if c.how != peerFirst {
						_, _ = unix.Read(peer, make([]byte, 1)) // its end, or a reset
					}
					unix.Close(peer)
				}
				done <- nil
			}()
			dst := netip.AddrPortFrom(server4.Addr(), 7001)
			p := start(t, ns, 0, task{Dst: dst, Attempts: ports, How: c.how})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			r := only(t, rows(t, tr, id), p.PID)
			// On a busy host the last connections end after their process was told so.
			for i := 0; i < 100 && r.Ended() < ports; i++ {
				time.Sleep(20 * time.Millisecond)
				r = only(t, rows(t, tr, id), p.PID)
			}
			if c.want(&r.Counts) != ports || r.Ended() != ports {
				t.Errorf("counted %+v", r.Counts)
			}
			lifetimes := uint64(0)
			for _, n := range r.Lifetimes {
				lifetimes += n
			}
			if lifetimes != ports {
				t.Errorf("%d lifetimes, want %d", lifetimes, ports)
			}
			owners, err := tr.Owners()
			if err != nil {
				t.Fatal(err)
			}
			for port := uint16(40000); port < 40000+ports; port++ {
				o, ok := owners.Of(id, netip.AddrPortFrom(server4.Addr(), port), dst)
				if ok != c.tw || ok && (o.PID != p.PID || o.Command != ourName(t)) {
					t.Errorf("port %d: owner %+v %t", port, o, ok)
				}
			}
		})
	}
}
