// Package winreg changes what decides about source ports on Windows: values of a
// registry, wherever it lies, and on a running system what netsh and PowerShell
// set. It makes the plans and carries them out for package remedy.
//
// # Plans
//
// A [Request] is what is known of a system; [Request.Set] makes the steps that set
// named values, [Request.Fix] those of named remedies. A value that is out of the
// range of Microsoft's articles is refused with the range and the article, and so
// is one that stands in a place where a value of another type is: somebody else
// wrote that, and what Windows makes of it is not documented.
//
// # Drivers
//
// [Driver] changes the registry of one target. A file is written as a whole for
// each step, and has the old content or the new one whatever happens. [Running] adds
// what only a running system knows.
//
// # Backup
//
// KB 196271 demands a backup of the registry before the change. [Backup] makes the
// two .reg files of it: the key as it was found, and what restores it. They are for
// people and for other tools; undo goes by the journal.
package winreg
