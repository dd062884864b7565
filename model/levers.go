package model

import (
	"fmt"
	"math"
)

// levers are what can be changed of this pool, the smallest change first.
func (p *Pool) levers() levers {
	switch p.family {
	case legacyMicrosoft:
		return levers{
			widen: &widening{64510, func(n int) string { return fmt.Sprintf("MaxUserPort=%d", max(5000, legacyFirst-1+n)) }, "needs a restart; " + shadowed},
			shorten: []shortening{{30, 0, 1, func(s float64) string { return fmt.Sprintf("TcpTimedWaitDelay=%.0f", s) },
				"needs a restart; late segments of an old connection may meet a new one"}},
		}
	case microsoft:
		l := levers{
			widen: &widening{64511, func(n int) string {
				n = max(n, 255)
				return fmt.Sprintf("netsh int ipv4 set dynamicport tcp start=%d num=%d", 65536-n, n)
			}, shadowed},
			shorten: []shortening{{30, 0, 1, func(s float64) string { return fmt.Sprintf("TcpTimedWaitDelay=%.0f", s) },
				"UNCERTAIN whether it acts since Server 2016; needs a restart"}},
			addSources: "source addresses",
		}
		if p.Scope == PerHost {
			l.share = fmt.Sprintf("AutoReusePortRangeStartPort=%d AutoReusePortRangeNumberOfPorts=%.0f", 65536-int(p.Capacity.Low), p.Capacity.Low)
		}
		return l
	case linuxes:
		return p.linuxLevers()
	case netfilter:
		return levers{
			shorten: []shortening{{60, 0, 1, func(s float64) string { return fmt.Sprintf("nf_conntrack_tcp_timeout_time_wait=%.0f", s) },
				"must not be shorter than the TIME_WAIT of the hosts behind it"}},
			addSources: "SNAT addresses (--to-source FIRST-LAST)",
		}
	case clouded:
		return p.cloudLevers()
	}
	l := levers{addSources: "source addresses"}
	first := p.firstSetting()
	if most := int(p.Range.Last) - 1024 + 1; first != "" {
		l.widen = &widening{most, func(n int) string { return fmt.Sprintf("%s=%d", first, int(p.Range.Last)-n+1) }, shadowed}
	}
	return l
}

// firstSetting is what moves the low end of the range.
func (p *Pool) firstSetting() string {
	switch p.System {
	case "macos":
		return "net.inet.ip.portrange.hifirst and net.inet.ip.portrange.first"
	case "freebsd", "freebsd-12":
		return "net.inet.ip.portrange.first"
	case "netbsd":
		return "net.inet.ip.anonportmin"
	case "solaris":
		return "tcp_smallest_anon_port"
	case "aix":
		return "tcp_ephemeral_low"
	}
	return ""
}

func (p *Pool) linuxLevers() levers {
	l := levers{addSources: "source addresses (bind with IP_BIND_ADDRESS_NO_PORT)"}
	first, last := int(p.Range.First), int(p.Range.Last)
	if first > 0 {
		l.widen = &widening{64512, func(n int) string {
			n += n % 2 // ends of different parity keep all ports within reach
			lo, hi := first, min(65535, first+n-1)
			hi = max(hi, last)
			if hi-lo+1 < n {
				hi = 65535
				lo = hi - n + 1
			}
			return fmt.Sprintf("ip_local_port_range=%d-%d", max(1024, lo), hi)
		}, shadowed}
	}
	if p.Scope == PerSource {
		l.share = "IP_BIND_ADDRESS_NO_PORT on every socket that binds to an address"
		return l // bind() never takes a TIME_WAIT over
	}
	const needs = "needs timestamps at both ends; a NAT or a firewall that still remembers the old connection may drop the new one"
	reuse := shortening{1, 1, 1, func(float64) string { return "tcp_tw_reuse=1" }, needs}
	r := p.release
	if !r.atLeast(6, 14) {
		reuse.least, reuse.most = 1, 1
		if !r.atLeast(4, 19) {
			reuse.least, reuse.most = 2, 2
		}
	}
	l.shorten = []shortening{reuse}
	if r.atLeast(6, 14) {
		l.shorten = append(l.shorten, shortening{0.001, 60, 0.001, func(s float64) string {
			return fmt.Sprintf("tcp_tw_reuse=1 tcp_tw_reuse_delay=%.0f", math.Round(s*1000))
		}, needs + "; keep the delay above one tick of the peer's timestamps, 1 to 1000 ms"})
	}
	return l
}

func (p *Pool) cloudLevers() levers {
	l := levers{addSources: "addresses on the gateway"}
	switch p.System {
	case "upstream":
		l.widen = &widening{64512, func(n int) string { return fmt.Sprintf("%d ports at the NAT", n) }, ""}
	case "gcp-cloud-nat":
		l.widen = &widening{64512, func(n int) string { return fmt.Sprintf("minPortsPerVm=%d", n) }, "each address has 64,512 for all machines"}
		l.shorten = []shortening{{30, 0, 1, func(s float64) string { return fmt.Sprintf("tcpTimeWaitTimeoutSec=%.0f", s) }, ""}}
	case "azure-load-balancer":
		l.widen = &widening{64000, func(n int) string { return fmt.Sprintf("%d allocated outbound ports for each machine", (n+7)/8*8) }, "each frontend address has 64,000 for all machines"}
	}
	return l
}
