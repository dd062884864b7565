package model

import (
	"errors"
	"fmt"
	"strings"

	"github.com/portroom/portroom/port"
)

// legacyFirst is the first port that Windows NT4 to Server 2003 hands out. KB196271
// writes 1024 to 5000; KB929851 says that the earlier default was 1025 to 5000 and
// that start=1025 num=3976 reproduces Server 2003, KB149532 counts 3,976 sockets, and
// hsc.fr says that 1024 is never handed out. So 1025 is used, and one more port is
// the other end of the bounds.
const legacyFirst = 1025

const (
	kb196271  = "KB196271"
	setnettcp = "Set-NetTCPSetting (windows-powershell-docs)"
)

// legacyWindows is Windows NT4, 2000, XP or Server 2003.
func legacyWindows(name, title string, wait Bounds, lowest int, waitSource, doubt string) *Profile {
	maxUserPort := 5000
	return &Profile{
		Name: name, Title: title,
		base: func() Pool {
			maxUserPort = 5000
			p := Pool{Wait: wait, Scope: PerHost, Search: Lowest, family: legacyMicrosoft, Error: "WSAENOBUFS (10055)"}
			p.fact("MaxUserPort", "5000", kb196271, "")
			p.fact("first port", "1025", "KB929851; KB149532 counts 3,976; hsc.fr", "KB196271 writes 1024, which makes one port more")
			p.fact("TcpTimedWaitDelay", wait.String(), waitSource, doubt)
			p.fact("scope", "host", "KB196271", "")
			p.fact("order", Lowest.String(), "KB194952; hsc.fr", "after MS08-037 (2008) the order may be random")
			return p
		},
		Settings: []Setting{
			{"MaxUserPort", "5000 to 65534", kb196271, func(_ *Pool, s string) (err error) {
				maxUserPort, err = whole(s, 5000, 65534)
				return err
			}},
			waitSetting("TcpTimedWaitDelay", lowest, 300, 1, "seconds", waitSource),
			{"ReservedPorts", "a list such as 1433,4000-4100", "KB812873", func(p *Pool, s string) (err error) {
				p.Reserved, err = port.ParseSet(s)
				return err
			}},
		},
		finish: func(p *Pool) error {
			p.setRange(legacyFirst, maxUserPort)
			p.Capacity.High++
			return nil
		},
	}
}

// modernWindows is Windows Vista, Server 2008 and later.
func modernWindows() *Profile {
	var start, num, reuseStart, reuse int
	numbers := func(name, valid, source string, low, high int, to *int) Setting {
		return Setting{name, valid, source, func(_ *Pool, s string) (err error) {
			*to, err = whole(s, low, high)
			return err
		}}
	}
	return &Profile{
		Name: "windows", Title: "Windows Vista, Server 2008 and later",
		base: func() Pool {
			start, num, reuseStart, reuse = 49152, 16384, 0, 0
			p := Pool{Wait: Bounds{120, 240}, Scope: PerHost, Search: Sequential, family: microsoft, Error: "WSAENOBUFS (10055), event 4231"}
			p.fact("dynamic ports", "start 49152, number 16384", "KB929851", "")
			p.fact("TIME_WAIT", "120 to 240", "Microsoft's page on port exhaustion (240 s); measured on Server 2019, oven-sh/bun #33898 (120 s)", "the sources disagree")
			p.fact("scope", "host", "Microsoft's page on port exhaustion; tailscale #20039", "")
			p.fact("order", Sequential.String(), "a comment in a test suite", "field report only")
			return p
		},
		Settings: []Setting{
			numbers("start", "1025 to 65281", "KB929851", 1025, 65281, &start),
			numbers("num", "255 to 64511", "KB929851", 255, 64511, &num),
			{"TcpTimedWaitDelay", "30 to 300 seconds", "BizTalk tuning guides", func(p *Pool, s string) error {
				n, err := whole(s, 30, 300)
				if err != nil {
					return err
				}
				// No primary source says that the value acts since Server 2016.
				p.Wait = exactly(float64(n))
				return nil
			}},
			numbers("AutoReusePortRangeStartPort", "1025 to 65535", setnettcp, 1025, 65535, &reuseStart),
			numbers("AutoReusePortRangeNumberOfPorts", "0 (off) to 64511", setnettcp, 0, 64511, &reuse),
			{"excluded", "a list such as 50000-50059", "netsh int ipv4 show excludedportrange", func(p *Pool, s string) (err error) {
				p.Reserved, err = port.ParseSet(s)
				return err
			}},
			{"MaxUserPort", "nothing: use start and num", "MS08-037, KB929851", func(*Pool, string) error {
				return errors.New("UNCERTAIN since Vista: MSRC calls it the number of ports, all others say it is ignored")
			}},
		},
		finish: func(p *Pool) error {
			if start+num-1 > 65535 {
				return fmt.Errorf("start=%d num=%d ends at %d: want start + num - 1 ≤ 65535", start, num, start+num-1)
			}
			first, n := start, num
			if reuse > 0 {
				if reuseStart == 0 {
					return errors.New("AutoReusePortRangeNumberOfPorts without AutoReusePortRangeStartPort: want both")
				}
				if reuseStart+reuse-1 > 65535 {
					return fmt.Errorf("the AutoReusePortRange ends at %d: want start + number - 1 ≤ 65535", reuseStart+reuse-1)
				}
				first, n = reuseStart, reuse
				p.Scope = PerTuple
				p.fact("scope", PerTuple.String(), "KB3149157", "whether TIME_WAIT blocks the same peer is inferred")
			} else if reuseStart > 0 {
				return errors.New("AutoReusePortRangeStartPort without AutoReusePortRangeNumberOfPorts: want both")
			}
			p.setRange(first, first+n-1)
			return nil
		},
	}
}

// windowsNames are the releases that one profile stands for.
var windowsNames = strings.Fields("windows-vista windows-7 windows-8 windows-10 windows-11 windows-server-2008 " +
	"windows-server-2012 windows-server-2016 windows-server-2019 windows-server-2022 windows-server-2025")
