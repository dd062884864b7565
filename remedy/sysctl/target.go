package sysctl

import (
	"errors"
	"fmt"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/remedy"
)

// Kind is what the targets of this package are called in the journal.
const Kind = "local"

// A Place is a network namespace whose parameters may be changed.
type Place struct {
	Namespace netns.Namespace
	// First says that the namespace is the one that the system began with: what
	// its /etc/sysctl.d holds is set in it at each start.
	First bool
	Boot  string
}

// PlaceOf learns what must be known of a namespace before something is changed in
// it.
func PlaceOf(ns netns.Namespace) (Place, error) {
	p := Place{Namespace: ns}
	var err error
	if p.First, err = ns.First(); err != nil {
		return p, err
	}
	p.Boot, err = netns.Boot()
	return p, err
}

// Target names the namespace so that another process finds it again.
func (p Place) Target() (remedy.Target, error) {
	t := remedy.Target{Kind: Kind, Name: "this host", Boot: p.Boot}
	if p.First {
		return t, nil // in whatever start of the system
	}
	cookie, err := p.Namespace.Cookie()
	if err != nil {
		return t, err
	}
	t.Path, t.ID, t.Name = pathOf(p.Namespace), cookie, p.Namespace.Label
	if t.Name == "" {
		t.Name = t.Path
	}
	return t, nil
}

// pathOf writes a namespace as the links in /proc do.
func pathOf(ns netns.Namespace) string { return fmt.Sprintf("net:[%d]", ns.ID) }

// Driver returns the driver of the namespace.
func (p Place) Driver(f remedy.Files) *Driver {
	return &Driver{FileDriver: remedy.FileDriver{Files: f}, namespace: p.Namespace, boot: p.Boot}
}

// Open finds the target of an earlier change again. If its namespace is no more,
// the driver says so of each parameter, and still handles its files.
func Open(t remedy.Target, f remedy.Files) (*Driver, error) {
	d := &Driver{FileDriver: remedy.FileDriver{Files: f}}
	var err error
	if d.boot, err = netns.Boot(); err != nil {
		return nil, err
	}
	d.namespace, err = find(t, d.boot)
	if errors.Is(err, netns.ErrGone) {
		d.gone, err = fmt.Errorf("the network namespace %s: %w", t.Name, remedy.ErrGone), nil
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func find(t remedy.Target, boot string) (netns.Namespace, error) {
	first := t.Path == ""
	if !first && t.Boot != boot {
		return netns.Namespace{}, netns.ErrGone
	}
	self, err := netns.Self()
	if err != nil {
		return self, err
	}
	if same(self, t) {
		return self, nil
	}
	all, err := netns.All()
	if err != nil {
		return self, err
	}
	for _, ns := range all[1:] {
		if same(ns, t) {
			return ns, nil
		}
	}
	if first {
		return self, errors.New("the system's first network namespace cannot be reached from here: run it outside of the container")
	}
	return self, netns.ErrGone
}

// same reports whether a namespace is the target's. One that cannot be looked at
// is not.
func same(ns netns.Namespace, t remedy.Target) bool {
	if t.Path == "" {
		first, err := ns.First()
		return err == nil && first
	}
	if pathOf(ns) != t.Path {
		return false
	}
	cookie, err := ns.Cookie()
	return err == nil && cookie == t.ID
}
