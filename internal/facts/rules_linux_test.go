package facts

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/test/load"
)

// server is where the connections of these tests lead, outside of every range.
var server = netip.MustParseAddrPort("127.0.0.1:900")

// A world is a namespace with a range of its own and sockets in it, which stay
// until the test ends.
type world struct {
	t        *testing.T
	listener int
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func address(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

func (w *world) socket(typ int) int {
	fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0)
	w.check(err)
	w.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// listen opens a server that takes in so many connections by itself.
func (w *world) listen(at netip.AddrPort, backlog int) int {
	fd := w.socket(unix.SOCK_STREAM)
	w.check(unix.Bind(fd, address(at)))
	w.check(unix.Listen(fd, backlog))
	return fd
}

// connect makes a connection and returns both ends; first is done before.
func (w *world) connect(first func(fd int)) (client, accepted int) {
	if w.listener == 0 {
		w.listener = w.listen(server, 64)
	}
	client = w.socket(unix.SOCK_STREAM)
	if first != nil {
		first(client)
	}
	w.check(unix.Connect(client, address(server)))
	accepted, _, err := unix.Accept4(w.listener, unix.SOCK_CLOEXEC)
	w.check(err)
	w.t.Cleanup(func() { unix.Close(accepted) })
	return client, accepted
}

// timeWait makes a connection that this side closes first.
func (w *world) timeWait() {
	client, accepted := w.connect(nil)
	w.check(unix.Shutdown(client, unix.SHUT_WR))
	_, err := unix.Read(accepted, make([]byte, 1))
	w.check(err)
	w.check(unix.Shutdown(accepted, unix.SHUT_WR))
	_, err = unix.Read(client, make([]byte, 1))
	w.check(err)
}

// closeWait makes a connection that the other side closes, and this one does not.
func (w *world) closeWait() {
	client, accepted := w.connect(nil)
	w.check(unix.Shutdown(accepted, unix.SHUT_WR))
	_, err := unix.Read(client, make([]byte, 1))
	w.check(err)
}

// unanswered begins connections to a server whose queue is full: it drops what
// asks for more.
func (w *world) unanswered(n int) {
	w.listen(netip.MustParseAddrPort("127.0.0.1:901"), 0)
	for range n + 1 { // one fits into the queue
		fd := w.socket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
		if err := unix.Connect(fd, address(netip.MustParseAddrPort("127.0.0.1:901"))); !errors.Is(err, unix.EINPROGRESS) {
			w.check(err)
		}
	}
}

func anyPort(w *world) func(int) {
	return func(fd int) { w.check(unix.Bind(fd, &unix.SockaddrInet4{})) }
}

func times(n int, f func()) {
	for range n {
		f()
	}
}

// judge measures a namespace as check does.
func judge(t *testing.T, n *load.Netns, first *host.Settings) (found []finding.Finding) {
	t.Helper()
	ns, err := netns.Find(n.Name)
	if err != nil {
		t.Fatal(err)
	}
	opt := survey.Options{Namespaces: []netns.Namespace{ns}, Owners: true, Services: true}
	err = survey.Each(t.Context(), opt, func(v *survey.View) error {
		found = finding.Judge(Gather(v, v.Pools(), Options{Root: "/", First: first}))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Each rule that a namespace can be brought to break fires on real sockets and
// parameters, and not on the same namespace before.
func TestRulesFireOnARealHost(t *testing.T) {
	tuned := &host.Settings{Range: port.Range{First: 10240, Last: 65535}, TWReuse: 1}
	self := fmt.Sprintf("[%d]", os.Getpid())
	for _, c := range []struct {
		code     string
		severity finding.Severity
		sysctls  []string // after the range of ten ports, 40000 to 40009
		populate func(*world)
		first    *host.Settings
		says     string
		remedy   string // the first
	}{
		{code: "PR101", severity: finding.Critical, populate: func(w *world) { times(10, func() { w.connect(nil) }) }, says: "10 of 10 held (10 ESTABLISHED); ", remedy: finding.WidenRange},
		{code: "PR102", severity: finding.Warning, populate: func(w *world) { times(7, func() { w.connect(nil) }) }, says: "has 3 of 10 left", remedy: finding.WidenRange},
		{code: "PR103", populate: func(w *world) { times(6, func() { w.connect(nil) }) }, says: "the knee is at 5", remedy: finding.WidenRange},
		{code: "PR104", severity: finding.Warning, sysctls: []string{"tcp_tw_reuse=0"}, populate: func(w *world) { times(8, w.timeWait) }, says: "8 of the 8 ports held to 127.0.0.1:900 are in TIME_WAIT", remedy: finding.AppKeepalive},
		{code: "PR105", severity: finding.Warning, populate: func(w *world) { times(3, w.closeWait) }, says: self + " does not close: 3 connections to 127.0.0.1:900", remedy: finding.AppClose},
		{code: "PR105", severity: finding.Critical, populate: func(w *world) { times(10, w.closeWait) }, says: "10 CLOSE_WAIT of a capacity of 10", remedy: finding.AppClose},
		{code: "PR106", severity: finding.Warning, populate: func(w *world) { w.unanswered(4) }, says: "4 connects wait in SYN_SENT", remedy: finding.CheckPeer},
		{code: "PR107", severity: finding.Warning, populate: func(w *world) { times(3, func() { w.connect(anyPort(w)) }) }, says: "3 ports by ", remedy: finding.AppBindNoPort},
		{code: "PR108", severity: finding.Warning, populate: func(w *world) {
			w.connect(anyPort(w))
			// To another destination each of the other nine ports is taken.
			other := netip.MustParseAddrPort("127.0.0.1:910")
			w.listen(other, 16)
			times(9, func() { w.check(unix.Connect(w.socket(unix.SOCK_STREAM), address(other))) })
		}, says: "bind(127.0.0.1, 0) finds no port", remedy: finding.AppBindNoPort},
		{code: "PR109", severity: finding.Warning, sysctls: []string{"ip_local_reserved_ports=40000"}, populate: func(w *world) { w.listen(netip.MustParseAddrPort("127.0.0.1:40001"), 1) }, says: "2 of 10 ports", remedy: finding.WidenRange},
		{code: "PR110", severity: finding.Critical, sysctls: []string{"ip_local_reserved_ports=40000-40009"}, says: "every port of the range 40000-40009 is blocked", remedy: finding.WidenRange},
		{code: "PR111", sysctls: []string{"ip_local_port_range=40000 40010"}, says: "odd number of ports", remedy: finding.EvenRange},
		{code: "PR112", populate: func(w *world) {
			w.listen(netip.MustParseAddrPort("127.0.0.1:40004"), 1)
			// This one asked for any port and needs the same one as little after a restart.
			w.listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
		}, says: "not reserved: 40004\n", remedy: finding.ReserveListeners},
		{code: "PR113", severity: finding.Warning, sysctls: []string{"tcp_tw_reuse=1", "tcp_timestamps=0"}, says: "tcp_timestamps=0", remedy: finding.RestoreTimestamps},
		{code: "PR114", severity: finding.Warning, sysctls: []string{"tcp_max_tw_buckets=2"}, populate: func(w *world) { times(5, w.timeWait) }, says: "TcpExt TCPTimeWaitOverflow 3", remedy: finding.RaiseTWBuckets},
		{code: "PR115", sysctls: []string{"tcp_fin_timeout=30"}, says: "tcp_fin_timeout=30", remedy: finding.RestoreDefault},
		{code: "PR117", sysctls: []string{"tcp_max_tw_buckets=1000"}, says: "tcp_max_tw_buckets=1000, the kernel's own is", remedy: finding.RestoreDefault},
		{code: "PR117", severity: finding.Warning, sysctls: []string{"tcp_max_tw_buckets=2"}, populate: func(w *world) { times(5, w.timeWait) }, says: "3 connections skipped TIME_WAIT", remedy: finding.RestoreDefault},
		{code: "PR118", sysctls: []string{"ip_local_port_range=32768 60999"}, first: tuned, says: "ip_local_port_range is 32768-60999 here, 10240-65535 on the host", remedy: finding.TuneNamespace},
		{code: "PR121", severity: finding.Critical, populate: func(w *world) {
			times(10, func() { w.check(unix.Connect(w.socket(unix.SOCK_DGRAM), address(server))) })
		}, says: "UDP from 127.0.0.1: 10 of 10 held", remedy: finding.WidenRange},
	} {
		t.Run(c.code+" "+c.severity.String(), func(t *testing.T) {
			n := load.ForTest(t)
			set := func(list ...string) {
				for _, s := range list {
					name, value, _ := strings.Cut(s, "=")
					if err := n.Sysctl("net.ipv4."+name, value); err != nil {
						t.Fatal(err)
					}
				}
			}
			set("ip_local_port_range=40000 40009")
			if before := judge(t, n, nil); len(before) > 0 {
				t.Fatalf("found in an empty namespace: %+v", before)
			}
			set(c.sysctls...)
			if c.populate != nil {
				if err := n.Do(func() error { c.populate(&world{t: t}); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			all := judge(t, n, c.first)
			i := slices.IndexFunc(all, func(f finding.Finding) bool { return f.Code == c.code })
			if i < 0 {
				t.Fatalf("not found among %+v", all)
			}
			f := all[i]
			if text := f.Title + "\n" + strings.Join(f.Evidence, "\n") + "\n"; f.Severity != c.severity || !strings.Contains(text, c.says) {
				t.Errorf("%s, want %s and %q:\n%s", f.Severity, c.severity, c.says, text)
			}
			if f.Remedies[0].ID != c.remedy {
				t.Errorf("the first remedy is %s, want %s", f.Remedies[0].ID, c.remedy)
			}
		})
	}
}

// What a finding says of SYN_SENT is said of sockets that are in that state.
func TestTheFullQueueLeavesConnectsUnanswered(t *testing.T) {
	n := load.ForTest(t)
	if err := n.Do(func() error { (&world{t: t}).unanswered(4); return nil }); err != nil {
		t.Fatal(err)
	}
	ns, err := netns.Find(n.Name)
	if err != nil {
		t.Fatal(err)
	}
	err = survey.Each(t.Context(), survey.Options{Namespaces: []netns.Namespace{ns}}, func(v *survey.View) error {
		if p := v.Pools()[0]; p.States[socket.SynSent] != 4 {
			t.Errorf("%d in SYN_SENT, want 4", p.States[socket.SynSent])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
