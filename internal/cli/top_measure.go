package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/pace"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/top"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// A topMeasurer measures again and again what the screen asks for.
type topMeasurer struct {
	a       *app
	session *survey.Session
	pace    pace.Pace
	self    uint64 // the namespace of this process
	asked   chan top.Request
	request top.Request

	refusals topRefusals
	samples  []*topSample // the last few seconds, oldest first
	owners   map[place][]pool.Owner
	used     time.Duration // of the processor, at the end of the last sample
	usedAt   time.Time     // zero before the first

	namespaces []netns.Namespace // all there are
	listed     time.Time         // when they were
}

// topWindow is over how long rates are measured. In less, a few connections decide; in
// more, what begins is seen late.
const topWindow = 5 * time.Second

// topThorough is how often it is found out at most who holds the ports.
const topThorough = 3 * time.Second

// A topSample is what is kept of a sample, to compare later ones with.
type topSample struct {
	at       time.Time
	scope    top.Scope
	thorough bool // it found out who holds the ports
	*sampling
}

func (a *app) newTopMeasurer(interval time.Duration, scope top.Scope) (*topMeasurer, error) {
	engine := socket.Engine(a.engine)
	if a.noBPF {
		engine = socket.Plain
	}
	session, err := survey.NewSession(engine)
	if err != nil {
		return nil, err
	}
	m := &topMeasurer{
		a: a, session: session, asked: make(chan top.Request, 1), request: top.Request{Scope: scope},
		pace:   pace.Pace{Interval: interval, Share: topShare, Every: topThorough},
		owners: make(map[place][]pool.Owner),
	}
	if self, err := netns.Self(); err == nil {
		m.self = self.ID
	}
	return m, nil
}

// ask has something else measured, at once. Of several requests the last counts.
func (m *topMeasurer) ask(r top.Request) {
	select {
	case <-m.asked:
	default:
	}
	m.asked <- r // only one asks
}

// run measures until ctx ends, which is no error.
func (m *topMeasurer) run(ctx context.Context, send func(*top.Snapshot)) (err error) {
	defer func() { err = errors.Join(err, m.session.Close()) }()
	defer func() { err = errors.Join(err, m.refusals.close()) }()
	if err := m.refusals.start(ctx, m.a.noBPF); err != nil {
		return err
	}
	for {
		begun := time.Now()
		s, err := m.sample(ctx, begun)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s = &top.Snapshot{At: begun, Scope: m.request.Scope, Err: err}
		}
		s.Share = m.cost(begun, err == nil)
		s.Every = m.pace.Next()
		s.Namespaces = m.choices()
		send(s)
		select {
		case <-ctx.Done():
			return nil
		case m.request = <-m.asked:
		case <-time.After(time.Until(begun.Add(s.Every))):
		}
	}
}

// cost tells the pace what has been taken since the last sample, this one and the
// drawing included, and returns which share of one processor that was; 0 for the first,
// which had to set up what all the others use.
func (m *topMeasurer) cost(begun time.Time, thorough bool) float64 {
	now, used := time.Now(), processorTime()
	took, span := used-m.used, now.Sub(m.usedAt)
	first := m.usedAt.IsZero()
	m.used, m.usedAt = used, now
	if first {
		return 0
	}
	m.pace.Took(took, thorough && m.thorough(), begun)
	return took.Seconds() / max(span.Seconds(), 0.001)
}

// list returns the namespaces to measure, and how they are called together.
func (m *topMeasurer) list() ([]netns.Namespace, string, error) {
	if runtime.GOOS != "linux" {
		return []netns.Namespace{{}}, hostName(), nil
	}
	if time.Since(m.listed) >= listEvery {
		all, err := netns.All()
		if err != nil {
			return nil, "", err
		}
		m.namespaces, m.listed = all, time.Now()
	}
	scope := m.request.Scope
	if scope.All {
		return m.namespaces, "all " + strconv.Itoa(len(m.namespaces)) + " network namespaces", nil
	}
	for _, ns := range m.namespaces {
		if ns.ID == scope.ID {
			return []netns.Namespace{ns}, m.called(ns), nil
		}
	}
	// One that --netns names by a path alone.
	if m.a.netns != "" {
		if ns, err := netns.Find(m.a.netns); err == nil && ns.ID == scope.ID {
			return []netns.Namespace{ns}, m.called(ns), nil
		}
	}
	m.listed = time.Time{}
	return nil, "", netns.ErrGone
}

func (m *topMeasurer) called(ns netns.Namespace) string {
	if ns.ID == m.self {
		return hostName()
	}
	return cmp.Or(ns.Label, strconv.FormatUint(ns.ID, 10))
}

// hostName is what this host calls itself.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return name
}

// choices are the namespaces that the screen offers.
func (m *topMeasurer) choices() []top.Namespace {
	list := make([]top.Namespace, len(m.namespaces))
	for i, ns := range m.namespaces {
		list[i] = top.Namespace{ID: ns.ID, Label: m.called(ns)}
	}
	return list
}

// base is the sample that this one is compared with: the oldest in the window.
func (m *topMeasurer) base(now time.Time) *topSample {
	m.samples = slices.DeleteFunc(m.samples, func(s *topSample) bool { return s.scope != m.request.Scope })
	for len(m.samples) > 1 && now.Sub(m.samples[0].at) > topWindow {
		m.samples = m.samples[1:]
	}
	if len(m.samples) == 0 || now.Sub(m.samples[0].at) > linuxTimeWait/2 {
		return nil // what closed since may have left TIME_WAIT again
	}
	return m.samples[0]
}

// thorough reports whether the last sample found out who holds the ports.
func (m *topMeasurer) thorough() bool {
	return len(m.samples) > 0 && m.samples[len(m.samples)-1].thorough
}

// sample measures once.
func (m *topMeasurer) sample(ctx context.Context, begun time.Time) (*top.Snapshot, error) {
	list, where, err := m.list()
	if err != nil {
		return nil, err
	}
	now := &topSample{at: begun, scope: m.request.Scope, sampling: newSampling()}
	base := m.base(begun)
	opt := survey.Options{Namespaces: list}
	// The very first screen is to come soon.
	now.thorough = base != nil && m.pace.Thorough(begun)
	if now.thorough {
		opt.Owners = true
		if opt.Opened, err = m.refusals.opened(); err != nil {
			return nil, err
		}
		clear(m.owners)
	}
	look := newTopLook(m.request.Detail)
	look.choose(&opt)
	opt.Visit = now.note(base, look)
	s := &top.Snapshot{At: begun, Scope: m.request.Scope, Where: where}
	if err := m.refusals.read(begun, list); err != nil {
		return nil, err
	}
	err = m.session.Each(ctx, opt, func(v *survey.View) error {
		m.rows(s, v, now, base)
		look.take(v)
		return nil
	})
	if survey.Vanished(err) {
		m.listed = time.Time{} // look anew
	}
	if err != nil {
		return nil, err
	}
	m.samples = append(m.samples, now)
	sortTop(s.Rows)
	s.Refusals = m.refusals.sum(base)
	s.Detail = look.detail(&m.refusals)
	return s, nil
}
