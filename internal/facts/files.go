package facts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// FromFiles adds what the files of a Linux system under a root say: "/" for this
// host and the network namespace of the calling thread, or a directory that holds
// proc. The settings must be there already.
func FromFiles(f *finding.Facts, root string) {
	if f.Settings == nil {
		return
	}
	f.Uptime = uptime(root)
	f.FinTimeout = positive(parameter(root, "net/ipv4/tcp_fin_timeout"))
	f.Recycle = recycle(root, f.Settings.Kernel)
	// Negative where the namespace shares the table of the first one.
	if n, err := strconv.Atoi(parameter(root, "net/ipv4/tcp_ehash_entries")); err == nil {
		f.EhashEntries = max(n, -n)
	}
	f.Overflows = counter(netFile(root, "netstat"), "TcpExt:", "TCPTimeWaitOverflow")
	f.Conntrack = conntrack(root)
	f.IPv6 = ipv6(root)
}

// parameter reads a kernel parameter; "" when there is none or it cannot be read.
func parameter(root, name string) string {
	text, err := host.Parameter(root, name)
	if err != nil {
		return ""
	}
	return text
}

// positive reads a number above 0; 0 for anything else.
func positive(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// netFile reads a file of /proc/net, which is the main thread's namespace: the
// calling thread has one of its own. "" when it cannot be read.
func netFile(root, name string) string {
	for _, dir := range []string{"proc/thread-self/net", "proc/net"} {
		if b, err := os.ReadFile(filepath.Join(root, dir, name)); err == nil {
			return string(b)
		}
	}
	return ""
}

// uptime reads how long the system has been up; 0 when that cannot be read.
func uptime(root string) time.Duration {
	b, err := os.ReadFile(filepath.Join(root, "proc/uptime"))
	if err != nil {
		return 0
	}
	seconds, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	n, err := strconv.ParseFloat(seconds, 64)
	if err != nil || n < 0 || n > 1e9 {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// recycle reads tcp_tw_recycle, which Linux 4.12 removed (commit 4396e46187ca).
func recycle(root string, kernel host.Release) socket.Tri {
	switch text := parameter(root, "net/ipv4/tcp_tw_recycle"); {
	case text == "0", text == "" && kernel.AtLeast(4, 12):
		return socket.No
	case text != "":
		return socket.Yes
	}
	return socket.Unknown
}

// counter finds a number in the form of /proc/net/netstat: a line of names and a
// line of numbers, both after the same word. 0 when it is not there.
func counter(text, group, name string) uint64 {
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != group {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i := range min(len(f), len(names)) {
			if names[i] == name {
				n, _ := strconv.ParseUint(f[i], 10, 64)
				return n
			}
		}
		names = nil
	}
	return 0
}

// conntrack reads the state of connection tracking; nil where there is none, or
// where the namespace does not show it.
func conntrack(root string) *finding.Conntrack {
	const dir = "net/netfilter/nf_conntrack_"
	most := positive(parameter(root, dir+"max"))
	if most == 0 {
		return nil
	}
	c := &finding.Conntrack{
		Count: positive(parameter(root, dir+"count")), Max: most,
		TimeWait: time.Duration(positive(parameter(root, dir+"tcp_timeout_time_wait"))) * time.Second,
	}
	c.InsertFailed, c.Drop = sums(netFile(root, "stat/nf_conntrack"))
	return c
}

// sums reads /proc/net/stat/nf_conntrack: a line of names, then one of hexadecimal
// numbers for each processor.
func sums(text string) (insertFailed, drop uint64) {
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if names == nil {
			names = f
			continue
		}
		for i := range min(len(f), len(names)) {
			n, err := strconv.ParseUint(f[i], 16, 64)
			switch {
			case err != nil:
			case names[i] == "insert_failed":
				insertFailed += n
			case names[i] == "drop":
				drop += n
			}
		}
	}
	return insertFailed, drop
}

// ipv6 reports whether the namespace has an IPv6 address, be it ::1 alone. Without
// the file the kernel has no IPv6.
func ipv6(root string) socket.Tri {
	for _, dir := range []string{"proc/thread-self/net", "proc/net"} {
		if _, err := os.Stat(filepath.Join(root, dir)); err == nil {
			return socket.TriOf(strings.TrimSpace(netFile(root, "if_inet6")) != "")
		}
	}
	return socket.Unknown
}
