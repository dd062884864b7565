package models

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/loopback"
	"github.com/portroom/portroom/test/need"
)

// A space is a network namespace without a name, which needs no program to make: it
// can be had inside any kernel.
type space struct{ do chan func() }

// newSpace makes one with lo up and sysctls of net.ipv4 set, such as "tcp_tw_reuse=0".
func newSpace(t testing.TB, sysctls ...string) *space {
	t.Helper()
	need.Root(t)
	s := &space{make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the namespace with its
		// last socket.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = loopback.Up()
		}
		ready <- err
		if err != nil {
			return
		}
		for f := range s.do {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(s.do) })
	for _, c := range sysctls {
		name, value, _ := strings.Cut(c, "=")
		if err := s.Do(func() error {
			return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(strings.ReplaceAll(value, "-", " ")), 0)
		}); err != nil {
			t.Fatalf("set %s: %v", c, err)
		}
	}
	return s
}

// Do runs f on the space's thread, and waits for it.
func (s *space) Do(f func() error) error {
	done := make(chan error)
	s.do <- func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- f()
	}
	return <-done
}
