package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	own  = "/proc/thread-self/ns/net"
	runs = "/run/netns" // where ip-netns(8) keeps its names
)

// idOf returns the inode number of the namespace file at path.
func idOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// isNamespace reports whether path is a network namespace file: one in nsfs
// that says so itself.
func isNamespace(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || int64(fs.Type) != unix.NSFS_MAGIC {
		return false
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	return err == nil && kind == unix.CLONE_NEWNET
}

// Self returns the namespace of the calling thread.
func Self() (Namespace, error) {
	id, err := idOf(own)
	if err != nil {
		return Namespace{}, err
	}
	return Namespace{ID: id, PID: os.Getpid()}, nil
}

// Find returns the namespace that spec names: a name under /run/netns, the path
// of a namespace file, or a process id. A name wins over a process id. The error
// is a [*NotFoundError] when there is none.
func Find(spec string) (Namespace, error) {
	ns := Namespace{Label: spec}
	switch pid, err := strconv.Atoi(spec); {
	case strings.Contains(spec, "/"):
		ns.Path = spec
	case spec != "" && spec != "." && spec != ".." && isNamespace(filepath.Join(runs, spec)):
		ns.Path = filepath.Join(runs, spec)
	case err == nil && pid > 0 && strconv.Itoa(pid) == spec:
		ns.Path, ns.PID = fmt.Sprintf("/proc/%d/ns/net", pid), pid
		if l := labelOf(pid); l != "" {
			ns.Label = l
		} else {
			ns.Label = "pid " + spec
		}
	default:
		return ns, &NotFoundError{Spec: spec}
	}
	id, err := idOf(ns.Path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOTDIR):
		return ns, &NotFoundError{Spec: spec}
	case err != nil:
		return ns, fmt.Errorf("network namespace %q: %w", spec, err)
	case !isNamespace(ns.Path):
		return ns, &NotFoundError{Spec: spec}
	}
	ns.ID = id
	return ns, nil
}

// All returns every namespace that has a process or a name under /run/netns,
// the caller's own first, then by label. Namespaces that may not be looked at
// are left out.
func All() ([]Namespace, error) {
	self, err := Self()
	if err != nil {
		return nil, err
	}
	found := map[uint64]*Namespace{self.ID: &self}
	order := []*Namespace{&self}

	names, err := os.ReadDir(runs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list named namespaces: %w", err)
	}
	for _, e := range names {
		path := filepath.Join(runs, e.Name())
		id, err := idOf(path)
		if err != nil || found[id] != nil || !isNamespace(path) {
			continue
		}
		ns := &Namespace{ID: id, Label: e.Name(), Path: path}
		found[id] = ns
		order = append(order, ns)
	}

	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range procs {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		path := "/proc/" + e.Name() + "/ns/net"
		// The link's text holds the number, and reading it needs no more
		// permission than following it.
		text, err := os.Readlink(path)
		if err != nil {
			continue
		}
		var id uint64
		if _, err := fmt.Sscanf(text, "net:[%d]", &id); err != nil {
			continue
		}
		if ns := found[id]; ns != nil {
			if ns.PID == 0 {
				ns.PID = pid
			}
			continue
		}
		ns := &Namespace{ID: id, Path: path, PID: pid, Label: labelOf(pid)}
		if ns.Label == "" {
			ns.Label = "pid " + e.Name()
		}
		found[id] = ns
		order = append(order, ns)
	}
	slices.SortStableFunc(order[1:], func(a, b *Namespace) int { return strings.Compare(a.Label, b.Label) })
	all := make([]Namespace, len(order))
	for i, ns := range order {
		all[i] = *ns
	}
	return all, nil
}

// Cgroup returns the path of a process's control group in the unified
// hierarchy, or where that has none the longest of the others; "" when it cannot
// be read.
func Cgroup(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	return parseCgroup(string(text))
}

func labelOf(pid int) string { return Label(Cgroup(pid)) }

// Do runs f inside the namespace, on one thread, and returns to the former one.
// Do itself is cheap for the caller's own namespace. The error wraps [ErrGone]
// when the namespace no longer exists.
func (n Namespace) Do(f func() error) error {
	runtime.LockOSThread()
	if n.Path == "" {
		defer runtime.UnlockOSThread()
		return f()
	}
	back, err := unix.Open(own, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer unix.Close(back)
	if err := n.enter(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		// A thread that cannot return is left locked, so that the runtime ends it
		// rather than running other goroutines in a foreign namespace.
		if unix.Setns(back, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}

// ended reports whether the process is no more by which the namespace was found.
// To follow its link is refused then as if for want of permission
// (proc_ns_get_link in fs/proc/namespaces.c).
func (n Namespace) ended() bool {
	return n.PID > 0 && errors.Is(unix.Kill(n.PID, 0), unix.ESRCH)
}

func (n Namespace) enter() error {
	fd, err := unix.Open(n.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EACCES) && n.ended() {
		return fmt.Errorf("network namespace %s: %w", n.Path, ErrGone)
	}
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", n.Path, err)
	}
	defer unix.Close(fd)
	// A process id may have been given to a stranger since the list was made.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("network namespace %s: %w", n.Path, err)
	}
	if n.ID != 0 && st.Ino != n.ID {
		return fmt.Errorf("network namespace %s: %w", n.Path, ErrGone)
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("enter network namespace %s: needs root or CAP_SYS_ADMIN: %w", n.Path, err)
		}
		return fmt.Errorf("enter network namespace %s: %w", n.Path, err)
	}
	return nil
}
