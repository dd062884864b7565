package models

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/model"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

// The NAT of the test: 1,000 ports, none of which a host behind it would choose.
const (
	natPorts  = 1000
	natFilled = 985
	natFills  = 10
	natRules  = `table ip nat {
	chain post { type nat hook postrouting priority 100; ip daddr 10.88.0.2 tcp dport 9 snat to 10.88.0.9:10000-10999; }
}`
)

// natHosts are a host that translates its own connections, and a server.
func natHosts(t *testing.T) (host, server *load.Netns) {
	t.Helper()
	_, err := exec.LookPath("nft")
	need.That(t, err == nil, "nft(8)", "apt-get install nftables")
	host, server = newHost(t), newHost(t)
	for _, args := range []string{
		"link add v0 netns " + host.Name + " type veth peer name v1 netns " + server.Name,
		"-n " + host.Name + " addr add 10.88.0.1/24 dev v0", "-n " + host.Name + " addr add 10.88.0.9/32 dev v0", "-n " + host.Name + " link set v0 up",
		"-n " + server.Name + " addr add 10.88.0.2/24 dev v1", "-n " + server.Name + " link set v1 up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	nft := exec.Command("ip", "netns", "exec", host.Name, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(natRules)
	if out, err := nft.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	return host, server
}

// A natFilling is how a NAT filled up.
type natFilling struct {
	first  int // connections held at the first failure
	failed int // until natFilled were held
}

// nf_nat gives up after 248 looks at most, so that it drops the first packets of a
// connection while ports are free: when, and how often.
func TestTheNatDropsAsTheModelSays(t *testing.T) {
	var kernel []natFilling
	for range natFills {
		host, server := natHosts(t) // a NAT remembers what is closed
		f, err := fillNat(host, server)
		if err != nil {
			t.Fatal(err)
		}
		kernel = append(kernel, f)
	}
	p, err := model.Find("nf_nat")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := p.Resolve([]model.Assignment{{Name: "to-ports", Value: "10000-10999"}})
	if err != nil {
		t.Fatal(err)
	}
	var played []natFilling
	for seed := range uint64(400) {
		ports := model.NewPorts(&pool, rand.New(rand.NewPCG(seed, 1)))
		f := natFilling{first: natFilled}
		for held := 0; held < natFilled; {
			if _, _, ok := ports.Take(); ok {
				held++
			} else {
				f.fail(held)
			}
		}
		played = append(played, f)
	}
	for _, what := range []struct {
		name string
		of   func(natFilling) float64
	}{
		{"connections held at the first failure", func(f natFilling) float64 { return float64(f.first) }},
		{"failures until 985 were held", func(f natFilling) float64 { return float64(f.failed) }},
	} {
		got, _ := spread(kernel, what.of)
		want, sigma := spread(played, what.of)
		t.Logf("%s: kernel %.1f, model %.1f ± %.1f", what.name, got, want, sigma)
		// The mean of a few fillings lies within four standard deviations of a mean.
		if math.Abs(got-want) > 4*sigma/math.Sqrt(natFills) {
			t.Errorf("%s: kernel %.1f in the mean of %d, model %.1f with a standard deviation of %.1f", what.name, got, natFills, want, sigma)
		}
	}
}

func (f *natFilling) fail(held int) {
	f.failed++
	f.first = min(f.first, held)
}

func spread(all []natFilling, of func(natFilling) float64) (mean, sigma float64) {
	for _, f := range all {
		mean += of(f) / float64(len(all))
	}
	for _, f := range all {
		sigma += (of(f) - mean) * (of(f) - mean) / float64(len(all))
	}
	return mean, math.Sqrt(sigma)
}

// fillNat opens connections through the NAT until natFilled are held.
func fillNat(host, server *load.Netns) (f natFilling, err error) {
	f.first = natFilled
	at := netip.MustParseAddrPort("10.88.0.2:9")
	listener := -1
	if err := server.Do(func() (err error) {
		listener, err = listen(at)
		return err
	}); err != nil {
		return f, err
	}
	defer unix.Close(listener)
	return f, host.Do(func() error {
		var fds []int
		defer func() {
			for _, fd := range fds {
				_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
				unix.Close(fd)
			}
		}()
		for held := 0; held < natFilled; {
			fd, granted, err := connectThrough(at)
			if err != nil {
				return err
			}
			if !granted {
				unix.Close(fd)
				f.fail(held)
				continue
			}
			fds = append(fds, fd)
			accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
			if err != nil {
				return err
			}
			fds = append(fds, accepted)
			held++
		}
		return nil
	})
}

// connectThrough opens one connection, or sees from the counters that its first packet
// was dropped for want of a port.
func connectThrough(to netip.AddrPort) (fd int, granted bool, err error) {
	before, err := dropped()
	if err != nil {
		return -1, false, err
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, false, err
	}
	switch err = unix.Connect(fd, sockaddr(to)); {
	case err == nil:
		return fd, true, nil
	case errors.Is(err, unix.EPERM):
		return fd, false, nil // where the output hook drops it, connect() says so
	case !errors.Is(err, unix.EINPROGRESS):
		return fd, false, fmt.Errorf("connect: %w", err)
	}
	for range 1000 {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(ready, int((10 * time.Millisecond).Milliseconds())); err == nil && n == 1 {
			return fd, true, nil
		}
		if after, err := dropped(); err != nil || after > before {
			return fd, false, err
		}
	}
	return fd, false, errors.New("a connection neither came about nor was dropped")
}

// dropped counts packets that conntrack of this namespace dropped for want of a tuple.
func dropped() (n int64, err error) {
	text, err := os.ReadFile("/proc/thread-self/net/stat/nf_conntrack")
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	head := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		for i, v := range strings.Fields(line) {
			if head[i] == "insert_failed" || head[i] == "drop" {
				k, err := strconv.ParseInt(v, 16, 64)
				if err != nil {
					return 0, err
				}
				n += k
			}
		}
	}
	return n, nil
}
