// Package hives holds registry hives against four programs that were written by
// others: each says what it sees in a hive.
//
// # What the judges can say
//
// [Hivex] and [Reglookup] see everything; reglookup shows text up to its first
// zero, and like the two below cannot read data in segments. These two know a part
// of what may be in a hive, and lose their way or abort at the rest:
//
//   - [Reged] (chntpw 140201) knows no names in UTF-16, and prints four bytes of every
//     REG_DWORD.
//   - [Regshell] (Samba 4.17) knows no names in UTF-16, and finds keys, by the hints
//     and hashes of lists, by names in ASCII only. It prints the data of REG_SZ,
//     REG_EXPAND_SZ, REG_BINARY and numbers only, takes the length of data from its
//     cell, and aborts at every REG_QWORD, at numbers of a wrong length, and in an
//     index of lists of subkeys, whose second list it looks for in a wrong place.
//
// They are to be asked about a hive whose names are all in one-byte characters and
// whose text and numbers are what their types say.
package hives
