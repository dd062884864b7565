package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/emit"
	"github.com/portroom/portroom/remedy/sysctl"
	"github.com/portroom/portroom/socket"
)

// shownGains is how many pools a plan shows the gain of.
const shownGains = 5

func openLocal(_ context.Context, a *app, f *changeFlags, t remedy.Target) (remedy.Driver, error) {
	return sysctl.Open(t, a.journalOptions(context.Background(), f).Files)
}

// proposeLocal plans a change of a namespace of this Linux host.
func proposeLocal(ctx context.Context, a *app, f *changeFlags, _ target.Target, want request) (*remedy.Proposal, remedy.Driver, error) {
	list, err := a.namespaces()
	if err != nil {
		return nil, nil, err
	}
	place, err := sysctl.PlaceOf(list[0])
	if err != nil {
		return nil, nil, err
	}
	p := &remedy.Proposal{System: string(emit.Linux)}
	if p.Plan.Target, err = place.Target(); err != nil {
		return nil, nil, err
	}
	where := sysctl.Scope{Running: f.only != onlyPermanent, Root: f.root}
	sealed := ""
	if where.Root == "" && place.First && f.only != onlyRunning {
		if sealed = container(); sealed == "" {
			where.Root = "/"
		}
	}
	if !where.Running && sealed != "" {
		return nil, nil, errors.New("--only permanent: " + sealed)
	}
	if !where.Running && where.Root == "" {
		return nil, nil, errors.New("--only permanent: this system's files are not read when this network namespace starts; --root names the root of one that has its own")
	}
	facts, err := a.localFacts(ctx, place)
	if err != nil {
		return nil, nil, err
	}
	set, none, err := assignments(facts, want)
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	if set, p.Notes, p.Risks, err = facts.Protect(set); err != nil {
		return nil, nil, err
	}
	d := place.Driver(a.journalOptions(ctx, f).Files)
	if p.Plan.Steps, notes, err = d.Steps(set, where); err != nil {
		return nil, nil, err
	}
	p.Plan.Title = sysctl.Title(set)
	p.Notes = append(p.Notes, notes...)
	if len(p.Plan.Steps) == 0 {
		if none == "" {
			none = "nothing to change: it is so already"
		}
		p.Notes, p.Risks = append(p.Notes, none), nil
		return p, d, nil
	}
	if where.Running {
		if err := a.gains(ctx, facts, set, p); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case sealed != "":
		p.Notes = append(p.Notes, sealed)
	case where.Root == "" && !place.First:
		p.Notes = append(p.Notes, sysctl.Advice(place.Namespace.Label, set)...)
	}
	return p, d, nil
}

// assignments turns a request into what is to be set; none says why that is
// nothing.
func assignments(f *sysctl.Facts, want request) (set []sysctl.Assignment, none string, err error) {
	for _, v := range want.values {
		s, err := sysctl.Parse(f.Settings, v)
		if err != nil {
			return nil, "", usageError{err}
		}
		if slices.ContainsFunc(set, func(o sysctl.Assignment) bool { return o.Name == s.Name }) {
			return nil, "", usagef("%s is given twice: want one value", s.Name)
		}
		set = append(set, s)
	}
	if want.values != nil {
		return set, "", nil
	}
	names := want.remedies
	if len(names) == 0 {
		names, none = f.Choose()
	}
	set, err = f.Fix(names)
	if err != nil {
		err = usageError{err}
	}
	return set, none, err
}

// localFacts measures a namespace as far as remedies are chosen by it.
func (a *app) localFacts(ctx context.Context, place sysctl.Place) (*sysctl.Facts, error) {
	f := &sysctl.Facts{SSH: sshPort("/")}
	err := a.survey(ctx, survey.Options{Owners: true, Services: true}, func(v *survey.View) error {
		s := *v.Settings
		f.Settings, f.Pools, f.Blocked = &s, v.Pools(), v.Table.Blocked().Total
		for _, h := range v.Services {
			// A UDP socket on a port of the range has most likely been given it.
			if h.Proto == socket.UDP && s.Range.Contains(h.SrcPort) {
				continue
			}
			by := h.Proto.String()
			if h.Owner.PID > 0 {
				by = fmt.Sprintf("%s[%d]", h.Owner.Command, h.Owner.PID)
			}
			f.Claims = append(f.Claims, claim.Claim{Kind: claim.Listening, Ports: port.Range{First: h.SrcPort, Last: h.SrcPort}, By: by})
		}
		return nil
	})
	if err != nil || !place.First {
		return f, err
	}
	units, err := claim.Units("/")
	var listening port.Set
	for _, c := range f.Claims {
		listening.AddRange(c.Ports)
	}
	for _, c := range units {
		if listening.LenIn(c.Ports) == 0 {
			f.Claims = append(f.Claims, c)
		}
	}
	f.Claims = append(f.Claims, claim.NodePorts("/")...)
	return f, err
}

// gains measures once more, as if the plan were carried out: what the tightest
// pools will give, and which will give nothing any more.
func (a *app) gains(ctx context.Context, f *sysctl.Facts, set []sysctl.Assignment, p *remedy.Proposal) error {
	suppose := func(s *host.Settings) error { return sysctl.Suppose(s, set) }
	return a.survey(ctx, survey.Options{Suppose: suppose}, func(v *survey.View) error {
		capacity := v.Settings.Range.Len() - v.Table.Blocked().Total
		var dry []string
		for i := range f.Pools {
			before := &f.Pools[i]
			after := v.Room(before.Key)
			if i < shownGains {
				p.Gains = append(p.Gains, remedy.Gain{Pool: poolName(before.Key), Before: roomOf(before), After: roomOf(&after)})
			}
			if before.HeadroomMax > 0 && after.HeadroomMax == 0 {
				dry = append(dry, poolName(before.Key))
			}
		}
		if len(f.Pools) == 0 {
			was := f.Settings.Range.Len() - f.Blocked
			p.Gains = []remedy.Gain{{Pool: "each destination", Before: empty(was, f.Settings), After: empty(capacity, v.Settings)}}
		}
		switch {
		case capacity <= 0 && f.Settings.Range.Len() > f.Blocked:
			p.Risks = append(p.Risks, remedy.Risk{Name: sysctl.FewerPorts, Text: "no port is left to any destination after this: every connect() will fail"})
		case len(dry) > 0:
			text := dry[0] + " has no port left after this: connects there will fail"
			if n := len(dry) - 1; n > 0 {
				text = fmt.Sprintf("%s and %s have no port left after this: connects there will fail", dry[0], count(n, "more pool"))
			}
			p.Risks = append(p.Risks, remedy.Risk{Name: sysctl.FewerPorts, Text: text})
		}
		return nil
	})
}

func roomOf(p *pool.Pool) remedy.Room {
	return remedy.Room{
		Capacity: p.Capacity, Headroom: p.Headroom, HeadroomMax: p.HeadroomMax, Exact: p.Exact(),
		Ceiling: round1(p.CeilingPerSecond),
	}
}

// empty is the room of a TCP pool without connections, off loopback.
func empty(capacity int, s *host.Settings) remedy.Room {
	capacity = max(0, capacity)
	hold := 60.0 // TCP_TIMEWAIT_LEN
	if s.TWReuse == 1 && s.Timestamps != 0 {
		hold = s.TWReuseDelay.Seconds()
	}
	return remedy.Room{Capacity: capacity, Headroom: capacity, HeadroomMax: capacity, Exact: true, Ceiling: round1(float64(capacity) / hold)}
}

// container says, in the system's own network namespace, why the files in sight
// are not those that it starts with; "" when they are.
func container() string {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return mark + " says that this is a container, and the network is the host's: what is set holds until the host's next start, and its /etc is not in sight here. --root names the host's files where they are mounted, or / if these are they"
		}
	}
	return ""
}
