//go:build linux

package load

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/need"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// eventually waits until ok is true for the counts of ns, because the kernel may
// still be at the last segments.
func eventually(t *testing.T, ns *Netns, want string, ok func(Counts) bool) {
	t.Helper()
	var c Counts
	for range 100 {
		var err error
		if c, err = ns.Count(); err != nil {
			t.Fatal(err)
		}
		if ok(c) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the kernel counts %+v, want %s", c, want)
}

func TestTimeWaitsAreWhatTheKernelCounts(t *testing.T) {
	ns := ForTest(t)
	if err := ns.TimeWaits(t.Context(), 1500, 20); err != nil {
		t.Fatal(err)
	}
	eventually(t, ns, "1500 TIME_WAIT", func(c Counts) bool { return c.TimeWait == 1500 })
	if err := ns.TimeWaits(t.Context(), 500, 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, ns, "2000 TIME_WAIT and nothing else", func(c Counts) bool { return c.TimeWait == 2000 && c.InUse == 0 })
}

func TestEveryTimeWaitIsAClient(t *testing.T) {
	ns := ForTest(t)
	if err := ns.TimeWaits(t.Context(), 500, 7); err != nil {
		t.Fatal(err)
	}
	var tcp []byte
	if err := ns.Do(func() (err error) {
		tcp, err = os.ReadFile("/proc/thread-self/net/tcp")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(tcp)), "\n")[1:]
	if len(lines) != 500 {
		t.Errorf("%d sockets, want 500", len(lines))
	}
	for _, l := range lines {
		f := strings.Fields(l)
		if remote := f[2]; !strings.HasPrefix(remote, "0100007F:04") { // 1024 to 1030
			t.Fatalf("remote end %s is not one of the listeners", remote)
		}
	}
}

func TestEstablishedConnectionsEndWithTheirHolders(t *testing.T) {
	ns := ForTest(t)
	h, err := ns.Established(t.Context(), 200, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.PIDs) != 2 {
		t.Errorf("%d holders, want 2", len(h.PIDs))
	}
	// Both ends and a listener each.
	eventually(t, ns, "402 in use", func(c Counts) bool { return c.InUse == 402 && c.TimeWait == 0 })
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, ns, "none", func(c Counts) bool { return c == Counts{} })
	for _, pid := range h.PIDs {
		if err := unix.Kill(pid, 0); err != unix.ESRCH {
			t.Errorf("holder %d is still there (%v)", pid, err)
		}
	}
}

func TestEstablishedRefusesMoreThanTheLimitOfOpenFiles(t *testing.T) {
	ns := ForTest(t)
	if h, err := ns.Established(t.Context(), 1<<30, 1); err == nil {
		h.Close()
		t.Error("2^30 connections in one process")
	}
}

func TestNamespacesAreNamedAndGoAway(t *testing.T) {
	need.Root(t)
	s, err := Namespaces(t.Context(), 3, true)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]bool)
	for _, ns := range s.All {
		var st unix.Stat_t
		if err := unix.Stat(names+"/"+ns.Name, &st); err != nil {
			t.Error(err)
		}
		seen[st.Ino] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d different namespaces, want 3", len(seen))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, ns := range s.All {
		if _, err := os.Stat(names + "/" + ns.Name); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", ns.Name, err)
		}
	}
}

func TestParseSockstat(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Counts
		fails      bool
	}{
		{"as the kernel writes it", "sockets: used 50\nTCP: inuse 50 orphan 0 tw 1000 alloc 51 mem 0\nUDP: inuse 7 mem 0\n", Counts{InUse: 50, TimeWait: 1000}, false},
		{"no TCP line", "sockets: used 50\n", Counts{}, true},
		{"not a number", "TCP: inuse many\n", Counts{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSockstat(strings.NewReader(tt.text))
			if (err != nil) != tt.fails || err == nil && got != tt.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
