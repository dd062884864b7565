package rawvalue

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
	winreg "golang.org/x/sys/windows/registry"

	"github.com/portroom/portroom/registry"
)

// Get reads type and data as they are. The error is the system's.
func Get(k winreg.Key, name string) (registry.Value, error) {
	buf := make([]byte, 256)
	for {
		n, typ, err := k.GetValue(name, buf)
		if err == nil {
			return registry.Value{Name: name, Type: registry.Type(typ), Data: buf[:n]}, nil
		}
		// Another may make the value longer at any time, but not without end: the
		// buffer at least doubles.
		if !errors.Is(err, winreg.ErrShortBuffer) || len(buf) > 1<<30 {
			return registry.Value{}, err
		}
		buf = make([]byte, max(n, 2*len(buf)))
	}
}

var regSetValueEx = windows.NewLazySystemDLL("advapi32.dll").NewProc("RegSetValueExW")

// Set writes type and data as they are, under the name, which is v's own as
// [windows.UTF16PtrFromString] makes it. The error is a [windows.Errno].
func Set(k winreg.Key, name *uint16, v registry.Value) error {
	r, _, _ := regSetValueEx.Call(uintptr(k), uintptr(unsafe.Pointer(name)), 0, uintptr(v.Type),
		uintptr(unsafe.Pointer(unsafe.SliceData(v.Data))), uintptr(len(v.Data)))
	if r != 0 {
		return windows.Errno(r)
	}
	return nil
}
