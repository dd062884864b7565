package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/loopback"
)

const (
	names = "/run/netns" // where ip-netns(8) keeps its names
	own   = "/proc/thread-self/ns/net"
)

var made atomic.Uint32 // namespaces that this process made, for their names

// NewNetns makes a namespace with its loopback device up. The caller closes it.
func NewNetns(ctx context.Context) (*Netns, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make a network namespace: only root may")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("make a network namespace: ip(8) is missing; install iproute2: %w", err)
	}
	n := &Netns{Name: fmt.Sprintf("portroom-load-%d-%d", os.Getpid(), made.Add(1))}
	if err := ip(ctx, "netns", "add", n.Name); err != nil {
		// An interrupted ip may have got as far as the name.
		if _, gone := os.Stat(filepath.Join(names, n.Name)); gone == nil {
			err = errors.Join(err, n.Close())
		}
		return nil, err
	}
	if err := n.Do(loopback.Up); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close deletes the namespace. The kernel takes it apart once no process and no
// socket is in it any more, in the background.
func (n *Netns) Close() error { return ip(context.Background(), "netns", "del", n.Name) }

func ip(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ip", args...)
	// A Ctrl-C is for this process, which deletes what it made; ip finishes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Do runs f on a thread that is inside the namespace, and waits for it. The
// sockets f opens and the processes it starts are in the namespace, too. f runs
// in a goroutine of its own, so it must not call testing.T's Fatal or Skip.
func (n *Netns) Do(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- n.visit(f) }()
	return <-done
}

func (n *Netns) visit(f func() error) error {
	home, err := os.Open(own)
	if err != nil {
		return err
	}
	defer home.Close()
	away, err := os.Open(filepath.Join(names, n.Name))
	if err != nil {
		return err
	}
	defer away.Close()

	runtime.LockOSThread()
	// The thread that opened home need not be this one, but every thread that
	// is not locked is at home.
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", n.Name, err)
	}
	defer func() {
		// A thread that cannot go home stays locked, so it ends with its goroutine.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}

// Start starts cmd inside the namespace, at no cost over cmd.Start.
func (n *Netns) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Sysctl sets a kernel parameter of the namespace, such as
// "net.ipv4.tcp_tw_reuse".
func (n *Netns) Sysctl(name, value string) error {
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	return n.Do(func() error {
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s to %q: %w", name, value, err)
		}
		return nil
	})
}

func (n *Netns) sysctls(pairs ...[2]string) error {
	for _, p := range pairs {
		if err := n.Sysctl(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// Count asks the kernel for the number of sockets in the namespace.
func (n *Netns) Count() (c Counts, err error) {
	err = n.Do(func() error {
		f, err := os.Open("/proc/thread-self/net/sockstat")
		if err != nil {
			return err
		}
		defer f.Close()
		c, err = parseSockstat(f)
		return err
	})
	return c, err
}

func parseSockstat(r io.Reader) (Counts, error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) == 0 || f[0] != "TCP:" {
			continue
		}
		var c Counts
		for i := 1; i+1 < len(f); i += 2 {
			v, err := strconv.Atoi(f[i+1])
			if err != nil {
				return c, fmt.Errorf("read sockstat: %s: %w", f[i], err)
			}
			switch f[i] {
			case "inuse":
				c.InUse = v
			case "tw":
				c.TimeWait = v
			}
		}
		return c, nil
	}
	return Counts{}, errors.Join(errors.New("read sockstat: it has no TCP line"), s.Err())
}

// Set is the namespaces that [Namespaces] made.
type Set struct {
	All    []*Netns
	stdin  io.Closer // the idle processes end when it closes
	idlers []*exec.Cmd
}

// Namespaces makes n named namespaces, with an idle process in each if
// processes is set, as on a host of containers. The caller closes the set.
func Namespaces(ctx context.Context, n int, processes bool) (*Set, error) {
	s := new(Set)
	for range n {
		ns, err := NewNetns(ctx)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.All = append(s.All, ns)
	}
	if !processes {
		return s, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	defer r.Close()
	s.stdin = w
	for _, ns := range s.All {
		// cat ends at the end of its input, which comes even if this process is killed.
		cmd := exec.Command("cat")
		cmd.Stdin = r
		if err := ns.Start(cmd); err != nil {
			return nil, errors.Join(fmt.Errorf("start a process in %s: %w", ns.Name, err), s.Close())
		}
		s.idlers = append(s.idlers, cmd)
	}
	return s, nil
}

// Close ends the idle processes and deletes the namespaces.
func (s *Set) Close() error {
	var errs []error
	if s.stdin != nil {
		errs = append(errs, s.stdin.Close())
	}
	for _, cmd := range s.idlers {
		errs = append(errs, cmd.Wait())
	}
	for _, ns := range s.All {
		errs = append(errs, ns.Close())
	}
	return errors.Join(errs...)
}
