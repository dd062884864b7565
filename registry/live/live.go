// Package live is the registry of the Windows that the program runs on.
//
// A key is opened with the rights that a call needs and closed at once: who only
// reads never asks for more than KEY_READ. Programs of 32 and of 64 bits see the
// same, the 64-bit view. Changes are made at once; Flush has Windows write them to
// its disk.
//
// The errors of what one may not do are [io/fs.ErrPermission]: most of
// HKEY_LOCAL_MACHINE can be read by everybody and changed by administrators only.
package live

import (
	"fmt"

	"github.com/portroom/portroom/registry"
)

// Root is one of the keys that Windows always has open.
type Root int

// The roots. The zero one holds the settings of the machine.
const (
	LocalMachine Root = iota
	CurrentUser
	Users
	ClassesRoot
	CurrentConfig
)

var rootNames = [...]string{
	"HKEY_LOCAL_MACHINE", "HKEY_CURRENT_USER", "HKEY_USERS", "HKEY_CLASSES_ROOT", "HKEY_CURRENT_CONFIG",
}

// String returns the name as in winreg.h.
func (r Root) String() string {
	if r < 0 || int(r) >= len(rootNames) {
		return fmt.Sprintf("root key %d", int(r))
	}
	return rootNames[r]
}

// Open returns the part of this system's registry below a root; the paths of the
// store begin below it, as in SYSTEM\CurrentControlSet. On a system that has no
// registry the error wraps [errors.ErrUnsupported].
func Open(root Root) (registry.Store, error) { return open(root) }
