package top

import (
	"net/netip"
	"time"

	"github.com/portroom/portroom/forecast"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// noon is when everything here happens.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const (
	capacity = 28229
	netnsID  = 4026531840
)

// rowTo is a pool of the default range to a destination.
func rowTo(dst string, open, timeWait int, in, out float64) Row {
	key := pool.Key{Proto: socket.TCP, Src: netip.MustParseAddr("10.0.0.7"), Dst: netip.MustParseAddrPort(dst)}
	if key.Dst.Addr().Is6() {
		key.Src = netip.MustParseAddr("2001:db8::7")
	}
	p := pool.Pool{
		Key: key, Range: 28232, Blocked: 3, Capacity: capacity, Held: open + timeWait, Headroom: capacity - open - timeWait,
		HeadroomMax: capacity - open - timeWait, Knee: capacity / 2, CeilingPerSecond: capacity / 60.0,
	}
	p.States[socket.Established], p.States[socket.TimeWait] = open, timeWait
	f, _ := forecast.Of(forecast.Seen{
		Capacity: capacity, Held: p.Held, Open: open, Window: 5 * time.Second, Taken: int(in * 5), Closed: int(out * 5),
		TimeWait: time.Minute, Leaving: evenly(timeWait),
	})
	r := Row{
		ID: ID{netnsID, key}, Label: "shop", Pool: p, Left: itoa(p.Headroom), Rated: true, In: in, Out: out, Forecast: &f,
	}
	switch used := p.Used(); {
	case used >= 0.9:
		r.Level = Critical
	case used >= 0.7:
		r.Level = Warning
	}
	return r
}

func evenly(n int) []int {
	list := make([]int, 60)
	for i := range list {
		list[i] = n / 60
	}
	return list
}

// shop is a host whose proxy runs out of ports to one backend.
func shop() *Snapshot {
	rows := []Row{
		rowTo("10.20.0.5:443", 1203, 27026, 612, 470),
		rowTo("10.20.0.6:443", 1180, 22240, 540, 371),
		rowTo("10.20.1.9:5432", 15400, 12, 2.4, 0.2),
		rowTo("[2001:db8::20]:6379", 310, 8400, 140, 140),
		rowTo("10.20.3.1:9092", 96, 0, 0, 0),
		rowTo("10.20.4.4:53", 0, 41, 0.7, 0.6),
	}
	rows[0].Refused, rows[0].RefusedNow = 7312, 142
	rows[0].Pool.Owners = []pool.Owner{{PID: 4121, Command: "nginx", Cgroup: "/system.slice/nginx.service", Ports: 27810}, {PID: 977, Command: "checkout", Cgroup: "/system.slice/checkout.service", Ports: 419}}
	rows[1].Pool.Owners = []pool.Owner{{PID: 4121, Command: "nginx", Cgroup: "/system.slice/nginx.service", Ports: 23420}}
	rows[2].Pool.Owners = []pool.Owner{{PID: 977, Command: "checkout", Cgroup: "/system.slice/checkout.service", Ports: 15412}}
	rows[3].Pool.Owners = []pool.Owner{{PID: 977, Command: "checkout", Cgroup: "/system.slice/checkout.service", Ports: 8710}}
	rows[4].Pool.Owners = []pool.Owner{{PID: 1210, Command: "kafka-consumer", Cgroup: "/system.slice/consumer.service", Ports: 96}}
	rows = append(rows, Row{
		ID: ID{netnsID, pool.Key{Proto: socket.UDP, Src: netip.MustParseAddr("10.0.0.7")}}, Label: "shop", Left: "28227",
		Pool: pool.Pool{Key: pool.Key{Proto: socket.UDP, Src: netip.MustParseAddr("10.0.0.7")}, Range: 28232, Capacity: 28229, Held: 2, Headroom: 28227, HeadroomMax: 28227},
	})
	return &Snapshot{
		At: noon, Every: time.Second, Share: 0.02, Sockets: 75910, Scope: Scope{ID: netnsID}, Where: "shop-fe-3", Rows: rows,
		Namespaces: []Namespace{{netnsID, "shop-fe-3"}, {4026532100, "web1"}, {4026532200, "docker 3f2a91c07be4"}},
		Refusals:   Refusals{Since: noon.Add(-3 * time.Minute), Total: 7312, Now: 142, Last: "nginx[4121] to 10.20.0.5:443", LastAt: noon},
	}
}

// look is what is known of the first pool of shop when it is looked at.
func look() *Detail {
	m := new(pool.Map)
	r := port.Range{First: 32768, Last: 60999}
	for p := int(r.First); p <= int(r.Last); p++ {
		m[p] = pool.InTimeWait
		switch {
		case p == 33000 || p == 40001:
			m[p] = pool.UseListen
		case p == 50500:
			m[p] = pool.UseReserved
		case p%23 == 0:
			m[p] = pool.Connected
		}
	}
	return &Detail{
		ID: shop().Rows[0].ID, Range: r, Map: m, Traced: true, Since: noon.Add(-3 * time.Minute),
		Processes: []Process{{4121, "nginx", "nginx.service", 101002, 7290}, {977, "checkout", "checkout.service", 1530, 22}},
		Ends:      []Count{{"open", 1203}, {"closed here", 88211}, {"closed by peer", 5771}, {"reset", 35}, {"refused", 7312}},
		Lifetimes: []Lifetime{{2 * time.Millisecond, 810}, {4 * time.Millisecond, 30211}, {8 * time.Millisecond, 51200}, {16 * time.Millisecond, 9950}, {33 * time.Millisecond, 1820}, {0, 26}},
	}
}
