package cli_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type gainOfCheck struct {
	Namespaces []struct {
		Pools []struct {
			Proto, Src, Dst string
			Capacity        int
			Headroom        int
		}
		Findings []struct {
			Code     string
			Remedies []struct {
				ID   string
				Set  []struct{ Name, Value string }
				Gain *struct{ From, To struct{ Capacity int } }
			}
		}
	}
}

// widening is the gain of widen-range that a finding states, and what it sets.
func (c *gainOfCheck) widening(code string) (from, to int, set map[string]string) {
	for _, f := range c.Namespaces[0].Findings {
		for _, m := range f.Remedies {
			if f.Code == code && m.ID == "widen-range" && m.Gain != nil {
				set = make(map[string]string)
				for _, s := range m.Set {
					set[s.Name] = s.Value
				}
				return m.Gain.From.Capacity, m.Gain.To.Capacity, set
			}
		}
	}
	return 0, 0, nil
}

// Whatever is on a host, the gain of a remedy is one number: what check states, what
// fix promises, what is measured after it, and what the kernel grants.
func TestTheGainOfARemedyIsOneNumber(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("population ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			low := 64000 + r.IntN(400)
			high := low + 20 + r.IntN(60)
			reserved := fmt.Sprintf("%d,%d-%d", low+2, 65000, 65000+r.IntN(30))
			h := newPrivate(t, nil, "tcp_tw_reuse=0", fmt.Sprintf("ip_local_port_range=%d %d", low, high),
				"ip_unprivileged_port_start=64000", "ip_local_reserved_ports="+reserved)
			fds := []int{h.listen(unix.SOCK_STREAM, server)}
			t.Cleanup(func() {
				for _, fd := range fds {
					unix.Close(fd)
				}
			})
			any4 := func() netip.AddrPort {
				return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(64000+r.IntN(1536)))
			}
			for range 20 + r.IntN(20) {
				switch r.IntN(4) {
				case 0, 1:
					fds = append(fds, h.trying(unix.SOCK_STREAM, any4(), true))
				case 2: // bound, and no more
					fds = append(fds, h.trying(unix.SOCK_STREAM, any4(), false))
				case 3:
					fds = append(fds, h.trying(unix.SOCK_DGRAM, any4(), false))
				}
			}
			if _, failed := h.clients(100000); !errors.Is(failed, unix.EADDRNOTAVAIL) {
				t.Fatalf("the pool is not exhausted: %v", failed)
			}

			out, _ := h.run(2, "check", "--json")
			check := parse[gainOfCheck](t, out)
			from, to, set := check.widening("PR101")
			if set == nil { // of a range of odd length one port may be left, or not
				from, to, set = check.widening("PR102")
			}
			if set == nil {
				t.Fatalf("check states no gain: %s", out)
			}
			out, _ = h.run(0, h.here("fix", "widen-range", "--dry-run", "--json")...)
			plan := parse[struct {
				Steps []struct{ Object, To string }
				Gains []struct {
					Pool          string
					Before, After struct{ Capacity, Headroom int }
				}
			}](t, out)
			i := slices.IndexFunc(plan.Gains, func(g struct {
				Pool          string
				Before, After struct{ Capacity, Headroom int }
			}) bool {
				return strings.HasSuffix(g.Pool, server.String())
			})
			if i < 0 {
				t.Fatalf("fix promises nothing: %s", out)
			}
			promise := plan.Gains[i]
			if promise.Before.Capacity != from || promise.After.Capacity != to {
				t.Errorf("check states %d → %d ports, fix %d → %d", from, to, promise.Before.Capacity, promise.After.Capacity)
			}
			for _, s := range plan.Steps {
				name, ours := strings.CutPrefix(s.Object, "net.ipv4.")
				if want := strings.ReplaceAll(s.To, " ", "-"); ours && set[name] != want {
					t.Errorf("check would set %s to %q, fix to %q", name, set[name], want)
				}
			}

			h.run(0, h.here("fix", "widen-range", "--yes")...)
			out, _ = h.run(0, "room", server.String(), "--json")
			if got := parse[struct{ Capacity int }](t, out).Capacity; got != to {
				t.Errorf("%d ports were stated, and %d are measured", to, got)
			}
			ports, failed := h.clients(100000)
			if len(ports) != promise.After.Headroom || !errors.Is(failed, unix.EADDRNOTAVAIL) {
				t.Errorf("%d connects were promised, %d succeeded, then %v", promise.After.Headroom, len(ports), failed)
			}
			t.Logf("range %d-%d: %d → %d ports, %d connects", low, high, from, to, len(ports))
		})
	}
}

// trying opens a socket on a port unless that is taken.
func (h *private) trying(typ int, at netip.AddrPort, listen bool) (fd int) {
	h.t.Helper()
	err := h.net.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
		if err == nil && listen {
			err = unix.Listen(fd, 1)
		}
		if errors.Is(err, unix.EADDRINUSE) {
			return nil
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return fd
}
