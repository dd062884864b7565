// Package windows holds the tests of the Windows program, run under Wine on Linux
// against the sockets of a network namespace.
package windows
