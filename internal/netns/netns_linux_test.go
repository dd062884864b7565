package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/test/load"
)

// sleeper starts a process by the function given and returns it.
func sleeper(t *testing.T, start func(*exec.Cmd) error) *os.Process {
	t.Helper()
	cmd := exec.Command("sleep", "30")
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd.Process) })
	return cmd.Process
}

func end(p *os.Process) {
	_ = p.Kill()
	_, _ = p.Wait()
}

// inode asks the kernel for a namespace in another way than the product does:
// by the text of the link.
func inode(t *testing.T, path string) uint64 {
	t.Helper()
	id, err := linkID(path)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func linkID(path string) (uint64, error) {
	text, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(text, "net:["), "]"), 10, 64)
}

// inside is the inode number of a named namespace as seen from within.
func inside(t *testing.T, n *load.Netns) (id uint64) {
	t.Helper()
	if err := n.Do(func() (err error) { id, err = linkID(own); return err }); err != nil {
		t.Fatal(err)
	}
	return id
}

func labelOrPID(pid int) string {
	if l := Label(Cgroup(pid)); l != "" {
		return l
	}
	return fmt.Sprintf("pid %d", pid)
}

func TestSelfIsTheNamespaceOfTheThread(t *testing.T) {
	n := load.ForTest(t)
	var away Namespace
	if err := n.Do(func() (err error) { away, err = Self(); return err }); err != nil {
		t.Fatal(err)
	}
	home, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	want := []Namespace{{ID: inode(t, own), PID: os.Getpid()}, {ID: inside(t, n), PID: os.Getpid()}}
	if diff := cmp.Diff(want, []Namespace{home, away}); diff != "" {
		t.Errorf("Self at home and away (-want +got):\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	n := load.ForTest(t)
	p := sleeper(t, n.Start)
	id, pid := inside(t, n), strconv.Itoa(p.Pid)
	if id == inode(t, own) {
		t.Fatal("the new namespace is our own")
	}
	ofProcess := "/proc/" + pid + "/ns/net"
	for name, c := range map[string]struct {
		spec string
		want Namespace
	}{
		"by name":             {n.Name, Namespace{ID: id, Label: n.Name, Path: "/run/netns/" + n.Name}},
		"by path":             {"/run/netns/" + n.Name, Namespace{ID: id, Label: "/run/netns/" + n.Name, Path: "/run/netns/" + n.Name}},
		"by path of a proc":   {ofProcess, Namespace{ID: id, Label: ofProcess, Path: ofProcess}},
		"by process id":       {pid, Namespace{ID: id, Label: labelOrPID(p.Pid), Path: ofProcess, PID: p.Pid}},
		"by our own id":       {strconv.Itoa(os.Getpid()), Namespace{ID: inode(t, own), Label: labelOrPID(os.Getpid()), Path: fmt.Sprintf("/proc/%d/ns/net", os.Getpid()), PID: os.Getpid()}},
		"by a path with dots": {"/run/../run/netns/" + n.Name, Namespace{ID: id, Label: "/run/../run/netns/" + n.Name, Path: "/run/../run/netns/" + n.Name}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Find(%q) (-want +got):\n%s", c.spec, diff)
			}
		})
	}
}

func TestFindSaysWhatIsNotThere(t *testing.T) {
	n := load.ForTest(t)
	p := sleeper(t, n.Start)
	end(p)
	for name, spec := range map[string]string{
		"an unknown name":             "no-such-namespace",
		"a relative path":             "../etc",
		"nothing":                     "",
		"the directory itself":        ".",
		"the directory above":         "..",
		"a plain file":                "/etc/passwd",
		"a path below a plain file":   "/etc/passwd/net",
		"a directory":                 "/run/netns/",
		"a process that has ended":    strconv.Itoa(p.Pid),
		"a process that cannot be":    "4194305", // above the highest pid_max
		"a number below any process":  "0",
		"a negative number":           "-1",
		"a namespace of another kind": "/proc/self/ns/uts",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(spec)
			var missing *NotFoundError
			if !errors.As(err, &missing) {
				t.Fatalf("Find(%q) = %+v, %v, want a NotFoundError", spec, got, err)
			}
			if missing.Spec != spec || !strings.Contains(err.Error(), strconv.Quote(spec)) {
				t.Errorf("the error does not name %q: %v", spec, err)
			}
		})
	}
}

func TestAll(t *testing.T) {
	a, b := load.ForTest(t), load.ForTest(t)
	held := sleeper(t, b.Start)
	loner := sleeper(t, func(cmd *exec.Cmd) error {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		return cmd.Start()
	})
	lonerPath := fmt.Sprintf("/proc/%d/ns/net", loner.Pid)

	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	byID := make(map[uint64]Namespace)
	for _, ns := range all {
		if former, twice := byID[ns.ID]; twice {
			t.Errorf("listed twice: %+v and %+v", former, ns)
		}
		byID[ns.ID] = ns
	}
	t.Run("our own is the first and has no label", func(t *testing.T) {
		if diff := cmp.Diff(Namespace{ID: inode(t, own), PID: os.Getpid()}, all[0]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("the others come by label", func(t *testing.T) {
		if !slices.IsSortedFunc(all[1:], func(a, b Namespace) int { return strings.Compare(a.Label, b.Label) }) {
			t.Errorf("not in order: %+v", all)
		}
	})
	for name, want := range map[string]Namespace{
		"a named one without a process": {ID: inside(t, a), Label: a.Name, Path: "/run/netns/" + a.Name},
		"a named one with a process":    {ID: inside(t, b), Label: b.Name, Path: "/run/netns/" + b.Name, PID: held.Pid},
		"one that only a process keeps": {ID: inode(t, lonerPath), Label: labelOrPID(loner.Pid), Path: lonerPath, PID: loner.Pid},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, byID[want.ID]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("seen from inside another", func(t *testing.T) {
		var first Namespace
		err := a.Do(func() error {
			all, err := All()
			if err == nil {
				first = all[0]
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Namespace{ID: inside(t, a), PID: os.Getpid()}, first); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDo(t *testing.T) {
	n := load.ForTest(t)
	runtime.LockOSThread() // so that a thread left inside shows
	defer runtime.UnlockOSThread()
	home := inode(t, own)
	ns, err := Find(n.Name)
	if err != nil {
		t.Fatal(err)
	}
	back := func(t *testing.T) {
		t.Helper()
		if got := inode(t, own); got != home {
			t.Fatalf("the thread is in namespace %d afterwards, want %d", got, home)
		}
	}
	// A subtest would run on a thread of its own.
	var got uint64
	if err := ns.Do(func() (err error) { got, err = linkID(own); return err }); err != nil {
		t.Fatal(err)
	}
	if got != ns.ID || got == home {
		t.Errorf("inside is %d, want %d; home is %d", got, ns.ID, home)
	}
	back(t)

	failure := errors.New("failure")
	if err := ns.Do(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Do gives %v, want the function's error", err)
	}
	back(t)

	if err := (Namespace{}).Do(func() (err error) { got, err = linkID(own); return err }); err != nil || got != home {
		t.Errorf("Do of our own namespace ran in %d: %v, want %d", got, err, home)
	}
	if err := (Namespace{}).Do(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Do of our own namespace gives %v, want the function's error", err)
	}

	func() {
		defer func() {
			if r := recover(); r != failure {
				t.Errorf("recovered %v, want the function's panic", r)
			}
		}()
		_ = ns.Do(func() error { panic(failure) })
	}()
	back(t)

	p := sleeper(t, n.Start)
	ofProcess, err := Find(strconv.Itoa(p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	stranger := ns
	stranger.ID++ // as when a process id was given to another
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	end(p)
	other := load.ForTest(t)
	reused, err := Find(other.Name)
	if err != nil {
		t.Fatal(err)
	}
	reused.ID = ns.ID
	for name, gone := range map[string]Namespace{
		"whose file was removed":            ns,
		"whose file was removed, no number": {Path: ns.Path},
		"whose process ended":               ofProcess,
		"whose file is another's by now":    reused,
		"that never was":                    stranger,
	} {
		called := false
		err := gone.Do(func() error { called = true; return nil })
		if !errors.Is(err, ErrGone) || called {
			t.Errorf("Do of a namespace %s: %v, called is %v, want ErrGone", name, err, called)
		}
		back(t)
	}
}
