package cli

import (
	"net/netip"

	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// The JSON that scripts read. docs/json.md describes it and golden tests hold
// it: fields may be added, none may change.

type poolJSON struct {
	Netns       uint64         `json:"netns"`
	Proto       string         `json:"proto"`
	Src         string         `json:"src"`
	Dst         string         `json:"dst"`
	Ifindex     uint32         `json:"ifindex,omitempty"`
	Range       int            `json:"range"`
	Capacity    int            `json:"capacity"`
	Blocked     int            `json:"blocked"`
	Held        int            `json:"held"`
	Reusable    int            `json:"reusable"`
	Headroom    int            `json:"headroom"`
	HeadroomMax int            `json:"headroom_max"`
	Exact       bool           `json:"exact"`
	Inexact     []pool.Reason  `json:"inexact,omitempty"`
	Bind        int            `json:"bind_headroom"`
	BindMax     int            `json:"bind_headroom_max"`
	States      map[string]int `json:"states"`
	Knee        int            `json:"knee,omitempty"`
	PastKnee    bool           `json:"past_knee"`
	Ceiling     *float64       `json:"ceiling_per_second"`
	CeilingMax  float64        `json:"ceiling_per_second_max,omitempty"`
	Owners      []ownerJSON    `json:"owners"`
	Forecast    *forecastJSON  `json:"forecast,omitempty"`
}

type ownerJSON struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	Cgroup  string `json:"cgroup"`
	Ports   int    `json:"ports"`
}

func jsonPool(v *survey.View, p *pool.Pool) poolJSON { return jsonPoolIn(v.Namespace.ID, p) }

// jsonPoolIn is the pool of a namespace that is known by its inode number.
func jsonPoolIn(netns uint64, p *pool.Pool) poolJSON {
	j := poolJSON{
		Netns: netns, Proto: p.Key.Proto.String(), Src: p.Key.Src.String(), Dst: dstText(p.Key),
		Ifindex: p.Key.Ifindex, Range: p.Range, Capacity: p.Capacity, Blocked: p.Blocked, Held: p.Held,
		Reusable: p.Reusable, Headroom: p.Headroom, HeadroomMax: p.HeadroomMax, Exact: p.Exact(), Inexact: p.Inexact,
		Bind: p.BindHeadroom, BindMax: p.BindHeadroomMax,
		States: make(map[string]int), Knee: p.Knee, PastKnee: p.PastKnee(),
		Owners: make([]ownerJSON, 0, len(p.Owners)),
	}
	for s, n := range p.States {
		if n > 0 {
			j.States[socket.State(s).String()] = n
		}
	}
	if p.Key.Proto == socket.TCP {
		c := round1(p.CeilingPerSecond)
		j.Ceiling, j.CeilingMax = &c, round1(p.CeilingMax)
	}
	for _, o := range p.Owners {
		j.Owners = append(j.Owners, ownerJSON(o))
	}
	return j
}

// dstText writes the destination; "*" for a pool that serves all of them.
func dstText(k pool.Key) string {
	if !k.Dst.IsValid() {
		return "*"
	}
	return k.Dst.String()
}

// round1 keeps one decimal: nobody acts on a hundredth of a connect.
func round1(f float64) float64 {
	return float64(int64(f*10+0.5)) / 10
}

type blockedJSON struct {
	Total int             `json:"total"`
	Kinds map[string]int  `json:"kinds"`
	By    []blockedByJSON `json:"by"`
}

type blockedByJSON struct {
	Kind    string `json:"kind"`
	PID     int    `json:"pid"`
	Command string `json:"command"`
	Cgroup  string `json:"cgroup"`
	Ports   int    `json:"ports"`
}

func jsonBlocked(v *survey.View) blockedJSON {
	b := v.Table.Blocked()
	j := blockedJSON{Total: b.Total, Kinds: make(map[string]int), By: []blockedByJSON{}}
	for k, n := range b.Kinds {
		if n > 0 {
			j.Kinds[pool.Kind(k).String()] = n
		}
	}
	for _, by := range b.By {
		r := blockedByJSON{Kind: by.Kind.String(), Ports: by.Ports}
		if by.Owner != socket.NoOwner {
			o := v.Owners.At(by.Owner)
			r.PID, r.Command, r.Cgroup = o.PID, o.Command, v.Cgroup(o.PID)
		}
		j.By = append(j.By, r)
	}
	return j
}

type rangeJSON struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
	Count int    `json:"count"`
}

func jsonRange(v *survey.View, proto socket.Proto) rangeJSON {
	r := v.Range(proto)
	return rangeJSON{r.First, r.Last, r.Len()}
}

// familyRangeJSON is the range of one protocol and family, where they have one
// each.
type familyRangeJSON struct {
	Proto    string `json:"proto"`
	Family   string `json:"family"`
	First    uint16 `json:"first"`
	Last     uint16 `json:"last"`
	Count    int    `json:"count"`
	Excluded int    `json:"excluded"`
}

func jsonFamilyRanges(v *survey.View) (list []familyRangeJSON) {
	for i := range v.Spaces {
		s := &v.Spaces[i]
		list = append(list, familyRangeJSON{s.Proto.String(), spaceFamily(s), s.Range.First, s.Range.Last, s.Range.Len(), s.Excluded.LenIn(s.Range)})
	}
	return list
}

func spaceFamily(s *pool.Space) string {
	if s.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// limitText is why a view has bounds only, or "".
func limitText(v *survey.View) string {
	if v.Limited == nil {
		return ""
	}
	return v.Limited.Error()
}

// hostPort writes an address and port for people.
func hostPort(a netip.Addr, port uint16) string {
	return netip.AddrPortFrom(a, port).String()
}
