package model

import (
	"errors"
	"fmt"

	"github.com/portroom/portroom/port"
)

const ipsys = "Documentation/networking/ip-sysctl.rst"

// release is a Linux version.
type release struct{ major, minor int }

func (r release) atLeast(major, minor int) bool {
	return r.major > major || r.major == major && r.minor >= minor
}

// linuxSettings is what the settings say before they are put together.
type linuxSettings struct {
	sysctl    port.Range
	reserved  port.Set
	reuse     int
	delay     int // ms
	stamps    int
	bindFirst bool
	noPort    bool
	window    port.Range // IP_LOCAL_PORT_RANGE; zero is none
	loopback  bool
	hz        int
	lowest    int // ip_unprivileged_port_start
}

// linuxProfile is Linux at one release.
func linuxProfile(name, title string, r release) *Profile {
	var s linuxSettings
	flag := func(name, source string, to *bool) Setting {
		return Setting{name, "0 or 1", source, func(_ *Pool, v string) error {
			n, err := whole(v, 0, 1)
			*to = n == 1
			return err
		}}
	}
	num := func(name, valid, source string, low, high int, to *int) Setting {
		return Setting{name, valid, source, func(_ *Pool, v string) (err error) {
			*to, err = whole(v, low, high)
			return err
		}}
	}
	p := &Profile{Name: name, Title: title}
	p.base = func() Pool { s = linuxDefaults(r); return linuxBase(r) }
	p.finish = func(p *Pool) error { return s.finish(p, r) }
	p.Settings = []Setting{
		{"ip_local_port_range", "two ports FIRST-LAST with 1024 ≤ FIRST ≤ LAST ≤ 65535, where ip_unprivileged_port_start is 1024", ipsys, func(_ *Pool, v string) error {
			got, err := port.ParseRange(v)
			if err == nil && got.First == 0 {
				err = errors.New("port 0 is none")
			}
			s.sysctl = got
			return err
		}},
		{"ip_local_reserved_ports", "a list such as 8080,9000-9100", ipsys, func(_ *Pool, v string) (err error) {
			s.reserved, err = port.ParseSet(v)
			return err
		}},
		num("tcp_tw_reuse", "0 off, 1 everywhere, 2 loopback only", ipsys, 0, 2, &s.reuse),
		num("tcp_timestamps", "0, 1 or 2", ipsys, 0, 2, &s.stamps),
		{"tcp_max_tw_buckets", "1 to 2147483647", ipsys, func(p *Pool, v string) (err error) {
			p.MaxWait, err = whole(v, 1, 1<<31-1)
			return err
		}},
		flag("bind-first", "inet_connection_sock.c: bind(ADDRESS, 0) before connect()", &s.bindFirst),
		flag("loopback", "tcp_ipv4.c, tcp_twsk_unique: the destination is on lo", &s.loopback),
	}
	if r.atLeast(4, 2) {
		p.Settings = append(p.Settings, flag("IP_BIND_ADDRESS_NO_PORT", "commit 90c337da1524, Linux 4.2", &s.noPort))
	}
	if r.atLeast(4, 8) || r == (release{4, 2}) {
		p.Settings = append(p.Settings, num("CONFIG_HZ", "24 to 1200, usually 100, 250, 300 or 1000", wheelSource, 24, 1200, &s.hz))
	}
	if r.atLeast(4, 11) {
		p.Settings = append(p.Settings, num("ip_unprivileged_port_start", "0 to 65535", ipsys, 0, 65535, &s.lowest))
	}
	if r.atLeast(6, 3) {
		p.Settings = append(p.Settings, Setting{"IP_LOCAL_PORT_RANGE", "two ports FIRST-LAST", "commit 91d0b78c5177, Linux 6.3", func(_ *Pool, v string) (err error) {
			s.window, err = port.ParseRange(v)
			return err
		}})
	}
	if r.atLeast(6, 14) {
		p.Settings = append(p.Settings, num("tcp_tw_reuse_delay", "1 to 60000 milliseconds", ipsys, 1, 60000, &s.delay))
	}
	return p
}

func linuxDefaults(r release) linuxSettings {
	s := linuxSettings{sysctl: port.Range{First: 32768, Last: 60999}, stamps: 1, delay: 1000, lowest: 1024}
	if !r.atLeast(4, 2) {
		s.sysctl.Last = 61000 // until commit 07f4c90062f8
	}
	if r.atLeast(4, 19) {
		s.reuse = 2 // commit 79e9fed46038
	}
	return s
}

func linuxBase(r release) Pool {
	p := Pool{Wait: exactly(60), Scope: PerTuple, Search: ParityConnect, family: linuxes, release: r, Error: "EADDRNOTAVAIL (99)"}
	p.fact("ip_local_port_range", "32768-60999", ipsys, "")
	if !r.atLeast(4, 2) {
		p.Search = HashedStart
		p.fact("ip_local_port_range", "32768-61000", "before commit 07f4c90062f8", "")
	}
	// How many counters the destinations share: one until 5.11, then a table that
	// grew with CONFIG_INET_TABLE_PERTURB_ORDER.
	switch {
	case r.atLeast(5, 19):
		p.Hints = 1 << 16
	case r.atLeast(5, 12):
		p.Hints = 1 << 8
	default:
		p.Hints = 1
	}
	p.fact("TIME_WAIT", "60", "TCP_TIMEWAIT_LEN in include/net/tcp.h", "")
	p.fact("scope", PerTuple.String(), "__inet_hash_connect in net/ipv4/inet_hashtables.c", "")
	p.fact("order", p.Search.String(), "net/ipv4/inet_hashtables.c", "")
	return p
}

// finish puts the settings together.
func (s *linuxSettings) finish(p *Pool, r release) error {
	if int(s.sysctl.First) < s.lowest {
		return fmt.Errorf("ip_local_port_range begins at %d, below ip_unprivileged_port_start: want %d or higher", s.sysctl.First, s.lowest)
	}
	p.Reserved = s.reserved
	effective := s.sysctl
	if s.window != (port.Range{}) {
		if s.bindFirst && !s.noPort {
			p.fact("order", ParityBind.String(), "net/ipv4/inet_connection_sock.c", "")
		}
		// An end outside the sysctl's range is ignored: a window cannot widen it.
		if s.sysctl.Contains(s.window.First) {
			effective.First = s.window.First
		}
		if s.sysctl.Contains(s.window.Last) {
			effective.Last = s.window.Last
		}
		if r.atLeast(6, 8) {
			// No parity for such sockets since commit 207184853dbd.
			p.Search = HashedStart
			p.fact("order", p.Search.String(), "commit 207184853dbd, Linux 6.8", "")
		}
	}
	if s.noPort && !s.bindFirst {
		return errors.New("IP_BIND_ADDRESS_NO_PORT=1 without bind-first=1 does nothing: want both")
	}
	if s.bindFirst && !s.noPort {
		p.Scope = PerSource
		p.Search = ParityBind
		if !r.atLeast(4, 2) {
			p.Search = RandomStart
		}
		p.Error = "EADDRINUSE (98) from bind"
		p.fact("scope", p.Scope.String(), "inet_csk_find_open_port in net/ipv4/inet_connection_sock.c", "")
		p.fact("order", p.Search.String(), "net/ipv4/inet_connection_sock.c", "")
	}
	p.setRange(int(effective.First), int(effective.Last))
	if n := p.Range.Len(); p.Search == ParityConnect && n%2 == 1 && n > 1 && p.Reserved.LenIn(p.Range) == 0 {
		// The search steps over an even number of ports, so one end may be out of reach.
		p.Capacity.Low--
		p.fact("odd range", fmt.Sprintf("%d or %d ports", n-1, n), "__inet_hash_connect: remaining &= ~1", "depends on a secret starting offset")
	}
	if s.hz > 0 {
		p.HZ = s.hz
		p.Wait.High += WheelGrain(s.hz, p.Wait.Low)
		doubt := fmt.Sprintf("a timer of %d ticks a second fires up to %.3g s late, by when it was set", s.hz, WheelGrain(s.hz, 60))
		if !r.atLeast(4, 8) {
			doubt += "; the wheel came with Linux 4.8"
		}
		p.fact("end of TIME_WAIT", p.Wait.String(), wheelSource, doubt)
	}
	// What bind() took, connect() may not take over.
	byConnect := !s.bindFirst || s.noPort
	if s.stamps > 0 && byConnect && (s.reuse == 1 || s.reuse == 2 && s.loopback) {
		p.Entry = 60
		p.drop("end of TIME_WAIT") // no timer is in when connect() takes one over
		if r.atLeast(6, 14) {
			p.Wait, p.Clock = exactly(float64(s.delay)/1000), 0.001
			p.fact("tcp_tw_reuse_delay", fmt.Sprintf("%d ms", s.delay), ipsys, "")
		} else {
			// What is compared are whole seconds: until 4.18 (commit cca9bab1b72c) the
			// difference had to be above one, since then it has to be above none.
			p.Wait, p.Clock = Bounds{0, 1}, 1
			if !r.atLeast(4, 19) {
				p.Wait = Bounds{1, 2}
			}
			p.fact("tcp_tw_reuse delay", p.Wait.String(), "tcp_twsk_unique in net/ipv4/tcp_ipv4.c compares whole seconds", "where in the second the connection closed decides")
		}
	}
	return nil
}
