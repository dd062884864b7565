// Package registry is a Windows registry behind one interface, whether it is the
// live one of this machine, a hive file, a .reg file or that of a remote machine.
//
// # Paths
//
// A key is named by its path below the root of the [Store], its parts parted by
// backslashes: `ControlSet001\Services\Tcpip`. The empty path is the root itself.
// Names of keys and values are compared without regard to case, as Windows does,
// and keep the case that they were created with. The empty value name is the
// default value of its key.
//
// # Errors
//
// What is absent is an [AbsentError], for which errors.Is(err, fs.ErrNotExist)
// holds; what one may not do is one for which errors.Is(err, fs.ErrPermission)
// holds.
package registry

import (
	"fmt"
	"io/fs"
	"strings"
)

// A Store is a registry, or a part of one. It is for one goroutine at a time.
//
// Changes are certain to last only after Flush returned nil; a store that cannot
// hold changes back, such as a live registry, makes them at once.
type Store interface {
	// Keys returns the names of the keys directly below a key, in the store's order.
	Keys(path string) ([]string, error)
	// Values returns the values of a key, in the store's order.
	Values(path string) ([]Value, error)
	// Get returns one value of a key.
	Get(path, name string) (Value, error)
	// Create makes a key and those above it that are absent. That the key is
	// there already is no error.
	Create(path string) error
	// Set writes one value of a key that is there.
	Set(path string, v Value) error
	// Delete removes one value.
	Delete(path, name string) error
	// DeleteKey removes a key with everything below it. The root stays.
	DeleteKey(path string) error
	// Flush makes the changes last.
	Flush() error
	// Close lets go of the store; changes that were not flushed are lost where the
	// store held them back.
	Close() error
}

// AbsentError says that a key, or a value of a key that is there, does not exist.
type AbsentError struct {
	Key     string
	Value   string
	IsValue bool // the key is there, the value is not
}

func (e *AbsentError) Error() string {
	if e.IsValue {
		return fmt.Sprintf("value %q of key %q does not exist", e.Value, e.Key)
	}
	return fmt.Sprintf("key %q does not exist", e.Key)
}

// Is makes an AbsentError an [fs.ErrNotExist].
func (e *AbsentError) Is(target error) bool { return target == fs.ErrNotExist }

// NoKey returns the error of a key that is absent.
func NoKey(path string) error { return &AbsentError{Key: path} }

// NoValue returns the error of a value that is absent.
func NoValue(path, name string) error { return &AbsentError{Key: path, Value: name, IsValue: true} }

// Split parts a path into names. Empty parts are dropped.
func Split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '\\' })
}

// Join puts names together to a path, dropping empty ones.
func Join(names ...string) string {
	var parts []string
	for _, n := range names {
		if n = strings.Trim(n, `\`); n != "" {
			parts = append(parts, n)
		}
	}
	return strings.Join(parts, `\`)
}

// Sub returns the part of a store that lies below a key, which need not be there.
// To close it closes the store.
func Sub(s Store, path string) Store {
	if path == "" {
		return s
	}
	return sub{s, path}
}

type sub struct {
	Store
	root string
}

func (s sub) at(path string) string                { return Join(s.root, path) }
func (s sub) Keys(path string) ([]string, error)   { return s.Store.Keys(s.at(path)) }
func (s sub) Values(path string) ([]Value, error)  { return s.Store.Values(s.at(path)) }
func (s sub) Get(path, name string) (Value, error) { return s.Store.Get(s.at(path), name) }
func (s sub) Create(path string) error             { return s.Store.Create(s.at(path)) }
func (s sub) Set(path string, v Value) error       { return s.Store.Set(s.at(path), v) }
func (s sub) Delete(path, name string) error       { return s.Store.Delete(s.at(path), name) }
func (s sub) DeleteKey(path string) error          { return s.Store.DeleteKey(s.at(path)) }
