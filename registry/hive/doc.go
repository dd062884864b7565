// Package hive reads and writes Windows registry hives, the regf files that Windows
// keeps in System32\config, on any system and without Windows.
//
// [Open] opens a file; [Parse] takes bytes and touches no file; [Create] makes an
// empty hive. All are a [registry.Store], whose paths begin at the hive's own root:
// `Select`, not `HKLM\SYSTEM\Select`.
//
// Versions 1.3 to 1.6 are read and written: Windows NT 4.0 to 11. Links between keys
// are not followed: in a SYSTEM hive, resolve CurrentControlSet through
// Select\Current. Volatile keys are not in files. Names with halves of surrogate
// pairs are kept as the three bytes that UTF-8 would use if it had them.
//
// # What is certain of a reading
//
// The header, its checksum, and the seams of all bins and cells are checked before
// anything is read. Keys, lists and values are then looked at only where they are
// asked for, and each is checked there: what is damaged elsewhere costs nothing. A
// hive of hostile bytes gives a [FormatError]; it never takes memory or time beyond
// what the size of the file explains.
//
// # What is certain of a change
//
// A change is done as a whole or not at all. Before the first one the whole tree is
// checked as by [Hive.Check], because to change a hive in which two keys share a cell
// would damage it further. Nothing that the change does not touch moves: cells stay
// where they are, free ones are used again, and new bins are put at the end.
//
// [File.Flush] writes another file beside the old one, with its owner, mode and
// extended attributes, and puts it in place in one step; after a crash there is the
// old hive or the new one. It refuses if somebody else has changed the file since.
//
// # What is refused
//
// A hive that Windows has not finished with can be read, but not changed: Windows
// would undo the change or be damaged by it. [Hive.Unclean] says so beforehand:
//
//   - its sequence numbers differ: Windows was in the middle of writing ([DirtyError]);
//   - a log beside it holds changes that it has not ([LogsError]);
//   - hiberfil.sys in the root of its volume holds a sleeping Windows, as after a
//     shutdown with fast startup ([HibernatedError]).
//
// Logs are not replayed by this package: boot that Windows and shut it down, or
// replay them with another tool.
package hive
