package hive

import (
	"errors"
	"fmt"
	"time"

	"github.com/portroom/portroom/registry"
)

// The longest names of keys and values, in UTF-16 units, as in Windows ("Registry
// element size limits" of the Windows documentation).
const (
	maxKeyName   = 255
	maxValueName = 16383
)

// prepare makes sure that the hive can be changed. Before the first change the whole
// tree is checked: from then on every cell belongs to one owner, and to release what a
// key has cannot take anything from another.
func (h *Hive) prepare() error {
	switch {
	case h.b == nil:
		return errClosed
	case h.unclean != nil:
		return h.unclean
	case h.free != nil:
		return nil
	}
	t, err := h.walkTree()
	if err != nil {
		return err
	}
	h.keepSecurity = h.checkSecurity(t) != nil
	h.unsorted = t.unsorted
	h.free = newFree(h)
	return nil
}

// Create makes a key and those above it that are absent. New keys have the security
// descriptor of the one above.
func (h *Hive) Create(path string) error {
	return h.changeAt("create", path, func() error {
		names := registry.Split(path)
		k, n, err := h.locate(names)
		if err != nil || n == len(names) {
			return err
		}
		if len(names) > maxDepth {
			return fmt.Errorf("%d keys one below the other: Windows allows %d", len(names), maxDepth)
		}
		var list []name
		for _, s := range names[n:] {
			n, ok := encodeName(s)
			switch {
			case !ok:
				return fmt.Errorf("the name %q is no valid text", s)
			case n.len() > maxKeyName:
				return fmt.Errorf("a name of %d characters: Windows allows %d", n.len(), maxKeyName)
			}
			list = append(list, n)
		}
		off := k.off
		for _, n := range list {
			if off, err = h.addKey(off, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// Set writes one value of a key that is there.
func (h *Hive) Set(path string, v registry.Value) error {
	return h.changeAt("set value of", path, func() error {
		k, err := h.open(path)
		if err != nil {
			return err
		}
		n, ok := encodeName(v.Name)
		switch {
		case !ok:
			return fmt.Errorf("the name %q is no valid text", v.Name)
		case n.len() > maxValueName:
			return fmt.Errorf("a name of %d characters: Windows allows %d", n.len(), maxValueName)
		case k.has(flagPredefined):
			return errors.New("the key stands for a part of the registry that is in no file")
		}
		return h.setValue(k, n, v)
	})
}

// Delete removes one value.
func (h *Hive) Delete(path, name string) error {
	return h.changeAt("delete value of", path, func() error {
		k, err := h.open(path)
		if err != nil {
			return err
		}
		n, ok := encodeName(name)
		if !ok {
			return registry.NoValue(path, name)
		}
		v, i, ok, err := h.find(k, n)
		if err != nil {
			return err
		}
		if !ok {
			return registry.NoValue(path, name)
		}
		return h.removeValue(k.off, v, i)
	})
}

// DeleteKey removes a key with everything below it. Of the root, everything below it
// and its values go; the root stays.
func (h *Hive) DeleteKey(path string) error {
	return h.changeAt("delete", path, func() error {
		k, err := h.open(path)
		if err != nil {
			return err
		}
		return h.removeKey(k)
	})
}

// changeAt carries out one change of a key, and says which one failed.
func (h *Hive) changeAt(what, path string, f func() error) error {
	err := h.change(f)
	var absent *registry.AbsentError
	if err == nil || errors.As(err, &absent) {
		return err
	}
	return fmt.Errorf("%s key %q: %w", what, path, err)
}

// filetime is the time as Windows counts it: since 1601, in 100 ns.
func filetime(t time.Time) uint64 {
	const secondsTo1970 = 11_644_473_600
	return uint64(t.Unix()+secondsTo1970)*10_000_000 + uint64(t.Nanosecond()/100)
}

// stamp says that a key was changed now.
func (h *Hive) stamp(k uint32) {
	now := filetime(time.Now())
	h.write32(k, nkWritten, uint32(now))
	h.write32(k, nkWritten+4, uint32(now>>32))
}

// raise makes a number at least n.
func (h *Hive) raise(k uint32, at int, n uint32) {
	if get32(h.at(k), at) < n {
		h.write32(k, at, n)
	}
}
