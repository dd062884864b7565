// Package regtext reads and writes .reg files, the text form of a Windows
// registry that regedit and reg import and export.
//
// # Two versions
//
// A file that begins with `REGEDIT4` is of Windows 95 and NT 4.0; every later
// regedit reads it. Its text is in the ANSI code page of the machine that wrote it,
// which it does not name: this package takes it for Windows-1252, the code page of
// Western European and American systems. The bytes of hex(1), hex(2) and hex(7) are
// ANSI text, too.
//
// A file that begins with `Windows Registry Editor Version 5.00` is of Windows 2000
// and later. regedit writes it in UTF-16LE with a byte order mark. Files that an
// editor saved as UTF-8 are read as well; [Form] says what was found, and a file is
// written as it was read. The bytes of its hex values are taken for what they were
// before it was saved so: UTF-16LE. Beware that regedit takes a file without a mark
// for ANSI, and that Wine's then takes the bytes of hex(2) and hex(7) for ANSI, too.
//
// # What a file is
//
// A [File] is a list of instructions in the order in which they are carried out:
// make a key, delete a key, set a value, delete a value. [Store] is the registry
// that an empty one would be after them.
//
// Parse and print are each other's inverse for files laid out as regedit does it.
// Comments are kept; one behind an instruction moves to the line above it.
//
// Windows allows halves of surrogate pairs in names. They are kept, as the three
// bytes that UTF-8 would use if it had them, and written back as they were; such a
// name is no valid UTF-8.
package regtext

import (
	"strings"

	"github.com/portroom/portroom/registry"
)

// A File is a .reg file. The zero File is an empty one as regedit writes it.
type File struct {
	Form
	Keys []*Key
	End  []string // comments after the last instruction
}

// A Key is a key with what is done to its values, or one that is deleted with
// everything below it.
type Key struct {
	Path     string   // from the root on: HKEY_LOCAL_MACHINE\SYSTEM\Select
	Deleted  bool     // [-HKEY_LOCAL_MACHINE\…]; then there are no entries
	Entries  []Entry  // in the order of the file
	Comments []string // the lines above, each with its semicolon
}

// An Entry is a value that is set, or deleted: then only its name counts.
type Entry struct {
	registry.Value
	Deleted  bool     // "name"=-
	Comments []string // the lines above, each with its semicolon
}

// Create adds that a key is made.
func (f *File) Create(path string) { f.section(path) }

// DeleteKey adds that a key is deleted with everything below it.
func (f *File) DeleteKey(path string) {
	f.Keys = append(f.Keys, &Key{Path: path, Deleted: true})
}

// Set adds that a value is set. Its key is made if need be.
func (f *File) Set(path string, v registry.Value) {
	k := f.section(path)
	k.Entries = append(k.Entries, Entry{Value: v})
}

// Delete adds that a value is deleted. regedit makes its key if need be.
func (f *File) Delete(path, name string) {
	k := f.section(path)
	k.Entries = append(k.Entries, Entry{Value: registry.Value{Name: name}, Deleted: true})
}

// section returns the last key if it is the one at path, or adds it.
func (f *File) section(path string) *Key {
	if n := len(f.Keys); n > 0 && !f.Keys[n-1].Deleted && strings.EqualFold(f.Keys[n-1].Path, path) {
		return f.Keys[n-1]
	}
	k := &Key{Path: path}
	f.Keys = append(f.Keys, k)
	return k
}
