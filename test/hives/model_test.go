package hives

import (
	"slices"
	"strings"
	"testing"

	"github.com/portroom/portroom/registry"
)

// A node is a key as it ought to be.
type node struct {
	name   string
	above  *node // nil above the root
	subs   []*node
	values []registry.Value
}

// A model is a hive as it ought to be, and draws what is done to it.
type model struct {
	*source
	root *node
	keys []*node // all of them, the root first

	ops, many, batches int   // what was done: at random, in rows, and how often both
	crowd              *node // has many subkeys
}

func newModel(r *source) *model {
	root := new(node)
	return &model{source: r, root: root, keys: []*node{root}}
}

func (n *node) names() []string {
	if n.above == nil {
		return nil
	}
	return append(n.above.names(), n.name)
}

func (n *node) path() string { return registry.Join(n.names()...) }

func (n *node) depth() int { return len(n.names()) }

// all returns the keys for judges.
func (m *model) all() []Key {
	var out []Key
	for _, n := range m.keys {
		k := Key{Names: n.names(), Values: n.values, Indexed: m.crowd != nil && n.within(m.crowd)}
		for _, s := range n.subs {
			k.Subkeys = append(k.Subkeys, s.name)
		}
		out = append(out, k)
	}
	return out
}

// within reports whether a key is k or lies below it.
func (n *node) within(k *node) bool { return n != nil && (n == k || n.above.within(k)) }

// size is the number of keys from n down.
func (n *node) size() int {
	size := 1
	for _, s := range n.subs {
		size += s.size()
	}
	return size
}

// key draws a key, seldom one of the crowd.
func (m *model) key() *node {
	n := m.keys[m.IntN(len(m.keys))]
	for range 8 {
		if m.crowd == nil || !n.within(m.crowd) {
			break
		}
		n = m.keys[m.IntN(len(m.keys))]
	}
	return n
}

// otherwise writes a name in the other case, at times: it is the same to Windows.
func (m *model) otherwise(name string) string {
	if m.IntN(2) == 0 {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, name)
}

// create makes a key below n, in the store and in the model.
func (m *model) create(t testing.TB, s registry.Store, n *node, name string) *node {
	t.Helper()
	k := &node{name: name, above: n}
	if err := s.Create(k.path()); err != nil {
		t.Fatalf("create %q: %v", k.path(), err)
	}
	n.subs = append(n.subs, k)
	m.keys = append(m.keys, k)
	return k
}

// set writes the value, in the store under a name that may differ in case.
func (m *model) set(t testing.TB, s registry.Store, n *node, v registry.Value) {
	t.Helper()
	at := slices.IndexFunc(n.values, func(o registry.Value) bool { return o.Name == v.Name })
	w := v
	if at >= 0 && v.Name != "" {
		w.Name = m.otherwise(v.Name)
	}
	if err := s.Set(n.path(), w); err != nil {
		t.Fatalf("set %q of %q, %v of %d bytes: %v", w.Name, n.path(), w.Type, len(w.Data), err)
	}
	if at >= 0 {
		n.values[at] = v
	} else {
		n.values = append(n.values, v)
	}
}

// remove deletes a key with all below.
func (m *model) remove(t testing.TB, s registry.Store, n *node) {
	t.Helper()
	if err := s.DeleteKey(n.path()); err != nil {
		t.Fatalf("delete %q: %v", n.path(), err)
	}
	n.above.subs = slices.DeleteFunc(n.above.subs, func(o *node) bool { return o == n })
	gone := make(map[*node]bool)
	var mark func(*node)
	mark = func(n *node) {
		gone[n] = true
		for _, s := range n.subs {
			mark(s)
		}
	}
	mark(n)
	m.keys = slices.DeleteFunc(m.keys, func(o *node) bool { return gone[o] })
}

// do does one random thing to the store and to the model.
func (m *model) do(t testing.TB, s registry.Store) {
	t.Helper()
	m.ops++
	n := m.key()
	switch p := m.IntN(100); {
	case p < 24 || len(m.keys) < 10:
		for n.depth() > 5 {
			n = m.key()
		}
		m.create(t, s, n, m.keyName())
	case p < 62:
		name := ""
		if m.IntN(12) > 0 {
			name = m.valueName()
		}
		m.set(t, s, n, m.value(name))
	case p < 80 && len(n.values) > 0:
		m.set(t, s, n, m.value(n.values[m.IntN(len(n.values))].Name))
	case p < 91 && len(n.values) > 0:
		at := m.IntN(len(n.values))
		name := n.values[at].Name
		if name != "" {
			name = m.otherwise(name)
		}
		if err := s.Delete(n.path(), name); err != nil {
			t.Fatalf("delete %q of %q: %v", name, n.path(), err)
		}
		n.values = slices.Delete(n.values, at, at+1)
	case n.above != nil && n != m.crowd && n.size() < 5:
		m.remove(t, s, n)
	default:
		m.set(t, s, n, m.value(m.valueName()))
	}
}
