// Package nt knows the systems of the Windows NT family: which one a registry
// belongs to, and what it is set to as far as that decides about source ports.
//
// # What is read
//
// A [Machine] is the two registries that matter, the SYSTEM and the SOFTWARE
// hive, whatever they are read from: a live registry, files of a disk, a .reg
// file, another machine. [Machine.Identify] says which system they belong to and
// [Machine.Settings] what it is set to. Nothing is changed.
//
// # Two ages
//
// Up to Windows XP and Server 2003, which this package calls legacy, the registry
// decides: MaxUserPort is the last port that is handed out, and the first is 1025
// (Microsoft KB 196271, KB 929851). From Windows Vista and Server 2008 on there is
// a dynamic port range for each protocol and family, which netsh shows and sets.
// Where the system keeps it is not documented, so that only a running system can
// tell: a [Live] is what it told.
//
// # What is not known
//
// Microsoft's own articles contradict each other in places. Where they do, both
// values are given, or the text says that it is uncertain; no value is guessed.
package nt
