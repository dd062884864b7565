package nt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/portroom/portroom/registry"
)

// A Machine is the part of a Windows registry that says which system it is and
// what its TCP/IP is set to.
type Machine struct {
	// System is HKEY_LOCAL_MACHINE\SYSTEM, or the hive file of that name.
	System registry.Store
	// Software is HKEY_LOCAL_MACHINE\SOFTWARE. It may be nil: the product is then
	// named as far as System tells.
	Software registry.Store
}

// A ControlSet is the set of drivers and services that a system runs with.
type ControlSet struct {
	// Key is its path in SYSTEM, such as "ControlSet001".
	Key string
	// Number is that of the key, 0 for CurrentControlSet where nothing tells which
	// it stands for.
	Number int
	// Next is the number of the set that the next boot will take, as far as
	// Select\Default says so; else 0.
	Next int
}

// currentControlSet is the link that Windows makes when it starts. Hive files do
// not have it; live registries and exports of them do.
const currentControlSet = "CurrentControlSet"

// ControlSet finds the current control set: the one that Select\Current names,
// else CurrentControlSet, else the only one there is. A registry in which none of
// these finds a set is an error.
//
// Select goes first because it is right everywhere, and because some servers of
// remote registries show a CurrentControlSet of their own making.
func (m Machine) ControlSet() (ControlSet, error) {
	keys, err := m.System.Keys("")
	if err != nil {
		return ControlSet{}, fmt.Errorf("find the control set: %w", err)
	}
	sel, err := readKey(m.System, "Select")
	if err != nil {
		return ControlSet{}, fmt.Errorf("find the control set: %w", err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, name) })
	}
	next := 0
	if n, ok := sel.number("Default"); ok && n >= 1 && n <= 999 {
		next = int(n)
	}
	current, selected := sel.number("Current")
	// Control sets are named by three digits; no other number can be meant.
	if selected && current >= 1 && current <= 999 && has(setName(int(current))) {
		return ControlSet{setName(int(current)), int(current), next}, nil
	}
	if has(currentControlSet) {
		return ControlSet{Key: currentControlSet, Next: next}, nil
	}
	var sets []string
	for n := 1; n <= 999 && len(keys) > 0; n++ {
		if name := setName(n); has(name) {
			sets = append(sets, name)
		}
	}
	switch {
	case selected:
		return ControlSet{}, fmt.Errorf(
			`find the control set: Select\Current is %d, but there is no %s%s: the registry is damaged or not whole`,
			current, fmt.Sprintf("ControlSet%03d", current), only(sets))
	case len(sets) == 1:
		var n int
		_, _ = fmt.Sscanf(sets[0], "ControlSet%d", &n) // made by setName
		return ControlSet{sets[0], n, next}, nil
	case len(sets) > 1:
		return ControlSet{}, fmt.Errorf(
			`find the control set: there is no Select\Current to say which of %s is current: want a registry with the key Select, or with one control set`,
			strings.Join(sets, ", "))
	}
	return ControlSet{}, errors.New(
		`find the control set: there is neither Select\Current nor CurrentControlSet nor a ControlSet001: want a SYSTEM hive or an export of HKEY_LOCAL_MACHINE\SYSTEM`)
}

func setName(n int) string { return fmt.Sprintf("ControlSet%03d", n) }

func only(sets []string) string {
	if len(sets) == 0 {
		return ""
	}
	return " (only " + strings.Join(sets, ", ") + ")"
}

// key holds the values of one key by name in lower case; nil for an absent key.
type key map[string]registry.Value

// readKey reads all values of a key at once, which is one call instead of many
// where the registry is remote. An absent key has no values.
func readKey(s registry.Store, path string) (key, error) {
	if s == nil {
		return nil, nil
	}
	list, err := s.Values(path)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	k := make(key, len(list))
	for _, v := range list {
		k[strings.ToLower(v.Name)] = v
	}
	return k, nil
}

// get returns a value by name.
func (k key) get(name string) (registry.Value, bool) {
	v, ok := k[strings.ToLower(name)]
	return v, ok
}

// number returns a REG_DWORD; a value of another type counts as none.
func (k key) number(name string) (uint32, bool) {
	v, ok := k.get(name)
	if !ok {
		return 0, false
	}
	n, err := v.Uint32()
	return n, err == nil
}

// text returns a REG_SZ without blanks at its ends; a value of another type
// counts as an empty one. It is cut to what fits on a line, because hives come
// from anywhere.
func (k key) text(name string) string {
	v, ok := k.get(name)
	if !ok {
		return ""
	}
	s, err := v.Text()
	if err != nil {
		return ""
	}
	return shorten(strings.TrimSpace(s))
}

// lines returns a REG_MULTI_SZ; a value of another type counts as an empty one.
func (k key) lines(name string) []string {
	v, ok := k.get(name)
	if !ok {
		return nil
	}
	list, err := v.Strings()
	if err != nil {
		return nil
	}
	return list
}

// shorten cuts text from outside to what fits into a sentence.
func shorten(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// exists reports whether a key is there.
func exists(s registry.Store, path string) (bool, error) {
	_, err := s.Keys(path)
	if absent(err) {
		return false, nil
	}
	return err == nil, err
}

func absent(err error) bool {
	var a *registry.AbsentError
	return errors.As(err, &a)
}
