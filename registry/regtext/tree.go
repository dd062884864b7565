package regtext

import (
	"strings"
	"unicode"
)

// roots are the keys that a path can begin with, and their short names.
var roots = map[string]string{
	"HKLM": "HKEY_LOCAL_MACHINE",
	"HKU":  "HKEY_USERS",
	"HKCU": "HKEY_CURRENT_USER",
	"HKCR": "HKEY_CLASSES_ROOT",
	"HKCC": "HKEY_CURRENT_CONFIG",
}

// maxDepth is how many keys may lie one below the other, as in Windows ("Registry
// element size limits" of the Windows documentation).
const maxDepth = 512

// fold makes names alike that differ in case only.
func fold(name string) string { return strings.Map(unicode.ToUpper, name) }

// names parts a path into the names of its keys; the root gets its long name.
func names(path string) []string {
	list := strings.FieldsFunc(path, func(r rune) bool { return r == '\\' })
	if len(list) > 0 {
		if long, ok := roots[fold(list[0])]; ok {
			list[0] = long
		}
	}
	return list
}

func isRoot(name string) bool {
	for _, long := range roots {
		if fold(name) == long {
			return true
		}
	}
	return false
}

// A node is a key that is there after all instructions of the file.
type node struct {
	name     string
	parent   *node   // nil for the node above all roots
	order    []*node // children as the file names them, and those that were cut
	dead     int     // how many of them were cut
	byName   map[string]*node
	cutOff   bool
	sections []*Key // that make it; none if a key below does
}

// few is how many children are looked through one by one. Most keys have so few,
// and a map costs a hundred times the memory of their names in the file.
const few = 8

func (n *node) child(name string) *node {
	name = fold(name)
	if n.byName != nil {
		return n.byName[name]
	}
	for _, c := range n.order {
		if !c.cutOff && fold(c.name) == name {
			return c
		}
	}
	return nil
}

// childless reports whether no key is below.
func (n *node) childless() bool { return len(n.order) == n.dead }

func (n *node) add(c *node) {
	n.order = append(n.order, c)
	switch {
	case n.byName != nil:
		n.byName[fold(c.name)] = c
	case len(n.order) > few:
		n.byName = make(map[string]*node)
		for _, c := range n.live() {
			n.byName[fold(c.name)] = c
		}
	}
}

// grow returns the node at a path below n and makes it if need be.
func (n *node) grow(path []string) *node {
	for _, name := range path {
		c := n.child(name)
		if c == nil {
			c = &node{name: name, parent: n}
			n.add(c)
		}
		n = c
	}
	return n
}

// find returns the node at a path below n, or nil.
func (n *node) find(path []string) *node {
	for _, name := range path {
		if n = n.child(name); n == nil {
			return nil
		}
	}
	return n
}

// cut takes the node out of the tree. Its parent's list is tidied only once half of
// it is dead, for a file may name and delete very many keys.
func (n *node) cut() {
	p := n.parent
	delete(p.byName, fold(n.name))
	n.cutOff = true
	if p.dead++; 2*p.dead > len(p.order) {
		p.order, p.dead = p.live(), 0
	}
}

// live returns the children in the order of the file.
func (n *node) live() []*node {
	list := make([]*node, 0, len(n.order)-n.dead)
	for _, c := range n.order {
		if !c.cutOff {
			list = append(list, c)
		}
	}
	return list
}

// each calls f for the node and all below it.
func (n *node) each(f func(*node)) {
	f(n)
	for _, c := range n.live() {
		c.each(f)
	}
}

// value returns the last word on a value, or nil if there is none.
func (n *node) value(name string) *Entry {
	name = fold(name)
	for i := len(n.sections) - 1; i >= 0; i-- {
		for j := len(n.sections[i].Entries) - 1; j >= 0; j-- {
			if e := &n.sections[i].Entries[j]; fold(e.Name) == name {
				return e
			}
		}
	}
	return nil
}

// tree carries out the file's instructions.
func (f *File) tree() *node {
	root := new(node)
	for _, k := range f.Keys {
		path := names(k.Path)
		if !k.Deleted {
			n := root.grow(path)
			n.sections = append(n.sections, k)
		} else if n := root.find(path); n != nil && n != root {
			n.cut()
		}
	}
	return root
}
