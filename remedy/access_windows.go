package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mkdir makes a directory. One that is for its owner only gets an access list that
// says so from its first instant on: ProgramData lets every user put files into the
// directories below it.
func mkdir(path string, mode fs.FileMode) error {
	if mode.Perm() != 0o700 {
		return os.Mkdir(path, mode)
	}
	me, err := user()
	if err != nil {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + me.String() + ")")
	if err != nil {
		return fmt.Errorf("make the access list of %s: %w", path, err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	sa := &windows.SecurityAttributes{SecurityDescriptor: sd}
	sa.Length = uint32(unsafe.Sizeof(*sa))
	if err := windows.CreateDirectory(name, sa); err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

// user is who runs this process.
func user() (*windows.SID, error) {
	u, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("find out who runs this: %w", err)
	}
	return u.User.Sid, nil
}

const deleteChild = 0x40 // FILE_DELETE_CHILD of winnt.h

// changing are the rights by which somebody could put a journal into a directory.
const changing = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | deleteChild |
	windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL

// private refuses a directory that belongs to somebody else, or that others may
// write to: they could put a journal there that makes an undo write what they like.
// Administrators and the system itself are trusted.
func private(path string, _ fs.FileInfo) error {
	me, err := user()
	if err != nil {
		return err
	}
	trusted := []*windows.SID{me}
	for _, t := range []windows.WELL_KNOWN_SID_TYPE{windows.WinBuiltinAdministratorsSid, windows.WinLocalSystemSid, windows.WinCreatorOwnerRightsSid} {
		// What a system does not know, no access list of its names.
		if sid, err := windows.CreateWellKnownSid(t); err == nil {
			trusted = append(trusted, sid)
		}
	}
	is := func(sid *windows.SID) bool {
		for _, t := range trusted {
			if windows.EqualSid(t, sid) {
				return true
			}
		}
		return false
	}
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("who may write to %s cannot be told: %w", path, err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return fmt.Errorf("whose %s is cannot be told: %w", path, err)
	}
	if !is(owner) {
		return fmt.Errorf("%s belongs to %s, who could change the journal: want a directory of your own", path, owner)
	}
	list, _, err := sd.DACL()
	switch {
	case errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) || err == nil && list == nil:
		return fmt.Errorf("%s may be written by everybody, who could change the journal: want a directory of your own", path)
	case err != nil:
		return fmt.Errorf("who may write to %s cannot be told: %w", path, err)
	}
	for i := range list.AceCount {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, uint32(i), &ace); err != nil {
			return fmt.Errorf("who may write to %s cannot be told: %w", path, err)
		}
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 || ace.Mask&changing == 0 {
			continue
		}
		if sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart)); !is(sid) {
			return fmt.Errorf("%s may be written by %s, who could change the journal: want a directory of your own", path, sid)
		}
	}
	return nil
}
