package trace_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/trace"
)

// The account of a namespace has the owners of its TIME_WAIT from a tracer, also of
// processes that have ended.
func TestPoolsAreOwnedByWhoLeftTheTimeWait(t *testing.T) {
	tr := startTrace(t, trace.Options{})
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
	want := make(map[int]int)
	for _, n := range []int{7, 3} {
		p := start(t, ns, 0, task{Dst: dst, Attempts: n, How: closeHere})
		p.end()
		want[p.PID] = n
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	owners, err := tr.Owners()
	if err != nil {
		t.Fatal(err)
	}
	opt := survey.Options{Namespaces: []netns.Namespace{mustFind(t, ns.Name)}, Owners: true, Opened: owners.Of}
	found := false
	err = survey.Each(context.Background(), opt, func(v *survey.View) error {
		for _, p := range v.Pools() {
			if p.Key.Dst != dst || v.Namespace.ID != id {
				continue
			}
			found = true
			for _, o := range p.Owners {
				if o.Ports != want[o.PID] || o.Command != ourName(t) || !strings.HasPrefix(o.Cgroup, "/") {
					t.Errorf("owner %+v, want %v", o, want)
				}
			}
			if len(p.Owners) != 2 {
				t.Errorf("the owners are %+v", p.Owners)
			}
		}
		return nil
	})
	if err != nil || !found {
		t.Fatalf("the pool was seen: %t; %v", found, err)
	}
}

func mustFind(t *testing.T, name string) netns.Namespace {
	t.Helper()
	ns, err := netns.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}
