package cli_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/need"
)

// closing connects and closes on this side first, until a connect fails, most times
// at most. Each leaves an entry in TIME_WAIT.
func (h *private) closing(listener, most int) (n int, failed error) {
	h.t.Helper()
	err := h.net.Do(func() error {
		for n < most {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if failed = unix.Connect(fd, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}); failed != nil {
				unix.Close(fd)
				return nil
			}
			accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
			if err != nil {
				return err
			}
			unix.Close(fd)
			_, err = unix.Read(accepted, make([]byte, 1)) // to its end
			if unix.Close(accepted); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n, failed
}

// Where the range is as wide as it gets and TIME_WAIT holds it, fix lets connects
// take those entries over, and the kernel does; undo ends that. So does the remedy
// of timestamps that are off, and the shorter delay.
func TestFixLetsConnectsTakeTimeWaitOver(t *testing.T) {
	const ports = 36
	narrow := []string{"ip_local_port_range=65500 65535", "ip_unprivileged_port_start=65500"}
	for name, c := range map[string]struct {
		sysctls []string
		fix     []string // names; none for what fix chooses
		remedy  string
		set     map[string]string
	}{
		"chosen":                             {[]string{"tcp_tw_reuse=0"}, nil, "tw-reuse", map[string]string{"tcp_tw_reuse": "1\n"}},
		"chosen where it does nothing as is": {[]string{"tcp_tw_reuse=1", "tcp_timestamps=0"}, nil, "restore-timestamps", map[string]string{"tcp_timestamps": "1\n"}},
		"by name, and sooner":                {[]string{"tcp_tw_reuse=0"}, []string{"tw-reuse", "tw-reuse-delay"}, "tw-reuse", map[string]string{"tcp_tw_reuse": "1\n", "tcp_tw_reuse_delay": "100\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newPrivate(t, nil, append(c.sysctls, narrow...)...)
			if _, sooner := c.set["tcp_tw_reuse_delay"]; sooner {
				need.That(t, h.sysctls("tcp_tw_reuse_delay")["tcp_tw_reuse_delay"] != "", "tcp_tw_reuse_delay", "run it on Linux 6.14 or later")
			}
			listener := h.listen(unix.SOCK_STREAM, netip.AddrPortFrom(server.Addr(), server.Port()))
			t.Cleanup(func() { unix.Close(listener) })
			before := h.snapshot()
			if n, failed := h.closing(listener, 1000); n != ports || !errors.Is(failed, unix.EADDRNOTAVAIL) {
				t.Fatalf("%d connects, then %v", n, failed)
			}
			h.run(2, "check")
			out, _ := h.run(0, h.here(append([]string{"fix", "--yes", "--json"}, c.fix...)...)...)
			if p := parse[proposal](t, out); p.Status != "done" || p.Steps[0].Remedy != c.remedy {
				t.Fatalf("fix says %s", out)
			}
			for name, want := range c.set {
				if got := h.sysctl(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if c.remedy == "restore-timestamps" {
				// What is in TIME_WAIT remembers no timestamp, and is never taken over.
				if n, failed := h.closing(listener, 1); n != 0 || !errors.Is(failed, unix.EADDRNOTAVAIL) {
					t.Errorf("%d connects, then %v", n, failed)
				}
				return
			}
			// The entries are to be had when they are older than the delay.
			n := 0
			for deadline := time.Now().Add(30 * time.Second); n < 2*ports && time.Now().Before(deadline); {
				more, failed := h.closing(listener, ports)
				if failed != nil && !errors.Is(failed, unix.EADDRNOTAVAIL) {
					t.Fatal(failed)
				}
				n += more
			}
			if n < 2*ports {
				t.Errorf("%d connects took over TIME_WAIT entries, want %d", n, 2*ports)
			}
			h.run(0, "undo", "--yes", "--state-dir", h.state)
			for name, was := range before {
				if now := h.snapshot()[name]; !strings.HasPrefix(name, "/") && now != was {
					t.Errorf("%s is %q after undo, was %q", name, now, was)
				}
			}
			if _, failed := h.closing(listener, 1); !errors.Is(failed, unix.EADDRNOTAVAIL) {
				t.Errorf("after undo a connect ends with %v", failed)
			}
		})
	}
}
