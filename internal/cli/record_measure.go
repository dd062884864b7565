package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/flight"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/record"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/trace"
)

// A measurer turns measurements into samples.
type measurer struct {
	a       *app
	session *survey.Session
	tracer  *trace.Tracer // nil where connects cannot be traced
	before  *trace.Aggregates
	events  []record.Event // for the next sample

	namespaces []netns.Namespace
	listed     time.Time // when they were
	own        bool      // of all namespaces only its own may be entered
	beside     facts.Options
}

// listEvery is how often it is looked for new namespaces: each process is looked at
// for it.
const listEvery = 10 * time.Second

func (a *app) newMeasurer(ctx context.Context) (*measurer, error) {
	engine := socket.Engine(a.engine)
	if a.noBPF {
		engine = socket.Plain
	}
	session, err := survey.NewSession(engine)
	if err != nil {
		return nil, err
	}
	m := &measurer{a: a, session: session}
	why := errors.New("BPF was not to be used")
	if !a.noBPF {
		m.tracer, why = trace.Start(ctx, trace.Options{})
	}
	if why != nil {
		m.tracer = nil
		m.tell(record.EventTrace, "refused connects are not recorded: "+why.Error())
	}
	m.events = append(m.events, record.Event{Kind: record.EventStart, Text: "recording by portroom " + thisVersion().Version})
	return m, nil
}

// tell says something on standard error and in the record.
func (m *measurer) tell(kind, text string) {
	fmt.Fprintln(m.a.stderr, "portroom:", text)
	m.events = append(m.events, record.Event{Kind: kind, Text: text})
}

func (m *measurer) close() error {
	err := m.session.Close()
	if m.tracer != nil {
		err = errors.Join(err, m.tracer.Close())
	}
	return err
}

// list returns the namespaces that are recorded.
func (m *measurer) list() ([]netns.Namespace, error) {
	if time.Since(m.listed) < listEvery && len(m.namespaces) > 0 {
		return m.namespaces, nil
	}
	var err error
	if m.a.netns != "" || m.own || runtime.GOOS != "linux" {
		m.namespaces, err = m.a.namespaces()
	} else {
		m.namespaces, err = netns.All()
	}
	if err != nil {
		return nil, err
	}
	m.listed = time.Now()
	return m.namespaces, nil
}

// measure takes a sample.
func (m *measurer) measure(ctx context.Context, thorough bool) (*record.Sample, error) {
	list, err := m.list()
	if err != nil {
		return nil, err
	}
	opt := survey.Options{Namespaces: list, Owners: thorough, Services: thorough}
	if thorough {
		m.beside = factsOptions(checkFlags{warn: defaultWarn, crit: defaultCrit})
		if m.tracer != nil {
			owners, err := m.tracer.Owners()
			if err != nil {
				return nil, err
			}
			opt.Opened = func(netns uint64, src, dst netip.AddrPort) (pool.Owner, bool) {
				o, ok := owners.Of(netns, src, dst)
				return pool.Owner{PID: o.PID, Command: o.Command, Cgroup: o.Cgroup}, ok
			}
		}
	}
	s := &record.Sample{}
	err = m.session.Each(ctx, opt, func(v *survey.View) error {
		s.Namespaces = append(s.Namespaces, m.namespace(v, thorough))
		return nil
	})
	if errors.Is(err, fs.ErrPermission) && m.a.netns == "" && !m.own {
		m.own, m.listed = true, time.Time{}
		m.tell(record.EventFailed, "only this network namespace is recorded: "+err.Error())
		return m.measure(ctx, thorough)
	}
	if survey.Vanished(err) {
		m.listed = time.Time{}
		if len(s.Namespaces) == 0 && m.a.netns == "" {
			err = flight.ErrNothing
		}
	}
	if err != nil {
		return nil, err
	}
	if s.Refusals, err = m.refusals(); err != nil {
		return nil, err
	}
	s.Events, m.events = m.events, nil
	return s, nil
}

// namespace is what is recorded of one.
func (m *measurer) namespace(v *survey.View, thorough bool) record.Namespace {
	pools := v.Pools()
	f := checkFlags{warn: defaultWarn, crit: defaultCrit}
	worst, bad := levels(pools, f)
	blocked := v.Table.Blocked()
	capacity := v.Range(socket.TCP).Len() - blocked.Total
	if capacity <= 0 {
		worst = levelCritical
	}
	n := record.Namespace{
		ID: v.Namespace.ID, Label: v.Namespace.Label, Range: v.Range(socket.TCP), Blocked: recordBlocked(v, blocked),
		Status: worst.String(), Verdict: verdict(bad, pools, capacity, worst, f), Limited: limitText(v),
		Pools: pools, Holders: thorough, Settings: recordSettings(v), Judged: thorough,
	}
	if thorough {
		for _, found := range finding.Judge(facts.Gather(v, pools, m.beside)) {
			if found.MootBy == "" {
				n.Findings = append(n.Findings, found)
			}
		}
	}
	return n
}

func recordBlocked(v *survey.View, b pool.Blocked) record.Blocked {
	j := jsonBlocked(v)
	out := record.Blocked{Total: b.Total, Kinds: j.Kinds, By: []record.Blocker{}}
	const most = 10
	for _, by := range j.By[:min(len(j.By), most)] {
		out.By = append(out.By, record.Blocker(by))
	}
	return out
}

func recordSettings(v *survey.View) (list []record.Setting) {
	if v.Settings != nil {
		for _, s := range v.Settings.Values {
			if s.Present {
				list = append(list, record.Setting{Name: s.Name, Value: s.Text})
			}
		}
	}
	for i := range v.Spaces {
		s := &v.Spaces[i]
		name := "dynamic range " + s.Proto.String() + " " + spaceFamily(s)
		list = append(list,
			record.Setting{Name: name, Value: s.Range.String()},
			record.Setting{Name: name + " excluded", Value: s.Excluded.String()})
	}
	return list
}

// refusals returns what the kernel counted since the last sample.
func (m *measurer) refusals() ([]record.Refusal, error) {
	if m.tracer == nil {
		return nil, nil
	}
	now, err := m.tracer.Read()
	if err != nil {
		return nil, err
	}
	var only uint64
	if m.a.netns != "" && len(m.namespaces) == 1 {
		only = m.namespaces[0].ID
	}
	var list []record.Refusal
	for _, r := range now.Since(m.before) {
		if only != 0 && r.Netns != only {
			continue
		}
		f := record.Refusal{
			Netns: r.Netns, Key: poolKey(r.Src, r.Dst, r.Ifindex), Errno: "EADDRNOTAVAIL",
			Process: record.Process{PID: r.PID, Command: r.Command, Cgroup: r.Cgroup},
		}
		if r.Refused > 0 {
			f.Count, f.Reason = int(r.Refused), reasonNoPort
			list = append(list, f)
		}
		if r.RefusedBound > 0 {
			f.Count, f.Reason = int(r.RefusedBound), reasonTaken
			list = append(list, f)
		}
	}
	if m.before != nil {
		if n := now.Lost.Refused - m.before.Lost.Refused; n > 0 {
			m.events = append(m.events, record.Event{Kind: record.EventLost,
				Text: count(int(n), "refused connect") + " more, of which is not known whose they were: too many processes and destinations at a time"})
		}
	}
	m.before = now
	return list, nil
}
