package cli

import (
	"context"
	"time"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// rooms measures pools in which connects were refused, at most a tenth of the time:
// a host in trouble has more than enough to do.
type rooms struct {
	a    *app
	next map[uint64]time.Time // when a namespace may be measured again
	all  map[uint64]netns.Namespace
}

// measureShare is the part of the time that may be spent on measuring, 1 to this.
const measureShare = 10

// patience is how long the measuring may keep a line back.
const patience = 2 * time.Second

// fill puts in how many ports are held, where it can be measured. What cannot stays
// unknown: the refusals are what matters.
func (m *rooms) fill(ctx context.Context, list []refusal) {
	if m.next == nil {
		m.next = make(map[uint64]time.Time)
	}
	// The last line before the end is to have its number as well.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	byNetns := make(map[uint64][]*refusal)
	for i := range list {
		byNetns[list[i].Netns] = append(byNetns[list[i].Netns], &list[i])
	}
	for id, refused := range byNetns {
		begun := time.Now()
		if begun.Before(m.next[id]) {
			continue
		}
		ns, ok := m.find(id)
		if !ok {
			m.next[id] = begun.Add(measureShare * time.Second) // it is gone, or hidden
			continue
		}
		opt := survey.Options{Namespaces: []netns.Namespace{ns}, Engine: socket.Engine(m.a.engine)}
		_ = survey.Each(ctx, opt, func(v *survey.View) error {
			for _, r := range refused {
				p := v.Room(r.key)
				r.hold(&p)
			}
			return nil
		})
		m.next[id] = time.Now().Add(measureShare * time.Since(begun))
	}
}

// hold notes what a pool was found to have.
func (r *refusal) hold(p *pool.Pool) {
	held, capacity := p.Held-p.Reusable, p.Capacity
	r.Held, r.Capacity = &held, &capacity
}

// find returns the namespace with this inode number.
func (m *rooms) find(id uint64) (netns.Namespace, bool) {
	if ns, ok := m.all[id]; ok && (ns.Path == "" || ns.Do(func() error { return nil }) == nil) {
		return ns, true
	}
	list, err := netns.All()
	if err != nil {
		return netns.Namespace{}, false
	}
	m.all = make(map[uint64]netns.Namespace, len(list))
	for _, ns := range list {
		m.all[ns.ID] = ns
	}
	ns, ok := m.all[id]
	return ns, ok
}
