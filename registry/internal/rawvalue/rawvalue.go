// Package rawvalue reads and writes values of an open key of Windows' registry with
// any type and any bytes, which golang.org/x/sys/windows/registry does for some
// types only. On other systems there is nothing in it.
package rawvalue
