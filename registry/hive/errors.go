package hive

import (
	"errors"
	"fmt"
)

// ErrNotHive is the error of a file that is no hive at all.
var ErrNotHive = errors.New("not a registry hive: it does not begin with \"regf\"")

// A FormatError says where a hive is damaged, or is no hive that this package knows.
type FormatError struct {
	Offset int64 // in the file, in bytes
	What   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("damaged hive: at byte %d: %s", e.Offset, e.What)
}

// A VersionError says that a hive is of a version that is neither read nor written.
type VersionError struct{ Major, Minor uint32 }

func (e *VersionError) Error() string {
	s := fmt.Sprintf("hive of version %d.%d: want 1.3 to 1.6, of Windows NT 4.0 and later", e.Major, e.Minor)
	if e.Major == 1 && e.Minor < minMinor {
		s += "; this one is of Windows NT 3"
	}
	return s
}

// A DirtyError says that Windows was in the middle of writing a hive.
type DirtyError struct{ Primary, Secondary uint32 } // its sequence numbers

func (e *DirtyError) Error() string {
	return fmt.Sprintf("the hive's sequence numbers differ (%d and %d): Windows was not shut down, or not cleanly; boot it and shut it down, or replay the hive's logs", e.Primary, e.Secondary)
}

// A LogsError says that a log beside a hive holds changes that the hive has not.
type LogsError struct {
	Log      string // path of the log
	Sequence uint32 // number of the log's last change
	Hive     uint32 // number that the hive is at
}

func (e *LogsError) Error() string {
	return fmt.Sprintf("its log %s holds changes that the hive has not (number %d, the hive is at %d): boot that Windows and shut it down, or move the log away if the hive is a restored copy", e.Log, e.Sequence, e.Hive)
}

// A HibernatedError says that a Windows that sleeps on the disk owns the hive.
type HibernatedError struct{ File string } // path of hiberfil.sys

func (e *HibernatedError) Error() string {
	return fmt.Sprintf("%s holds a hibernated Windows, which would overwrite changes: boot it and shut it down fully (shutdown /s /f /t 0, or with the Shift key held: fast startup hibernates, too)", e.File)
}
