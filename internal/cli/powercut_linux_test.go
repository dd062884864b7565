package cli_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/sysctl"
)

// A cutPoint is one operation of a run, and how it is cut off there.
type cutPoint struct {
	at  int
	how string
	op  string
}

// cutCase is a command that is cut off.
type cutCase struct {
	name  string
	files map[string]string
	// prepare are the commands before it, args the command.
	prepare [][]string
	args    []string
	// wounded is a cut point of the last command of prepare, so that the command
	// starts by mending: an operation that its path ends in.
	wounded string
}

// longList is a list of ports of more than a page, which the kernel takes in two
// pieces.
func longList() string {
	var b strings.Builder
	for p := 20001; p < 22400; p += 2 {
		fmt.Fprintf(&b, "%d,", p)
	}
	return strings.TrimSuffix(b.String(), ",")
}

var (
	setBoth  = []string{"set", "ip_local_port_range=64000-65535", "tcp_tw_reuse=1", "--yes"}
	setList  = []string{"set", "ip_local_reserved_ports=" + longList(), "--yes"}
	undoLast = []string{"undo", "--yes"}
)

var cutCases = []cutCase{
	{name: "the first change of a host without sysctl.d", args: setBoth},
	{name: "its undo", prepare: [][]string{setBoth}, args: undoLast},
	{
		name: "a change of a file that is there, after another change", args: setBoth,
		files:   map[string]string{"etc/sysctl.d/60-portroom.conf": "# mine\nnet.ipv4.tcp_tw_reuse=0\n"},
		prepare: [][]string{{"set", "tcp_timestamps=2", "--yes"}},
	},
	{
		name: "its undo, and nothing of the other", args: undoLast,
		files:   map[string]string{"etc/sysctl.d/60-portroom.conf": "# mine\nnet.ipv4.tcp_tw_reuse=0\n"},
		prepare: [][]string{{"set", "tcp_timestamps=2", "--yes"}, setBoth},
	},
	{name: "a list that the kernel takes in pieces", args: setList},
	{name: "the undo of the list", prepare: [][]string{setList}, args: undoLast},
	{name: "the rolling back of a change", prepare: [][]string{setBoth}, args: []string{"confirm"}, wounded: "60-portroom.conf"},
	{name: "the rolling back of an undo", prepare: [][]string{setBoth, undoLast}, args: []string{"confirm"}, wounded: "ip_local_reserved_ports"},
}

// start makes the private host of a case with a server in the new part of the
// range.
func (c *cutCase) start(t *testing.T) *private {
	h := newPrivate(t, c.files, "tcp_tw_reuse=0", "ip_local_port_range=64000 64063", "ip_unprivileged_port_start=64000")
	fd := h.listen(unix.SOCK_STREAM, netip.MustParseAddrPort("127.0.0.1:64100"))
	t.Cleanup(func() { unix.Close(fd) })
	return h
}

// reset brings the host back to what it was, with a copy of the files and the
// state directory.
func (h *private) reset(to map[string]string, files string) {
	h.t.Helper()
	for _, name := range []string{"ip_local_port_range", "ip_local_reserved_ports", "tcp_tw_reuse", "tcp_timestamps"} {
		if h.sysctl(name) != to[name] {
			if err := h.net.Sysctl("net.ipv4."+name, to[name]); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	dir := filepath.Dir(h.root)
	for _, sub := range []string{h.root, h.state} {
		if err := os.RemoveAll(sub); err != nil {
			h.t.Fatal(err)
		}
	}
	h.copy(files, dir)
	if diff := cmp.Diff(to, h.snapshot()); diff != "" {
		h.t.Fatalf("the test cannot bring back what was there:\n%s", diff)
	}
}

// save copies the files and the state directory.
func (h *private) save() string {
	h.t.Helper()
	to := memory(h.t)
	h.copy(filepath.Dir(h.root), to)
	return to
}

// copy copies a tree with its modes.
func (h *private) copy(from, to string) {
	h.t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			err = os.Mkdir(at, 0o700)
		} else {
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				err = os.WriteFile(at, b, 0o600)
			}
		}
		if err != nil {
			return err
		}
		return os.Chmod(at, fi.Mode().Perm())
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// cut runs a command that is cut off, or logs its operations.
func (h *private) cut(env string, args ...string) {
	h.t.Helper()
	cmd := exec.Command("cut", h.flags(args)...)
	cmd.Env = append(os.Environ(), env)
	if err := h.net.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	_ = cmd.Wait()
}

// flags adds what a command needs to stay inside the host.
func (h *private) flags(args []string) []string {
	args = append(append([]string{}, args...), "--no-bpf", "--state-dir", h.state)
	if args[0] == "set" || args[0] == "fix" {
		args = append(args, "--root", h.root)
	}
	return args
}

// operations are those of a command on files.
func (h *private) operations(args []string) []cutPoint {
	h.t.Helper()
	log := filepath.Join(h.t.TempDir(), "log")
	h.cut("CUT_LOG="+log, args...)
	return cutPoints(read(h.t, log))
}

// cutPoints are all ways to be cut off at the operations of a log.
func cutPoints(log string) []cutPoint {
	var all []cutPoint
	n := 0
	for line := range strings.Lines(log) {
		n++
		name, rest, _ := strings.Cut(line, " ")
		for _, how := range []string{before, after, lost, blank, half} {
			if how != half || strings.HasPrefix(rest, "true") {
				all = append(all, cutPoint{n, how, name + " " + filepath.Base(strings.TrimSpace(rest))})
			}
		}
	}
	return all
}

// log is the journal.
func (h *private) log() []*remedy.Change {
	h.t.Helper()
	changes, err := remedy.Read(h.state)
	if err != nil {
		h.t.Fatal(err)
	}
	return changes
}

// last is what became of the latest change, "" when there is none.
func (h *private) last() remedy.Status {
	h.t.Helper()
	log := h.log()
	if len(log) == 0 {
		return ""
	}
	return log[len(log)-1].Status
}

// inForce reports whether there is something to undo.
func (h *private) inForce() bool {
	h.t.Helper()
	return slices.ContainsFunc(h.log(), func(c *remedy.Change) bool { return c.Status == remedy.InForce })
}

func (h *private) driver(to remedy.Target) (remedy.Driver, error) {
	return sysctl.Open(to, remedy.Disk{})
}

// open opens the journal, which mends what was cut off.
func (h *private) open() *remedy.Journal {
	h.t.Helper()
	j, err := remedy.Open(remedy.Options{Dir: h.state, Files: remedy.Disk{}, Driver: h.driver})
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// undo takes the latest change back, as the command does.
func (h *private) undo() {
	h.t.Helper()
	j := h.open()
	defer j.Close()
	c := j.Last()
	d, err := h.driver(c.Plan.Target)
	if err != nil {
		h.t.Fatal(err)
	}
	p, _, err := j.Reverse(d, c, false)
	if err == nil {
		_, err = j.Apply(h.t.Context(), d, p, nil)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// Wherever fix, undo or the mending itself is cut off, by a kill or by a loss of
// power, each object is in its old or its new state, the next run makes all of
// them old or all of them new, as the journal says, and the change can be undone
// or done again.
func TestACutLeavesTheOldStateOrTheNewOne(t *testing.T) {
	var mu sync.Mutex
	total := 0
	counts := make(map[string]int)
	t.Cleanup(func() { t.Logf("%d cut points in all: %v", total, counts) })
	for _, c := range cutCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := c.start(t)
			begin := h.snapshot()
			for i, args := range c.prepare {
				if c.wounded != "" && i == len(c.prepare)-1 {
					h.wound(args, c.wounded)
					continue
				}
				h.run(0, h.flags(args)...)
			}
			old, files := h.snapshot(), h.save()
			points := h.operations(c.args)
			fresh := h.snapshot()
			if maps.Equal(old, fresh) && c.wounded == "" {
				t.Fatal("the command changes nothing")
			}
			for _, p := range points {
				h.reset(old, files)
				h.cut(fmt.Sprintf("CUT=%d:%s", p.at, p.how), c.args...)
				h.judge(c, p, old, fresh, begin)
				if t.Failed() {
					return
				}
				mu.Lock()
				counts[p.how]++
				total++
				mu.Unlock()
			}
			t.Logf("%d cut points", len(points))
		})
	}
}

// wound cuts a command off after the last operation on an object.
func (h *private) wound(args []string, object string) {
	h.t.Helper()
	now, files := h.snapshot(), h.save()
	at := 0
	for _, p := range h.operations(args) {
		if strings.HasSuffix(p.op, object) {
			at = p.at
		}
	}
	h.reset(now, files)
	h.cut(fmt.Sprintf("CUT=%d:%s", at, after), args...)
	if maps.Equal(now, h.snapshot()) {
		h.t.Fatalf("no operation on %s was cut off", object)
	}
}

// judge looks at what a cut left, and at what the next run makes of it.
func (h *private) judge(c cutCase, p cutPoint, old, fresh, begin map[string]string) {
	h.t.Helper()
	where := fmt.Sprintf("cut %s operation %d (%s)", p.how, p.at, p.op)
	for name, now := range h.snapshot() {
		switch {
		case now == old[name] || now == fresh[name] || strings.HasSuffix(name, ".portroom-new"):
		case name == "ip_local_reserved_ports" && len(old[name])+len(fresh[name]) > os.Getpagesize() && (p.how == half || c.wounded != ""):
		case strings.HasSuffix(name, "/sysctl.d"): // before it has its mode
		default:
			h.t.Errorf("%s: %s is %s, neither %s nor %s", where, name, now, old[name], fresh[name])
		}
	}
	// The next run: the command for some of the points, and what it does for the
	// others, since starting it takes longer than all else.
	command := p.at%6 == 0
	if command {
		if _, stderr := h.run(3, "confirm", "--state-dir", h.state); !strings.Contains(stderr, "there is nothing to confirm") {
			h.t.Errorf("%s: the next run says %s", where, stderr)
		}
	} else if err := h.open().Close(); err != nil {
		h.t.Fatal(err)
	}
	status := h.last()
	want := old
	switch {
	case c.wounded != "":
		want = fresh // rolled back, now or before
		if status != "rolled back" {
			h.t.Errorf("%s: the change is %q", where, status)
		}
	case c.args[0] == "undo" && status == "undo", c.args[0] == "set" && status == "in force" && len(h.log()) > len(c.prepare):
		want = fresh
	}
	if diff := cmp.Diff(want, h.snapshot()); diff != "" {
		h.t.Errorf("%s: the last change is %q, and (-want +got):\n%s", where, status, diff)
	}
	// Nothing is lost: everything can be taken back from here.
	for h.inForce() {
		if command {
			h.run(0, "undo", "--yes", "--state-dir", h.state, "--no-bpf")
		} else {
			h.undo()
		}
	}
	if diff := cmp.Diff(begin, h.snapshot()); diff != "" {
		h.t.Errorf("%s: undoing everything does not lead back (-want +got):\n%s", where, diff)
	}
}

// A value that reads back as another one ends the change, and all of it is undone.
func TestWhatReadsBackAsSomethingElseIsUndone(t *testing.T) {
	h := newPrivate(t, nil, "tcp_tw_reuse=0", "tcp_timestamps=1")
	set := []string{"set", "tcp_timestamps=2", "tcp_tw_reuse=1", "--yes"}
	before, files := h.snapshot(), h.save()
	at := 0
	for _, p := range h.operations(set) {
		if p.op == "put tcp_tw_reuse" {
			at = p.at
		}
	}
	h.reset(before, files)
	cmd := exec.Command("cut", h.flags(set)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("CUT=%d:lie", at), "CUT_LIE=2")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := h.net.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	want := `portroom: net.ipv4.tcp_tw_reuse was set to "1" and reads back as "2"; everything is as it was before` + "\n"
	if cmd.ProcessState.ExitCode() != 3 || problems.String() != want {
		t.Errorf("status %d: %q, want %q", cmd.ProcessState.ExitCode(), problems.String(), want)
	}
	if diff := cmp.Diff(before, h.snapshot()); diff != "" {
		t.Errorf("not all was undone:\n%s", diff)
	}
}
