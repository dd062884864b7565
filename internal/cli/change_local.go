package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/emit"
	"github.com/portroom/portroom/remedy/sysctl"
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
	now, err := a.localFacts(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &sysctl.Facts{Settings: now.Settings, Claims: now.Claims, SSH: sshPort("/")}
	set, none, err := assignments(now, r, want)
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	if set, p.Notes, p.Risks, err = r.Protect(set); err != nil {
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
		if err := a.gains(ctx, now, set, p); err != nil {
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

// localFacts measures a namespace as check does.
func (a *app) localFacts(ctx context.Context) (f *finding.Facts, err error) {
	beside := factsOptions(checkFlags{})
	err = a.survey(ctx, survey.Options{Owners: true, Services: true}, func(v *survey.View) error {
		f = facts.Gather(v, v.Pools(), beside)
		return nil
	})
	return f, err
}

// assignments turns a request into what is to be set; none says why that is
// nothing.
func assignments(f *finding.Facts, r *sysctl.Facts, want request) (set []sysctl.Assignment, none string, err error) {
	for _, v := range want.values {
		s, err := sysctl.Parse(r.Settings, v)
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
		if names, none = choose(f, sysctl.Remedies); len(names) == 0 && none == "" {
			none = fmt.Sprintf("nothing to fix: no pool is held to %d%%, and the range %s collides with nobody", finding.DefaultWarn, f.Settings.Range)
		}
	}
	set, err = r.Fix(names)
	if err != nil {
		err = usageError{err}
	}
	return set, none, err
}

// choose takes the remedies of what portroom check finds; none says what is wrong that
// no remedy mends, "" when nothing is.
func choose(f *finding.Facts, can []string) (names []string, none string) {
	found := finding.Judge(f)
	if names = f.Choose(found, can); len(names) > 0 {
		return names, ""
	}
	left := finding.Unanswered(found, nil)
	if left == nil {
		return nil, ""
	}
	none = fmt.Sprintf("nothing that portroom fix does helps against %s %s", left.Code, left.Title)
	if len(left.Remedies) > 0 {
		none += "; what helps: " + remedyText(&left.Remedies[0])
	}
	return nil, none
}

// gains measures once more, as if the plan were carried out: what the tightest
// pools will give, and which will give nothing any more.
func (a *app) gains(ctx context.Context, f *finding.Facts, set []sysctl.Assignment, p *remedy.Proposal) error {
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
			was := f.Settings.Range.Len() - f.Blocked.Total
			p.Gains = []remedy.Gain{{Pool: "each destination", Before: empty(was, f.Settings), After: empty(capacity, v.Settings)}}
		}
		switch {
		case capacity <= 0 && f.Settings.Range.Len() > f.Blocked.Total:
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
