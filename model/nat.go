package model

import (
	"fmt"
	"strings"

	"github.com/portroom/portroom/port"
)

const (
	nfNAT       = "net/netfilter/nf_nat_core.c"
	nfConntrack = "Documentation/networking/nf_conntrack-sysctl.rst"
)

// linuxNAT is SNAT by nf_nat: the "sources" of such a pool are the addresses that
// it translates to.
func linuxNAT() *Profile {
	return &Profile{
		Name: "nf_nat", Title: "Linux SNAT (nf_nat)",
		base: func() Pool {
			p := Pool{Wait: exactly(120), Scope: PerTuple, Search: NATRounds, family: netfilter, Error: "packets dropped, insert_failed or drop in /proc/net/stat/nf_conntrack"}
			p.setRange(1024, 65535)
			p.fact("range", "1024-65535", nfNAT, "")
			p.fact("nf_conntrack_tcp_timeout_time_wait", "120", nfConntrack, "")
			p.fact("scope", "NAT address and destination", nfNAT, "")
			p.fact("order", NATRounds.String(), nfNAT, "")
			return p
		},
		Settings: []Setting{
			waitSetting("nf_conntrack_tcp_timeout_time_wait", 1, 86400, 1, "seconds", nfConntrack),
			rangeSetting("to-ports", 1024, "iptables-extensions(8) SNAT --to-source ADDRESS:FIRST-LAST"),
		},
	}
}

// cloud is a product that states numbers of ports and no search.
type cloud struct {
	name, title string
	ports       int
	portsName   string // the setting
	most        int
	portsSource string
	wait        Bounds
	waitName    string
	waitMost    int
	waitSource  string
	waitDoubt   string
	err         string
}

func (c cloud) profile() *Profile {
	p := &Profile{Name: c.name, Title: c.title}
	p.base = func() Pool {
		q := Pool{Capacity: exactly(float64(c.ports)), Wait: c.wait, Scope: PerTuple, Search: RandomStart, family: clouded, Error: c.err}
		q.fact(c.portsName, fmt.Sprint(c.ports), c.portsSource, "")
		q.fact("hold after close", c.wait.String(), c.waitSource, c.waitDoubt)
		q.fact("scope", "NAT address and destination", c.portsSource, "")
		q.fact("order", "not published", "none found", "a random start is assumed")
		return q
	}
	p.Settings = []Setting{countSetting(c.portsName, 1, c.most, c.portsSource)}
	if c.waitName != "" {
		p.Settings = append(p.Settings, waitSetting(c.waitName, 1, c.waitMost, 1, "seconds", c.waitSource))
	}
	return p
}

func clouds() []func() *Profile {
	return []func() *Profile{
		cloud{
			name: "aws-nat-gateway", title: "AWS NAT gateway", ports: 55000, portsName: "ports", most: 55000,
			portsSource: "docs.aws.amazon.com, NAT gateway basics",
			wait:        Bounds{0, 350}, waitName: "hold", waitMost: 350,
			waitSource: "not published; the idle time-out is 350 s", waitDoubt: "how long a port is held after FIN is not published",
			err: "ErrorPortAllocation",
		}.profile,
		cloud{
			name: "azure-nat-gateway", title: "Azure NAT gateway", ports: 50000, portsName: "ports", most: 64512,
			portsSource: "azure-docs nat-gateway-resource.md: 50,000 connections for an address to one destination",
			wait:        exactly(65), waitName: "hold", waitMost: 7200,
			waitSource: "azure-docs nat-gateway-resource.md: 65 s after FIN", waitDoubt: "",
			err: "packets dropped, SNATConnectionCount (failed)",
		}.profile,
		cloud{
			name: "azure-load-balancer", title: "Azure Load Balancer, outbound rule, 1 to 50 machines", ports: 1024, portsName: "ports", most: 64000,
			portsSource: "learn.microsoft.com, load-balancer outbound: 1024 for each of 1 to 50 machines, in blocks of 8",
			wait:        Bounds{0, 240}, waitName: "hold", waitMost: 7200,
			waitSource: "not published; the idle time-out is 4 min", waitDoubt: "how long a port is held after FIN is not published",
			err: "SnatConnectionCount (failed)",
		}.profile,
		cloud{
			name: "azure-app-service", title: "Azure App Service", ports: 128, portsName: "ports", most: 64000,
			portsSource: "learn.microsoft.com, app-service: 128 for each instance, more without promise",
			wait:        Bounds{0, 240}, waitName: "hold", waitMost: 240,
			waitSource: "not published; the idle time-out is 4 min", waitDoubt: "240 s is that of a leaked connection",
			err: "connect times out",
		}.profile,
		cloud{
			name: "gcp-cloud-nat", title: "Google Cloud NAT", ports: 64, portsName: "minPortsPerVm", most: 64512,
			portsSource: "cloud.google.com/nat/docs: 64 for each machine unless dynamic",
			wait:        Bounds{30, 120}, waitName: "tcpTimeWaitTimeoutSec", waitMost: 600,
			waitSource: "cloud.google.com/nat/docs", waitDoubt: "120 s, or 30 s for gateways created from mid-2026",
			err: "nat/dropped_sent_packets_count OUT_OF_RESOURCES",
		}.profile,
	}
}

// catalog returns every profile's maker, in the order in which they are listed. A
// profile keeps what its settings say, so that each caller gets its own.
func catalog() []func() *Profile {
	legacy := func(name, title string, wait Bounds, lowest int, source, doubt string) func() *Profile {
		return func() *Profile { return legacyWindows(name, title, wait, lowest, source, doubt) }
	}
	const w2k = "TechNet cc938217"
	list := []func() *Profile{
		func() *Profile { return linuxProfile("linux", "Linux 6.18 and later", release{6, 18}) },
		func() *Profile { return linuxProfile("linux-4.2", "Linux 4.2 to 6.17", release{4, 2}) },
		func() *Profile { return linuxProfile("linux-3", "Linux before 4.2", release{3, 0}) },
		modernWindows,
		legacy("windows-server-2003", "Windows Server 2003", Bounds{120, 240}, 0, "TechNet cc757512 (120 s in its table), MSDN ms819739 (four minutes)", "the sources disagree"),
		legacy("windows-xp", "Windows XP", exactly(240), 30, w2k, ""),
		legacy("windows-2000", "Windows 2000", exactly(240), 30, w2k, ""),
		legacy("windows-nt4", "Windows NT 4.0", exactly(240), 30, w2k, ""),
		macOS,
		func() *Profile { return freeBSD(false) },
		func() *Profile { return freeBSD(true) },
		openBSD, netBSD, solaris, aix, gVisor, linuxNAT,
	}
	return append(list, clouds()...)
}

// Profiles returns every system that is modelled.
func Profiles() []*Profile {
	var all []*Profile
	for _, profile := range catalog() {
		all = append(all, profile())
	}
	return all
}

// WindowsReleases are names for the profile "windows".
func WindowsReleases() []string { return windowsNames }

// Find returns the system of that name. Releases of Windows since Vista have one
// profile, and linux-MAJOR.MINOR is any release of Linux.
func Find(name string) (*Profile, error) {
	name = strings.ToLower(name)
	for _, w := range windowsNames {
		if name == w {
			p := modernWindows()
			p.Name = name
			return p, nil
		}
	}
	for _, profile := range catalog() {
		if p := profile(); p.Name == name {
			return p, nil
		}
	}
	var r release
	if n, _ := fmt.Sscanf(name, "linux-%d.%d", &r.major, &r.minor); n == 2 && name == fmt.Sprintf("linux-%d.%d", r.major, r.minor) && r.atLeast(2, 6) && r.major < 100 {
		return linuxProfile(name, fmt.Sprintf("Linux %d.%d", r.major, r.minor), r), nil
	}
	return nil, fmt.Errorf("%q is no system: want %s, linux-MAJOR.MINOR or a release of Windows such as windows-server-2019", cut(name), strings.Join(Names(), ", "))
}

// Names returns the names of all profiles.
func Names() []string {
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// cut shortens text from outside so that it fits into a sentence.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// FromCounts is a pool of a host that was measured: so many ports, Linux's search.
func FromCounts(title string, r port.Range, capacity int, wait Bounds, scope Scope) Pool {
	return Pool{System: "this", Title: title, Range: r, Capacity: exactly(float64(capacity)), Wait: wait, Scope: scope,
		Search: ParityConnect, family: linuxes, release: release{6, 18}, Hints: 1 << 16, Error: "EADDRNOTAVAIL (99)"}
}

// FromHost is the one pool of a host that was measured and on which a port in use is
// out of reach for every destination, as Windows.
func FromHost(title string, capacity int, wait Bounds) Pool {
	return Pool{System: "this", Title: title, Capacity: exactly(float64(capacity)), Wait: wait, Scope: PerHost,
		Search: Sequential, family: microsoft, Error: "WSAENOBUFS (10055)"}
}

// Upstream is a NAT of which a number of ports for each destination is known, and
// for how many seconds it holds one after the close.
func Upstream(ports int, hold float64) Pool {
	return Pool{System: "upstream", Title: "a NAT upstream", Capacity: exactly(float64(ports)), Wait: exactly(hold), Scope: PerTuple,
		Search: RandomStart, family: clouded, Error: "connect times out"}
}
