package cli_test

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/record"
	"github.com/portroom/portroom/socket"
)

// incident is a program that writes a record of a night: incident FILE. At 3:00 a
// pool of 28,232 ports begins to fill; at 3:05:50 it is full for two minutes, and 1482
// connects of nginx are refused. tcp_tw_reuse was set to 0 at 3:00:40. From 3:20 to
// 3:40 nothing was recorded.
func incident() {
	if err := writeIncident(os.Args[1]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

var nightBegan = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func writeIncident(path string) (err error) {
	r, err := record.Create(path, record.Options{Keep: 100 * 365 * 24 * time.Hour, Host: "web1", Kernel: "Linux 6.12.9", Version: "devel"})
	if err != nil {
		return err
	}
	for i := range 300 {
		if i >= 120 && i < 240 {
			continue
		}
		s := nightSample(i)
		if i == 0 {
			s.Events = []record.Event{{Kind: record.EventStart, Text: "recording by portroom devel"}}
		}
		if err := r.Append(s); err != nil {
			return err
		}
	}
	return r.Close()
}

func nightSample(i int) *record.Sample {
	const capacity = 28232
	held := 1000
	switch {
	case i >= 18 && i < 36:
		held = 1000 + (capacity-1000)*(i-17)/18
	case i >= 36 && i < 48:
		held = capacity
	case i >= 48 && i < 60:
		held = capacity - 27000*(i-47)/12
	}
	upstream := pool.Pool{
		Key:   pool.Key{Proto: socket.TCP, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddrPort("10.0.0.5:443")},
		Range: capacity, Capacity: capacity, Held: held, Headroom: capacity - held, HeadroomMax: capacity - held,
		BindHeadroom: capacity - held, BindHeadroomMax: capacity - held, Knee: capacity / 2, CeilingPerSecond: 470.5,
		Owners: []pool.Owner{{PID: 812, Command: "nginx", Cgroup: "/system.slice/nginx.service", Ports: held * 9 / 10}},
	}
	upstream.States[socket.Established], upstream.States[socket.TimeWait] = held/10, held-held/10
	quiet := upstream
	quiet.Key.Dst = netip.MustParseAddrPort("10.0.0.6:5432")
	quiet.Held, quiet.Headroom, quiet.HeadroomMax, quiet.States, quiet.Owners = 40, capacity-40, capacity-40, [socket.NumStates]int{socket.Established: 40}, nil
	n := record.Namespace{
		ID: 4026531840, Range: port.Range{First: 32768, Last: 60999}, Status: "ok", Verdict: "fine",
		Blocked: record.Blocked{Total: 0, Kinds: map[string]int{}, By: []record.Blocker{}},
		Pools:   []pool.Pool{upstream, quiet}, Holders: true, Judged: true,
		Settings: []record.Setting{{Name: "net.ipv4.ip_local_port_range", Value: "32768\t60999"}, {Name: "net.ipv4.tcp_tw_reuse", Value: "2"}},
	}
	if i > 3 {
		n.Settings[1].Value = "0"
	}
	s := &record.Sample{Time: nightBegan.Add(time.Duration(i) * 10 * time.Second), Interval: 10 * time.Second}
	if held == capacity {
		n.Status = "critical"
		n.Findings = []finding.Finding{{
			Code: "PR101", Name: "pool-exhausted", Severity: finding.Critical, Title: "10.0.0.1 → 10.0.0.5:443 has no port left: connects fail now",
			Evidence: []string{"28232 of 28232 held (25409 TIME_WAIT)"},
			Remedies: []finding.Remedy{{ID: "widen-range", Text: "widen the range to 10240–65535", Command: "portroom fix widen-range",
				Sets:   []finding.Assignment{{Name: "ip_local_port_range", Value: "10240-65535"}},
				Gain:   finding.Gain{From: finding.Room{Capacity: capacity, CeilingPerSecond: 470.5}, To: finding.Room{Capacity: 55296, CeilingPerSecond: 921.6}},
				Hazard: "a server that starts later on a port in the range, and is not reserved, may find it taken"}},
		}}
		s.Refusals = []record.Refusal{{Netns: n.ID, Key: upstream.Key, Errno: "EADDRNOTAVAIL", Reason: "no-port", Count: 114,
			Process: record.Process{PID: 812, Command: "nginx", Cgroup: "/system.slice/nginx.service"}}}
	}
	s.Namespaces = []record.Namespace{n}
	return s
}
