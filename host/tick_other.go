//go:build !linux

package host

func tickRate() int { return 0 }
