// Package port holds sets and ranges of port numbers and the text forms in
// which operating systems write them.
package port
