package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/test/load"
)

// rowNames are the rows in the order of the table.
var rowNames = []string{"a", "b", "g", "c1", "c2", "d", "e", "f", "h1", "h2", "i", "j1", "j2", "k", "l", "m", "n", "o", "p"}

// sizes are how large the populations are.
type sizes struct {
	timeWait, manyTimeWait, dests int
	connections, holders          int
	namespaces                    int
	hiveBytes                     int
}

var (
	fullSizes  = sizes{300_000, 1_000_000, 50, 50_000, 6, 300, 20 << 20}
	quickSizes = sizes{20_000, 50_000, 20, 2_000, 2, 20, 2 << 20}
)

type bench struct {
	options
	sizes
	pop     population
	results []result
	self    string // this program
	dir     string // for its files

	pools, byProcess, check, checkAll command
	diag, iter                        command
	ss, ssOwners, bare                command
	bareBytes                         *os.File
}

// measure runs the rows and returns what it has, also with an error.
func measure(ctx context.Context, o options) (_ []result, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it needs root, to make network namespaces and to see every socket's owner")
	}
	for _, tool := range []string{"ss", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s(8), which it measures against or with, is missing; install iproute2", tool)
		}
	}
	dir, err := os.MkdirTemp("", "portroom-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.portroom == "" {
		o.portroom = filepath.Join(dir, "portroom")
		if err := build(ctx, o.portroom); err != nil {
			return nil, err
		}
	}
	b := &bench{options: o, sizes: fullSizes, dir: dir}
	if o.quick {
		b.sizes = quickSizes
	}
	if err := b.commands(); err != nil {
		return nil, err
	}
	defer b.bareBytes.Close()
	b.pop = population{dests: b.dests, progress: b.say}
	defer func() { err = errors.Join(err, b.pop.close()) }()
	b.say("%s", machine(ctx))

	for _, row := range []struct {
		name      string
		f         func(context.Context) error
		elsewhere bool // not over TIME_WAIT
	}{
		{"a", b.rowA, false},
		{"b", b.rowB, false},
		{"g", b.rowG, false},
		{"c1", b.rowC1, false},
		{"c2", b.rowC2, false},
		{"p", b.rowP, false},
		{"d", b.rowD, true},
		{"e", b.rowE, true},
		{"f", b.rowF, true},
		{"h1", b.rowH1, true},
		{"h2", b.rowH2, true},
		{"i", b.rowI, true},
		{"j1", b.rowJ1, true},
		{"j2", b.rowJ2, true},
		{"k", b.rowK, true},
		{"l", b.rowL, true},
		{"m", b.rowM, true},
		{"n", b.rowN, true},
		{"o", b.rowO, true},
	} {
		if !o.wants(row.name) {
			continue
		}
		if row.elsewhere {
			if err := b.pop.close(); err != nil {
				return b.results, err
			}
		}
		if err := row.f(ctx); err != nil {
			return b.results, fmt.Errorf("row %s: %w", row.name, err)
		}
	}
	return b.results, nil
}

// machine says what the numbers were measured on.
func machine(ctx context.Context) string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	version, _ := exec.CommandContext(ctx, "ss", "-V").Output()
	average, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("Linux %s, %d processors, load average %s, %s",
		bytes.TrimSpace(release), runtime.NumCPU(), average, bytes.TrimSpace(version))
}

func build(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/portroom/portroom/cmd/portroom")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build portroom: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (b *bench) commands() (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.bareBytes, err = os.Create(filepath.Join(b.dir, "bytes"))
	if err != nil {
		return err
	}
	ours := func(codes []int, args ...string) command {
		return command{
			name: "portroom " + strings.Join(args, " "), args: append([]string{b.portroom}, args...), codes: codes,
			env: []string{"PORTROOM_ENGINE="},
		}
	}
	b.pools, b.byProcess = ours(nil, "pools"), ours(nil, "pools", "--by", "process")
	// check answers with 1 or 2 when it has something to warn of.
	verdicts := []int{0, 1, 2}
	b.check, b.checkAll = ours(verdicts, "check"), ours(verdicts, "check", "--all-namespaces")
	b.diag, b.iter = b.pools, b.pools
	b.diag.name, b.diag.env = "portroom pools, diag", []string{"PORTROOM_ENGINE=diag"}
	b.iter.name, b.iter.env = "portroom pools, iter", []string{"PORTROOM_ENGINE=iter"}
	b.ss = command{name: "ss -tan", args: []string{"ss", "-tan"}}
	b.ssOwners = command{name: "ss -tanp", args: []string{"ss", "-tanp"}}
	b.bare = command{name: "bare sock_diag loop", args: []string{b.self}, env: []string{bareEnv + "=1"}, output: b.bareBytes}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}

// pair measures x and y in turn over TIME_WAIT.
func (b *bench) pair(ctx context.Context, x, y command) (xs, ys samples, err error) {
	for range b.runs {
		var sx, sy sample
		err := b.pop.during(ctx, b.timeWait, func(ns *load.Netns) (err error) {
			if sx, err = x.execute(ctx, ns); err == nil {
				sy, err = y.execute(ctx, ns)
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		xs, ys = append(xs, sx), append(ys, sy)
	}
	return xs, ys, nil
}

// add appends a row. met says whether its target is met.
func (b *bench) add(row, work string, x command, xs samples, y command, ys samples, target string, met func(result) bool, notes ...string) {
	r := result{
		Row: row, Work: work, A: x.name, B: y.name, ARuns: len(xs), BRuns: len(ys),
		ASecs: xs.median(), BSecs: ys.median(), PeakKiB: xs.peakKiB(), Target: target, Notes: notes,
	}
	if len(ys) > 0 && r.ASecs > 0 {
		r.Ratio = r.BSecs / r.ASecs
	}
	// Small populations measure how programs start.
	if met != nil && !b.quick {
		ok := met(r)
		r.Met = &ok
	}
	b.results = append(b.results, r)
	b.say("row %s done", row)
}

func (b *bench) rowA(ctx context.Context) error {
	wrong, err := b.miscount(ctx)
	if err != nil {
		return err
	}
	xs, ys, err := b.pair(ctx, b.pools, b.ss)
	if err != nil {
		return err
	}
	b.add("a", timeWaits(b.timeWait), b.pools, xs, b.ss, ys, "B ÷ A ≥ 4",
		func(r result) bool { return r.Ratio >= 4 && wrong == nil }, wrong...)
	return nil
}

// miscount says how portroom's count differs from the kernel's, for a fast wrong
// answer is no answer. It returns nothing when they agree.
func (b *bench) miscount(ctx context.Context) (notes []string, err error) {
	out, err := os.CreateTemp("", "portroom-bench-*.json")
	if err != nil {
		return nil, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	c := b.pools
	c.args = append(slices.Clone(c.args), "--json")
	c.output = out
	var kernel load.Counts
	err = b.pop.during(ctx, b.timeWait, func(ns *load.Netns) (err error) {
		if err = out.Truncate(0); err != nil {
			return err
		}
		if _, err = out.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if kernel, err = ns.Count(); err != nil {
			return err
		}
		_, err = c.execute(ctx, ns)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	// What is decoded here stays small, see execute on the peak of memory.
	var pools []struct {
		Held int `json:"held"`
	}
	if err := json.NewDecoder(out).Decode(&pools); err != nil {
		return []string{"the output of pools --json is not an array of pools: " + err.Error()}, nil
	}
	held := 0
	for _, p := range pools {
		held += p.Held
	}
	if d := held - kernel.TimeWait; max(d, -d) > kernel.TimeWait/20 {
		return []string{fmt.Sprintf("portroom counts %d ports held, the kernel %d TIME_WAIT", held, kernel.TimeWait)}, nil
	}
	return nil, nil
}

func (b *bench) rowB(ctx context.Context) error {
	xs, ys, err := b.pair(ctx, b.pools, b.bare)
	if err != nil {
		return err
	}
	// A loop that gave up early would be a hard rival.
	text, err := os.ReadFile(b.bareBytes.Name())
	if err != nil {
		return err
	}
	lines := strings.Fields(string(text))
	const least = 16 + 72 // struct nlmsghdr and struct inet_diag_msg
	for _, l := range lines {
		if n, err := strconv.Atoi(l); err != nil || n < b.timeWait*95/100*least {
			return fmt.Errorf("the bare loop received %s bytes, too few for %d sockets", l, b.timeWait)
		}
	}
	b.add("b", timeWaits(b.timeWait), b.pools, xs, b.bare, ys, "A ÷ B ≤ 1.3", func(r result) bool { return r.ASecs <= 1.3*r.BSecs })
	return nil
}

func (b *bench) rowG(ctx context.Context) error {
	xs, ys, err := b.pair(ctx, b.diag, b.iter)
	if err != nil {
		return err
	}
	b.add("g", timeWaits(b.timeWait), b.diag, xs, b.iter, ys, "", nil)
	return nil
}

func (b *bench) rowC1(ctx context.Context) error { return b.peak(ctx, "c1", b.timeWait) }
func (b *bench) rowC2(ctx context.Context) error { return b.peak(ctx, "c2", b.manyTimeWait) }

// peak measures memory. It barely differs from run to run, so three suffice.
func (b *bench) peak(ctx context.Context, row string, n int) error {
	var xs samples
	for range min(b.runs, 3) {
		var s sample
		err := b.pop.during(ctx, n, func(ns *load.Netns) (err error) {
			s, err = b.pools.execute(ctx, ns)
			return err
		})
		if err != nil {
			return err
		}
		xs = append(xs, s)
	}
	b.add(row, timeWaits(n), b.pools, xs, command{}, nil, "peak ≤ 30 MiB", func(r result) bool { return r.PeakKiB <= 30<<10 })
	return nil
}

func timeWaits(n int) string { return fmt.Sprintf("%d TIME_WAIT", n) }

func (b *bench) rowD(ctx context.Context) (err error) {
	ns, err := load.NewNetns(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	held, err := ns.Established(ctx, b.connections, b.holders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	c, err := ns.Count()
	if err != nil {
		return err
	}
	b.say("%d connections held by %d processes, %d sockets in use", b.connections, b.holders, c.InUse)

	var xs, ys samples
	for i := range b.runs {
		s, err := b.byProcess.execute(ctx, ns)
		if err != nil {
			return err
		}
		xs = append(xs, s)
		if i >= 2 { // ss takes 10 s and varies little
			continue
		}
		if s, err = b.ssOwners.execute(ctx, ns); err != nil {
			return err
		}
		ys = append(ys, s)
	}
	b.add("d", fmt.Sprintf("%d established, of %d processes", 2*b.connections, b.holders),
		b.byProcess, xs, b.ssOwners, ys, "B ÷ A ≥ 40", func(r result) bool { return r.Ratio >= 40 })
	return nil
}

func (b *bench) rowE(ctx context.Context) (err error) {
	ns, err := load.NewNetns(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	return b.alone(ctx, "e", "an idle namespace", b.check, ns, 100)
}

func (b *bench) rowF(ctx context.Context) (err error) {
	set, err := load.Namespaces(ctx, b.namespaces, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	return b.alone(ctx, "f", fmt.Sprintf("%d namespaces with a process each", b.namespaces), b.checkAll, nil, 2000)
}

// alone measures a command that has no peer against a time in milliseconds.
func (b *bench) alone(ctx context.Context, row, work string, c command, ns *load.Netns, limit float64) error {
	var xs samples
	for range b.runs {
		s, err := c.execute(ctx, ns)
		if err != nil {
			return err
		}
		xs = append(xs, s)
	}
	b.add(row, work, c, xs, command{}, nil, fmt.Sprintf("A ≤ %g ms", limit), func(r result) bool { return r.ASecs*1000 <= limit })
	return nil
}
