package regtext

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/portroom/portroom/internal/atomicfile"
	"github.com/portroom/portroom/registry"
)

// MaxSize is the size, in bytes, of the largest file that [Open] reads: all of
// it is held in memory. The export of a whole registry has some 400 MB.
const MaxSize = 1 << 29

// A Store is what an empty registry would be after a file's instructions. Its paths
// begin with a root key, HKEY_LOCAL_MACHINE or HKLM for short. What the file
// deletes is absent, as is what it does not name.
//
// Changes change the instructions: the order of all others and the comments stay
// as they are. A value or key that is deleted is no longer named by the file; it
// does not become an instruction to delete it.
type Store struct {
	file  *File
	path  string // "" if there is no file to write to
	seen  os.FileInfo
	root  *node
	dirty bool

	replace Replacer
}

var _ registry.Store = (*Store)(nil)

// Open reads the file at path.
func Open(path string) (*Store, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read .reg file: %w", err)
	}
	defer f.Close()
	seen, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read .reg file: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read .reg file: %w", err)
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("read .reg file %s: it is larger than %d bytes: export only the keys that are needed", path, MaxSize)
	}
	file, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read .reg file %s: %w", path, err)
	}
	s := NewStore(file)
	s.path, s.seen = path, seen
	return s, nil
}

// NewStore returns the registry after the instructions of f, which the store
// changes from then on. Flush does nothing.
func NewStore(f *File) *Store { return &Store{file: f, root: f.tree()} }

// File returns the file as it would be written.
func (s *Store) File() *File { return s.file }

func (s *Store) find(path string) (*node, error) {
	n := s.root.find(names(path))
	if n == nil {
		return nil, registry.NoKey(path)
	}
	return n, nil
}

// Keys returns the names of the keys directly below a key, in the file's order.
func (s *Store) Keys(path string) ([]string, error) {
	n, err := s.find(path)
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, len(n.order)-n.dead)
	for _, c := range n.live() {
		list = append(list, c.name)
	}
	return list, nil
}

// Values returns the values of a key, in the file's order.
func (s *Store) Values(path string) ([]registry.Value, error) {
	n, err := s.find(path)
	if err != nil {
		return nil, err
	}
	var order []*Entry // the last word on each value, nil for one that is deleted
	at := make(map[string]int)
	for _, k := range n.sections {
		for i := range k.Entries {
			e := &k.Entries[i]
			name := fold(e.Name)
			j, ok := at[name]
			switch {
			case ok && e.Deleted:
				order[j] = nil
				delete(at, name)
			case ok:
				order[j] = e
			case !e.Deleted:
				at[name] = len(order)
				order = append(order, e)
			}
		}
	}
	list := make([]registry.Value, 0, len(at))
	for _, e := range order {
		if e != nil {
			list = append(list, clone(e.Value))
		}
	}
	return list, nil
}

func clone(v registry.Value) registry.Value {
	v.Data = bytes.Clone(v.Data)
	return v
}

// Get returns one value of a key.
func (s *Store) Get(path, name string) (registry.Value, error) {
	n, err := s.find(path)
	if err != nil {
		return registry.Value{}, err
	}
	e := n.value(name)
	if e == nil || e.Deleted {
		return registry.Value{}, registry.NoValue(path, name)
	}
	return clone(e.Value), nil
}

// Create makes a key and those above it that are absent. Each is named by the file
// on its own: not every reader makes those above.
func (s *Store) Create(path string) error {
	list := names(path)
	if len(list) == 0 || s.root.find(list) != nil {
		return nil
	}
	if !isRoot(list[0]) {
		return fmt.Errorf("create key %q in .reg file: the path does not begin with a root key such as HKEY_LOCAL_MACHINE", path)
	}
	if err := s.file.checkPath(registry.Join(list...)); err != nil {
		return fmt.Errorf("create key in .reg file: %w", err)
	}
	n := s.root
	for i, name := range list {
		c := n.child(name)
		if c == nil {
			c = n.grow([]string{name})
			if i > 0 {
				s.name(c)
			}
		}
		n = c
	}
	s.dirty = true
	return nil
}

// name adds the instruction that makes a key.
func (s *Store) name(n *node) {
	var list []string
	for up := n; up.parent != nil; up = up.parent {
		list = append(list, up.name)
	}
	slices.Reverse(list)
	k := &Key{Path: registry.Join(list...)}
	n.sections = append(n.sections, k)
	s.file.Keys = append(s.file.Keys, k)
}

// Set writes one value of a key that is there.
func (s *Store) Set(path string, v registry.Value) error {
	n, err := s.find(path)
	if err != nil {
		return err
	}
	if n == s.root {
		return fmt.Errorf("set value %q in .reg file: the path does not begin with a root key such as HKEY_LOCAL_MACHINE", v.Name)
	}
	if err := s.file.checkValue(v); err != nil {
		return fmt.Errorf("set value of key %q in .reg file: %w", path, err)
	}
	v = clone(v)
	s.dirty = true
	if e := n.value(v.Name); e != nil {
		v.Name = e.Name
		e.Value, e.Deleted = v, false
		return nil
	}
	if len(n.sections) == 0 {
		s.name(n)
	}
	k := n.sections[len(n.sections)-1]
	k.Entries = append(k.Entries, Entry{Value: v})
	return nil
}

// Delete removes one value.
func (s *Store) Delete(path, name string) error {
	n, err := s.find(path)
	if err != nil {
		return err
	}
	if e := n.value(name); e == nil || e.Deleted {
		return registry.NoValue(path, name)
	}
	name = fold(name)
	for _, k := range n.sections {
		k.Entries = slices.DeleteFunc(k.Entries, func(e Entry) bool { return fold(e.Name) == name })
	}
	s.dirty = true
	return nil
}

// DeleteKey removes a key with everything below it. The root of all stays.
func (s *Store) DeleteKey(path string) error {
	n, err := s.find(path)
	if err != nil {
		return err
	}
	gone := make(map[*Key]bool)
	n.each(func(n *node) {
		for _, k := range n.sections {
			gone[k] = true
		}
	})
	s.file.Keys = slices.DeleteFunc(s.file.Keys, func(k *Key) bool { return gone[k] })
	s.dirty = true
	if n == s.root {
		s.root = new(node)
		return nil
	}
	n.cut()
	// The key above is still there, even if only this one said so. A root key needs
	// nobody to say so.
	if up := n.parent; up.childless() && len(up.sections) == 0 && up.parent != nil && up.parent.parent != nil {
		s.name(up)
	}
	return nil
}

// Flush writes the file in the form that it was read in, if there are changes.
// Another file takes the old one's place only when it is complete. A file that
// somebody else has changed since it was read is left alone, with an error.
func (s *Store) Flush() error {
	if !s.dirty || s.path == "" {
		return nil
	}
	b, err := s.file.Print()
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	replace := s.replace
	if replace == nil {
		replace = atomicfile.Replace
	}
	seen, err := replace(s.path, b, s.seen)
	if err != nil {
		return fmt.Errorf("write .reg file %s: %w", s.path, err)
	}
	s.seen = seen
	s.dirty = false
	return nil
}

// A Replacer puts a file in place of the one at path if that is still as it was when
// seen was made of it, and returns what seen is for the new file.
type Replacer func(path string, b []byte, seen os.FileInfo) (os.FileInfo, error)

// ReplaceBy makes Flush write the file by another way than the package's own, which
// keeps either the old or the new content whatever happens: another must, too.
func (s *Store) ReplaceBy(r Replacer) { s.replace = r }

// Close drops changes that were not flushed.
func (s *Store) Close() error {
	s.root = new(node)
	return nil
}

// Write writes f to a new file at path, readable by its owner only. A file that
// is there is not replaced: the error is an [fs.ErrExist].
func (f *File) Write(path string) error {
	b, err := f.Print()
	if err != nil {
		return err
	}
	if err := atomicfile.New(path, b); err != nil {
		return fmt.Errorf("write .reg file %s: %w", path, err)
	}
	return nil
}
