package trace_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/caps"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
	"github.com/portroom/portroom/trace"
)

func TestARefusalIsSentAsItHappens(t *testing.T) {
	tr := startTrace(t, trace.Options{})
	ns, id := world(t)
	p := start(t, ns, 0, task{Dst: server6, Attempts: ports + 1, How: keep})
	for r := range tr.Refusals() {
		if r.Netns != id {
			continue // of another host on this machine
		}
		want := trace.Refusal{
			Flow: trace.Flow{Netns: id, Src: server6.Addr(), Dst: server6, PID: p.PID, CgroupID: r.CgroupID},
			Time: r.Time, Command: ourName(t), Cgroup: r.Cgroup, Refused: 1,
		}
		if r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}
		if d := time.Since(r.Time); d < 0 || d > time.Minute {
			t.Errorf("it says that it happened %s ago", d)
		}
		return
	}
	t.Error("the channel was closed")
}

func TestAStormOfRefusalsSendsFewEventsAndCountsAll(t *testing.T) {
	tr := startTrace(t, trace.Options{})
	ns, id := world(t)
	p := start(t, ns, 0, task{Dst: server4, Attempts: ports + 5000, How: keep})
	r := only(t, rows(t, tr, id), p.PID)
	if r.Refused != 5000 {
		t.Errorf("%d refusals were counted, want 5000", r.Refused)
	}
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	if a.Limited == 0 {
		t.Error("each of 5000 refusals was sent as an event")
	}
}

func TestRefusalsEndWhenTheContextDoes(t *testing.T) {
	need.Root(t)
	ctx, cancel := context.WithCancel(t.Context())
	tr, err := trace.Start(ctx, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range tr.Refusals() { // until it is closed
	}
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := tr.Read(); !errors.Is(err, trace.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
	if _, err := tr.Owners(); !errors.Is(err, trace.ErrClosed) {
		t.Errorf("Owners after Close: %v", err)
	}
}

// Other hosts on this machine may take rows as well, so there is no exact number.
func TestFlowsThatFindNoRowAreCountedAsLost(t *testing.T) {
	tr := startTrace(t, trace.Options{Flows: 2})
	ns, _ := world(t)
	for i := range 4 {
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}), 7000)
		start(t, ns, 0, task{Dst: dst, Attempts: ports + 1, How: keep})
	}
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Rows) != 2 {
		t.Errorf("%d rows, want 2", len(a.Rows))
	}
	sum := a.Lost.Connects
	refused := a.Lost.Refused
	for _, r := range a.Rows {
		sum += r.Connects
		refused += r.Refused + r.RefusedBound
	}
	if a.Lost.Connects < 2*(ports+1) || sum != a.Total.Connects {
		t.Errorf("%d connects lost, %d in all, rows and loss are %d", a.Lost.Connects, a.Total.Connects, sum)
	}
	if a.Lost.Refused < 2 || refused != a.Total.Refused+a.Total.RefusedBound {
		t.Errorf("%d refusals lost, %d in all, rows and loss are %d", a.Lost.Refused, a.Total.Refused, refused)
	}
}

func TestConnectionsThatFindNoRoomAreCountedAsLost(t *testing.T) {
	tr := startTrace(t, trace.Options{Sockets: 4})
	ns, id := world(t)
	if err := ns.Sysctl("net.ipv4.ip_local_port_range", "40000 40099"); err != nil {
		t.Fatal(err)
	}
	p := start(t, ns, 0, task{Dst: server4, Attempts: 100, How: keepReset})
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Rows {
		if r.Netns != id || r.PID != p.PID {
			continue
		}
		if r.Connects != 100 || r.Lost < 96 || r.Open() > 4 || a.Lost.Followed < r.Lost {
			t.Errorf("counted %+v, lost %+v", r.Counts, a.Lost)
		}
	}
	// What is no longer followed is not counted a second time when it ends.
	p.end()
	if a, err = tr.Read(); err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Rows {
		if r.PID == p.PID && r.Ended() != 100 {
			t.Errorf("%d of 100 have ended: %+v", r.Ended(), r.Counts)
		}
	}
}

func TestTimeWaitsThatFindNoRoomAreCountedAsForgotten(t *testing.T) {
	tr := startTrace(t, trace.Options{Sockets: 4})
	ns, id := world(t)
	server := listen(t, ns, &unix.SockaddrInet4{Port: 7001})
	accepted := make(chan error, 1)
	go func() {
		for range ports {
			peer, _, err := unix.Accept4(server, unix.SOCK_CLOEXEC)
			if err != nil {
				accepted <- err
				return
			}
			_, _ = unix.Read(peer, make([]byte, 1))
			unix.Close(peer)
		}
		accepted <- nil
	}()
	dst := netip.AddrPortFrom(server4.Addr(), 7001)
	start(t, ns, 0, task{Dst: dst, Attempts: ports, How: closeHere})
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	owners, err := tr.Owners()
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for p := uint16(40000); p < 40000+ports; p++ {
		if _, ok := owners.Of(id, netip.AddrPortFrom(server4.Addr(), p), dst); ok {
			known++
		}
	}
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	// A connection that was live when it lost its place is one of Followed.
	if lost := a.Lost.Owners + a.Lost.Followed; known > 4 || uint64(known)+lost < ports {
		t.Errorf("of %d TIME_WAIT %d owners are known and %d counted as lost", ports, known, lost)
	}
}

func TestAFlowThatRestedMakesRoomAndItsCountsStay(t *testing.T) {
	trace.RestNothing(t)
	tr := startTrace(t, trace.Options{Flows: 4})
	ns, id := world(t)
	first := start(t, ns, 0, task{Dst: netip.MustParseAddrPort("127.0.1.1:1"), Attempts: 0, How: keep})
	first.end()
	// Four flows of connections that end at once, in rows of their own.
	for i := range 4 {
		nobody := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}), 1)
		refusedByPeer(t, ns, nobody)
	}
	var retired uint64
	for range 3 { // quiet, unlinked, given back
		a, err := tr.Read()
		if err != nil {
			t.Fatal(err)
		}
		retired = a.Retired.Failed
	}
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	sum := a.Retired.Connects + a.Lost.Connects
	for _, r := range a.Rows {
		sum += r.Connects
	}
	if sum != a.Total.Connects {
		t.Errorf("%d connects, rows, retired and lost are %d", a.Total.Connects, sum)
	}
	if retired == 0 && a.Retired.Failed == 0 {
		t.Errorf("nothing made room: %+v", a)
	}
	p := start(t, ns, 0, task{Dst: server4, Attempts: ports + 1, How: keep})
	if r := only(t, rowsOf(t, tr, id), p.PID); r.Refused != 1 {
		t.Errorf("the row that was free again has %+v", r.Counts)
	}
}

func rowsOf(t *testing.T, tr *trace.Tracer, id uint64) (mine []trace.Row) {
	t.Helper()
	a, err := tr.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Rows {
		if r.Netns == id {
			mine = append(mine, r)
		}
	}
	return mine
}

func refusedByPeer(t *testing.T, ns *load.Netns, to netip.AddrPort) {
	t.Helper()
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	})
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("connect to %s, where nobody listens: %v", to, err)
	}
}

// Without privilege, and without BTF, Start says so in one sentence.
func TestWhereItCannotRunItSaysSo(t *testing.T) {
	need.Root(t)
	for name, c := range map[string]struct {
		mode string
		want string
	}{
		"without privilege": {"nocaps", "to trace connections needs root, or CAP_BPF and CAP_PERFMON"},
		"without BTF":       {"nobtf", "this kernel cannot trace connections: Linux 5.12 with BTF (CONFIG_DEBUG_INFO_BTF) can"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), starterEnv+"="+c.mode)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := strings.TrimSpace(string(out)); got != c.want {
				t.Errorf("it said %q, want %q", got, c.want)
			}
		})
	}
}

// starterEnv makes the test binary a program that starts a tracer as it is told.
const starterEnv = "PORTROOM_TEST_STARTER"

func starter(mode string) int {
	runtime.LockOSThread()
	fail := func(err error) int {
		fmt.Println(err)
		return 1
	}
	switch mode {
	case "nocaps":
		return fail(caps.ExecWithout("/proc/self/exe", os.Args, started()))
	case "nobtf":
		// An empty directory in the place of the kernel's BTF, for this program alone.
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fail(err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fail(err)
		}
		if err := unix.Mount("none", "/sys/kernel/btf", "tmpfs", 0, ""); err != nil {
			return fail(err)
		}
		return fail(unix.Exec("/proc/self/exe", os.Args, started()))
	}
	_, err := trace.Start(context.Background(), trace.Options{})
	var unavailable *trace.UnavailableError
	if !errors.As(err, &unavailable) {
		return fail(fmt.Errorf("start: %w", err))
	}
	fmt.Println(err)
	return 0
}

// started is the environment of a program that starts a tracer at once.
func started() []string {
	os.Setenv(starterEnv, "start")
	return os.Environ()
}
