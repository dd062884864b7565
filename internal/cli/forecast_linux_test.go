package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// constantRate connects and closes so many times a second, this side first, until a
// connect finds no port or stop is closed. It returns when that was.
func constantRate(ns *load.Netns, to netip.AddrPort, perSecond int, stop <-chan struct{}) (full time.Time, err error) {
	err = ns.Do(func() error {
		server, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(server)
		if err := errors.Join(unix.Bind(server, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}), unix.Listen(server, 128)); err != nil {
			return err
		}
		begun := time.Now()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return nil
			case <-time.After(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(perSecond)))):
			}
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
			if errors.Is(err, unix.EADDRNOTAVAIL) {
				full = time.Now()
				unix.Close(fd)
				return nil
			}
			if err != nil {
				return err
			}
			peer, _, err := unix.Accept4(server, unix.SOCK_CLOEXEC)
			if err != nil {
				return err
			}
			unix.Close(fd)
			if _, err := unix.Read(peer, make([]byte, 1)); err != nil {
				return err
			}
			unix.Close(peer)
		}
	})
	return full, err
}

type forecastLine struct {
	Text string   `json:"text"`
	Rate float64  `json:"taken_per_second"`
	Full *float64 `json:"full_seconds"`
}

// checkSample runs check with two samples and returns the forecast of a pool, and
// when it was made.
func checkSample(t *testing.T, ns *load.Netns, dst string) (f forecastLine, at time.Time) {
	t.Helper()
	// The status tells how full it is; the JSON is there in any case.
	out, _ := exec.Command("portroom", "check", "--sample", "1s", "--json", "--netns", ns.Name).Output()
	at = time.Now()
	var c struct {
		Namespaces []struct {
			Pools []struct {
				Dst      string        `json:"dst"`
				Forecast *forecastLine `json:"forecast"`
			} `json:"pools"`
			Notes []struct {
				Code string `json:"code"`
				Text string `json:"text"`
			} `json:"notes"`
		} `json:"namespaces"`
	}
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, n := range c.Namespaces {
		for _, p := range n.Pools {
			if p.Dst != dst || p.Forecast == nil {
				continue
			}
			for _, note := range n.Notes {
				if note.Code == "forecast" && strings.HasSuffix(note.Text, dst+": "+p.Forecast.Text) {
					return *p.Forecast, at
				}
			}
			t.Errorf("no note says %q", p.Forecast.Text)
			return *p.Forecast, at
		}
	}
	t.Fatalf("there is no forecast for %s in %s", dst, out)
	return f, at
}

func TestTheForecastOfAConstantRateComesTrue(t *testing.T) {
	need.Root(t)
	to := netip.MustParseAddrPort("127.0.0.1:7000")
	for name, c := range map[string]struct {
		ports string
		rate  int
		full  bool
	}{
		// 2,000 ports at 400/s: full 5 s after the start.
		"over the ceiling": {"40000 41999", 400, true},
		// 30,000 ports sustain 500/s.
		"under the ceiling": {"30000 59999", 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			ns, err := load.NewNetns(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer ns.Close()
			err = errors.Join(ns.Sysctl("net.ipv4.ip_local_port_range", c.ports), ns.Sysctl("net.ipv4.tcp_tw_reuse", "0"))
			if err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			type end struct {
				full time.Time
				err  error
			}
			done := make(chan end, 1)
			begun := time.Now()
			go func() {
				full, err := constantRate(ns, to, c.rate, stop)
				done <- end{full, err}
			}()
			f, at := checkSample(t, ns, to.String())
			if !c.full {
				close(stop)
				if e := <-done; e.err != nil {
					t.Fatal(e.err)
				}
				if f.Full != nil || !strings.HasPrefix(f.Text, "never: ") || !strings.HasSuffix(f.Text, "/s is under the ceiling of 500/s") {
					t.Errorf("the forecast is %q", f.Text)
				}
				return
			}
			e := <-done
			if e.err != nil {
				t.Fatal(e.err)
			}
			if f.Full == nil {
				t.Fatalf("the forecast is %q", f.Text)
			}
			// The load keeps its schedule, so that both are told on one clock: that of the
			// connections made.
			said := at.Sub(begun).Seconds() + *f.Full
			real := e.full.Sub(begun).Seconds()
			t.Logf("%s; said %.2f s after the start, was %.2f s", f.Text, said, real)
			if off := said/real - 1; off > 0.05 || off < -0.05 {
				t.Errorf("said %.2f s after the start, was %.2f s", said, real)
			}
		})
	}
}
