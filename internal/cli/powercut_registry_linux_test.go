package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/test/hivex"
)

// where is when keys were changed, and where in the file they lie: no part of what a
// hive holds.
var where = regexp.MustCompile(`<mtime>[^<]*</mtime>|<byte_runs>.*?</byte_runs>`)

// tree is everything that a hive holds, as hivexml prints it.
func tree(t *testing.T, path string) string {
	t.Helper()
	out, err := judge(t, "hivexml", path)
	if err != nil {
		t.Fatalf("hivexml: %v", err)
	}
	return where.ReplaceAllString(out, "")
}

// registryCut is a command on a registry that is cut off.
type registryCut struct {
	name    string
	prepare [][]string
	args    []string
	// wounded: the last command of prepare is cut off after it wrote the registry for
	// the last time, so that the command starts by mending.
	wounded bool
}

// Two values and the key that they belong into: four contents, with those between.
var (
	setRegistry  = []string{"set", "MaxUserPort=65534", "TcpTimedWaitDelay=30", "--yes"}
	registryCuts = []registryCut{
		{name: "a change", args: setRegistry},
		{name: "its undo", prepare: [][]string{setRegistry}, args: undoLast},
		{name: "the rolling back of a change", prepare: [][]string{setRegistry}, args: []string{"confirm"}, wounded: true},
		{name: "the rolling back of an undo", prepare: [][]string{setRegistry, undoLast}, args: []string{"confirm"}, wounded: true},
	}
)

// The registry before the change, and what each step of it adds.
const cutBase = `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SYSTEM\Select]
"Current"=dword:00000001

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001]

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services]

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip]
`

var cutSteps = []string{
	"\n[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters]\n",
	"\"MaxUserPort\"=dword:0000fffe\n",
	"\"TcpTimedWaitDelay\"=dword:0000001e\n",
}

// cutDisk makes a registry of a kind, and returns all contents that it may have:
// for a hive as hivexml prints what hivexregedit makes, for a .reg file every byte.
func cutDisk(t *testing.T, door string) (d *disk, contents []string) {
	t.Helper()
	top := t.TempDir()
	d = &disk{t: t, dir: filepath.Join(top, "disk"), hive: filepath.Join(top, "disk", "system"), state: filepath.Join(top, "state")}
	text := cutBase
	for i := range len(cutSteps) + 1 {
		if i > 0 {
			text += cutSteps[i-1]
		}
		if door == "reg" {
			contents = append(contents, text+"\n")
			continue
		}
		path := filepath.Join(t.TempDir(), "system")
		hivex.Fill(t, path, `HKEY_LOCAL_MACHINE\SYSTEM`, text)
		contents = append(contents, tree(t, path))
	}
	if door == "hive" {
		hivex.Fill(t, d.hive, `HKEY_LOCAL_MACHINE\SYSTEM`, cutBase)
		return d, contents
	}
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.hive, []byte(contents[0]), 0o640); err != nil {
		t.Fatal(err)
	}
	return d, contents
}

// now is what the registry holds.
func (d *disk) now(door string) string {
	d.t.Helper()
	if door == "reg" {
		return read(d.t, d.hive)
	}
	return tree(d.t, d.hive)
}

// cut runs a command that is cut off, or logs its operations.
func (d *disk) cut(env, door string, args []string) {
	d.t.Helper()
	cmd := exec.Command("cut", append(target(d, door, args), "--state-dir", d.state)...)
	cmd.Env = append(os.Environ(), env)
	_ = cmd.Run()
}

// target adds the target to a command that wants one.
func target(d *disk, door string, args []string) []string {
	if args[0] != "set" {
		return args
	}
	return append(slices.Clone(args), "--target", door+":"+d.hive)
}

// operations are those of a command on files.
func (d *disk) operations(door string, args []string) []cutPoint {
	d.t.Helper()
	log := filepath.Join(d.t.TempDir(), "log")
	d.cut("CUT_LOG="+log, door, args)
	return cutPoints(read(d.t, log))
}

// save copies the folders, and reset brings them back.
func (d *disk) save() string {
	d.t.Helper()
	to := d.t.TempDir()
	if out, err := exec.Command("cp", "-a", filepath.Dir(d.dir)+"/.", to).CombinedOutput(); err != nil {
		d.t.Fatalf("cp: %v: %s", err, out)
	}
	return to
}

func (d *disk) reset(files string) {
	d.t.Helper()
	for _, dir := range []string{d.dir, d.state} {
		if err := os.RemoveAll(dir); err != nil {
			d.t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", "-a", files+"/.", filepath.Dir(d.dir)).CombinedOutput(); err != nil {
		d.t.Fatalf("cp: %v: %s", err, out)
	}
}

// changes are the states of those in the journal, the latest first.
func (d *disk) changes() (all []remedy.Status) {
	d.t.Helper()
	list, err := remedy.Read(d.state)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, c := range slices.Backward(list) {
		all = append(all, c.Status)
	}
	return all
}

// Wherever a change of a registry file, its undo or the mending itself is cut off,
// by a kill or by a loss of power, the file has the content before or after one of
// the steps, the next run makes it the old or the new one as the journal says,
// nothing is left beside it, and all can be undone.
func TestACutLeavesTheOldRegistryOrTheNewOne(t *testing.T) {
	var mu sync.Mutex
	counts, total := make(map[string]int), 0
	t.Cleanup(func() { t.Logf("%d cut points in all: %v", total, counts) })
	for _, door := range []string{"hive", "reg"} {
		for _, c := range registryCuts {
			t.Run(door+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				d, contents := cutDisk(t, door)
				for i, args := range c.prepare {
					if c.wounded && i == len(c.prepare)-1 {
						d.wound(door, args)
						continue
					}
					d.run(0, target(d, door, args)...)
				}
				files := d.save()
				points := d.operations(door, c.args)
				for _, p := range points {
					d.reset(files)
					d.cut(fmt.Sprintf("CUT=%d:%s", p.at, p.how), door, c.args)
					d.judge(door, c, p, contents)
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
}

// wound cuts a command off after it has written the registry for the last time.
func (d *disk) wound(door string, args []string) {
	d.t.Helper()
	was, files := d.now(door), d.save()
	at := 0
	for _, p := range d.operations(door, args) {
		if p.op == "rename system" {
			at = p.at
		}
	}
	d.reset(files)
	d.cut(fmt.Sprintf("CUT=%d:%s", at, after), door, args)
	if d.now(door) == was {
		d.t.Fatal("the registry was not written")
	}
}

// judge looks at what a cut left, and at what the next run makes of it.
func (d *disk) judge(door string, c registryCut, p cutPoint, contents []string) {
	d.t.Helper()
	where := fmt.Sprintf("cut %s operation %d (%s)", p.how, p.at, p.op)
	old, fresh := contents[0], contents[len(contents)-1]
	now := d.now(door)
	if !slices.Contains(contents, now) {
		d.t.Errorf("%s: the registry holds neither the old content nor the new one, nor one in between:\n%s", where, now)
	}
	// The next run. There is nothing to confirm, which it says once all is mended.
	if _, stderr := d.run(3, "confirm"); !strings.Contains(stderr, "there is nothing to confirm") {
		d.t.Errorf("%s: the next run says %s", where, stderr)
	}
	changes := d.changes()
	want := old
	if slices.Contains(changes, remedy.InForce) {
		want = fresh
	}
	if c.wounded && changes[0] != "rolled back" {
		d.t.Errorf("%s: the change is %q", where, changes[0])
	}
	if d.now(door) != want {
		d.t.Errorf("%s: the changes are %q, and the registry holds\n%s", where, changes, d.now(door))
	}
	if list, err := os.ReadDir(d.dir); err != nil || len(list) != 1 {
		d.t.Errorf("%s: left beside the registry: %v, %v", where, list, err)
	}
	// Nothing is lost: everything can be taken back from here.
	for slices.Contains(d.changes(), remedy.InForce) {
		d.run(0, "undo", "--yes")
	}
	if d.now(door) != old {
		d.t.Errorf("%s: undoing everything does not lead back:\n%s", where, d.now(door))
	}
}
