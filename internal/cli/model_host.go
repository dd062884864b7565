package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/model"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

func itoa(n int) string { return strconv.Itoa(n) }

// livePool is the pool that this host has for each destination, or has for all:
// its settings, and the ports that are blocked now. What is set says otherwise.
func (a *app) livePool(ctx context.Context, set []model.Assignment, hz int) (s subject, err error) {
	if a.allNamespaces {
		return s, usagef("a plan is made for one namespace: use --netns instead of --all-namespaces")
	}
	err = a.survey(ctx, survey.Options{}, func(v *survey.View) error {
		if v.Settings != nil {
			s, err = linuxSubject(v, set, hz)
		} else {
			s, err = windowsSubject(v, set, hz)
		}
		return err
	})
	s.pool.System, s.pool.Title = thisHost, "this host, "+s.pool.Title
	return s, err
}

// linuxSubject takes the settings of a namespace into the profile of its kernel.
func linuxSubject(v *survey.View, set []model.Assignment, hz int) (s subject, err error) {
	h := v.Settings
	name := fmt.Sprintf("linux-%d.%d", h.Kernel.Major, h.Kernel.Minor)
	p, err := model.Find(name)
	if err != nil {
		return s, err
	}
	if hz == 0 {
		hz = host.TickRate()
	}
	found := []model.Assignment{
		{Name: "ip_local_port_range", Value: h.Range.String()},
		{Name: "tcp_tw_reuse", Value: itoa(h.TWReuse)},
		{Name: "tcp_timestamps", Value: itoa(h.Timestamps)},
		{Name: "ip_unprivileged_port_start", Value: itoa(h.UnprivilegedPortStart)},
		{Name: setHZ, Value: itoa(hz)},
	}
	if h.Reserved.Len() > 0 {
		found = append(found, model.Assignment{Name: "ip_local_reserved_ports", Value: h.Reserved.String()})
	}
	if h.MaxTWBuckets > 0 {
		found = append(found, model.Assignment{Name: "tcp_max_tw_buckets", Value: itoa(h.MaxTWBuckets)})
	}
	if h.Kernel.AtLeast(6, 14) {
		found = append(found, model.Assignment{Name: "tcp_tw_reuse_delay", Value: strconv.FormatInt(h.TWReuseDelay.Milliseconds(), 10)})
	}
	if s.pool, err = p.Resolve(merge(p, found, set)); err != nil {
		return s, usageError{err}
	}
	b := v.Table.Blocked()
	if n := b.Total - b.Kinds[pool.Reserved] - b.Kinds[pool.OutOfReach]; n > 0 {
		if err := s.pool.Block(n); err != nil {
			return s, fmt.Errorf("%s of the range are bound or listening: %w", count(n, "port"), err)
		}
		s.notes = append(s.notes, fmt.Sprintf("left out are ports of the range that are bound or listening now: %d", n))
	}
	if v.Limited != nil {
		s.notes = append(s.notes, "more ports may be bound than can be seen: "+v.Limited.Error())
	}
	if h.StepWidth > 0 {
		s.notes = append(s.notes, "ip_local_port_step_width is set, which the model does not have")
	}
	return s, nil
}

// merge puts what the user set in the place of what was found, and leaves out what
// the kernel has not.
func merge(p *model.Profile, found, set []model.Assignment) []model.Assignment {
	found = slices.DeleteFunc(found, func(f model.Assignment) bool {
		given := slices.ContainsFunc(set, func(s model.Assignment) bool {
			return strings.EqualFold(s.Name, f.Name) && s.Name != "IP_LOCAL_PORT_RANGE"
		})
		return !p.Has(f.Name) || given || f.Name == setHZ && f.Value == "0"
	})
	return append(found, set...)
}

// windowsSubject takes the dynamic range of TCP over IPv4 into the profile.
func windowsSubject(v *survey.View, set []model.Assignment, hz int) (s subject, err error) {
	if hz > 0 {
		return s, usagef("--hz is for Linux: Windows ends TIME_WAIT otherwise")
	}
	i := slices.IndexFunc(v.Spaces, func(s pool.Space) bool { return s.Proto == socket.TCP && !s.IPv6 })
	if i < 0 {
		return s, fmt.Errorf("this host has no dynamic range of TCP over IPv4")
	}
	space := &v.Spaces[i]
	p, err := model.Find("windows")
	if err != nil {
		return s, err
	}
	found := []model.Assignment{{Name: "start", Value: itoa(int(space.Range.First))}, {Name: "num", Value: itoa(space.Range.Len())}}
	if space.Excluded.Len() > 0 {
		found = append(found, model.Assignment{Name: "excluded", Value: space.Excluded.String()})
	}
	if r := space.Shared; r != nil {
		found = append(found, model.Assignment{Name: "AutoReusePortRangeStartPort", Value: itoa(int(r.First))},
			model.Assignment{Name: "AutoReusePortRangeNumberOfPorts", Value: itoa(r.Len())})
	}
	if s.pool, err = p.Resolve(merge(p, found, set)); err != nil {
		return s, usageError{err}
	}
	if !slices.ContainsFunc(set, func(s model.Assignment) bool { return strings.EqualFold(s.Name, "TcpTimedWaitDelay") }) {
		s.pool.Wait = model.Bounds{Low: space.HoldMin.Seconds(), High: space.HoldMax.Seconds()}
	}
	s.notes = append(s.notes, "ports that are bound now are not left out: this system does not list them")
	return s, nil
}

// savedPool is one pool of what portroom pools --json wrote.
func savedPool(file, dst string) (s subject, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, fmt.Errorf("--pools: %w", err)
	}
	var all []poolJSON
	if err := json.Unmarshal(text, &all); err != nil {
		return s, fmt.Errorf("--pools %s: want what portroom pools --json writes: %w", file, err)
	}
	i := slices.IndexFunc(all, func(p poolJSON) bool { return p.Proto == "tcp" && p.Ceiling != nil && (dst == "" || p.Dst == dst) })
	if i < 0 && dst != "" {
		return s, fmt.Errorf("--pools %s: there is no TCP pool of %s in it", file, dst)
	}
	if i < 0 {
		return s, fmt.Errorf("--pools %s: %w", file, errNoPool)
	}
	p := &all[i]
	if p.Capacity < 1 || p.Capacity > 65536 || p.Held < 0 || p.Held > p.Capacity || !(*p.Ceiling > 0) {
		return s, fmt.Errorf("--pools %s: the pool of %s cannot be: capacity %d, held %d, ceiling %g", file, clean(p.Dst), p.Capacity, p.Held, *p.Ceiling)
	}
	wait := model.Bounds{Low: p.hold(*p.Ceiling), High: p.hold(*p.Ceiling)}
	if p.CeilingMax > *p.Ceiling {
		wait.Low = p.hold(p.CeilingMax)
	}
	title := fmt.Sprintf("%s → %s as measured", clean(p.Src), clean(p.Dst))
	if p.Dst == "*" {
		s.pool = model.FromHost(title, p.Capacity, wait)
	} else {
		s.pool = model.FromCounts(title, port.Range{}, p.Capacity, wait, model.PerTuple)
	}
	s.held = p.Held
	if p.Held > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%s were held when it was measured: they count where a leak is reckoned, not elsewhere", count(p.Held, "port")))
	}
	if !p.Exact {
		s.notes = append(s.notes, "the measurement has bounds only")
	}
	return s, nil
}

// hold is how long a port was held for, by the ceiling, which has one decimal.
func (p *poolJSON) hold(ceiling float64) float64 {
	h := float64(p.Capacity) / ceiling
	if whole := math.Round(h); whole > 0 && math.Abs(float64(p.Capacity)/whole-ceiling) <= 0.05+1e-9 {
		return whole
	}
	return model.Round(h)
}
