package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portroom/portroom/test/need"
)

// told is what the tests look at of history --json.
type told struct {
	Samples, Refused int
	Pools            []struct {
		Refused int
		Peak    struct {
			Dst                      string
			Capacity, Held, Headroom int
			Owners                   []struct {
				PID     int
				Command string
				Ports   int
			}
		}
		Spells []struct{ Empty bool }
	}
	Refusals []refusedLine
	Changes  []struct{ Name, Before, Value string }
	Findings []struct{ Code string }
	Events   []struct{ Kind, Text string }
}

func history(t *testing.T, args ...string) (h told) {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command("portroom", append([]string{"history", "--json"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &h); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return h
}

// A host runs out of ports while it is recorded: who was refused how often, who held
// the ports, what was set, all of it is in the record.
func TestARecordTellsWhoRanOutOfPorts(t *testing.T) {
	ns, _ := tightHost(t)
	db := filepath.Join(t.TempDir(), "record.db")
	w := startWatch(t, "recording into", "portroom", "record", "--db", db, "--netns", ns.Name, "--interval", "100ms", "--max-cpu", "100")
	if err := ns.Sysctl("net.ipv4.tcp_tw_reuse", "0"); err != nil {
		t.Fatal(err)
	}
	want := 0
	var holders []refuser
	for _, attempts := range []int{7, 20, 5} {
		r := refuseIn(t, ns, attempts, "127.0.0.1:7000")
		holders = append(holders, r)
		want += r.refused
	}
	six := refuseIn(t, ns, 14, "[::1]:7000")
	want += six.refused
	if want != 17+5+4 {
		t.Fatalf("%d connects were refused", want)
	}
	time.Sleep(time.Second) // so that there is a sample with all of it
	w.end()
	h := history(t, "--db", db)
	if h.Refused != want {
		t.Errorf("%d refused in the record, %d were", h.Refused, want)
	}
	counts := make(map[int]int)
	for _, r := range h.Refusals {
		counts[r.PID] += int(r.Count)
		if r.Command != "refuse" || r.Errno != "EADDRNOTAVAIL" {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range append(holders, six) {
		if counts[r.pid] != r.refused {
			t.Errorf("process %d: %d refused in the record, %d were", r.pid, counts[r.pid], r.refused)
		}
	}
	if len(h.Pools) != 2 || h.Pools[0].Peak.Held != 10 || h.Pools[0].Peak.Headroom != 0 || len(h.Pools[0].Spells) != 1 || !h.Pools[0].Spells[0].Empty {
		t.Fatalf("pools %+v", h.Pools)
	}
	if o := h.Pools[0].Peak.Owners; len(o) != 2 || o[0].PID != holders[0].pid || o[0].Ports != 7 || o[1].Ports != 3 {
		t.Errorf("holders %+v", o)
	}
	if len(h.Changes) != 1 || h.Changes[0].Name != "net.ipv4.tcp_tw_reuse" || h.Changes[0].Value != "0" {
		t.Errorf("changes %+v", h.Changes)
	}
	if len(h.Findings) == 0 || h.Findings[0].Code != "PR101" {
		t.Errorf("findings %+v", h.Findings)
	}
	at := exec.Command("portroom", "history", "--db", db, "--at", "now")
	if out, err := at.CombinedOutput(); err != nil || !strings.Contains(string(out), "CRITICAL  127.0.0.1 → 127.0.0.1:7000 has no port left, 10 of 10 held") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOneRecorderToAFile(t *testing.T) {
	ns, _ := tightHost(t)
	db := filepath.Join(t.TempDir(), "record.db")
	w := startWatch(t, "recording into", "portroom", "record", "--db", db, "--netns", ns.Name, "--interval", "100ms")
	out, err := exec.Command("portroom", "record", "--db", db, "--netns", ns.Name, "--for", "1s").CombinedOutput()
	want := fmt.Sprintf("portroom: %s is being written by another recorder, process %d\n", db, w.cmd.Process.Pid)
	if err == nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
	// Killed, it leaves a record that opens, and the lock falls with it.
	if err := w.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = w.cmd.Wait()
	if h := history(t, "--db", db); h.Samples == 0 {
		t.Error("no sample is left")
	}
	if out, err := exec.Command("portroom", "record", "--db", db, "--netns", ns.Name, "--for", "300ms", "--interval", "100ms").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSIGTERMEndsARecorderWell(t *testing.T) {
	ns, _ := tightHost(t)
	db := filepath.Join(t.TempDir(), "record.db")
	w := startWatch(t, "recording into", "portroom", "record", "--db", db, "--netns", ns.Name)
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.wait()
	if _, err := os.Stat(db + "-wal"); err == nil {
		t.Error("the log was not put into the file")
	}
	h := history(t, "--db", db)
	if n := len(h.Events); n == 0 || h.Events[n-1].Kind != "stop" {
		t.Errorf("events %+v", h.Events)
	}
}

// Without privilege the pools are recorded, with bounds, and it is said that refused
// connects are not.
func TestWithoutPrivilegeTheRecordSaysWhatItLacks(t *testing.T) {
	ns, _ := tightHost(t)
	db := filepath.Join(t.TempDir(), "record.db")
	w := startWatchIn(t, ns, "recording into", "nocaps", "portroom", "record", "--db", db, "--interval", "100ms")
	time.Sleep(300 * time.Millisecond)
	_, stderr := w.end()
	if !strings.Contains(stderr, "refused connects are not recorded: ") || !strings.Contains(stderr, "only this network namespace is recorded: ") {
		t.Errorf("%q", stderr)
	}
	h := history(t, "--db", db)
	if h.Samples < 2 || len(h.Events) < 2 || h.Events[0].Kind != "trace" {
		t.Errorf("%+v", h)
	}
	out, err := exec.Command("portroom", "history", "--db", db, "--refusals").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no connect was refused") || !strings.Contains(string(out), "refused connects are not recorded") {
		t.Errorf("%v: %s", err, out)
	}
}

// The service runs with the capabilities that its unit leaves it, says that it is
// ready, and that it is alive.
func TestTheUnitLeavesTheServiceWhatItNeeds(t *testing.T) {
	ns, _ := tightHost(t)
	_, err := exec.LookPath("setpriv")
	need.That(t, err == nil, "setpriv(1)", "apt-get install util-linux")
	unit, err := os.ReadFile("../../packaging/portroom-record.service")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(unit)
	if line == nil {
		t.Fatal("the unit bounds no capabilities")
	}
	set := "-all"
	for _, c := range strings.Fields(string(line[1])) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "200000")
	db := filepath.Join(t.TempDir(), "record.db")
	w := startWatch(t, "recording into", "setpriv", "--bounding-set", set, "--inh-caps=-all",
		"portroom", "record", "--db", db, "--interval", "100ms", "--max-cpu", "100")
	buf := make([]byte, 256)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := manager.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("%q %v, want %s", buf[:n], err, want)
		}
	}
	if err := manager.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { // as systemd does
		for {
			if _, err := manager.Read(make([]byte, 256)); err != nil {
				return
			}
		}
	}()
	r := refuseIn(t, ns, 13, "127.0.0.1:7000")
	found := false
	for begun := time.Now(); !found && time.Since(begun) < time.Minute; time.Sleep(200 * time.Millisecond) {
		for _, p := range history(t, "--db", db, "--netns", ns.Name).Pools {
			found = found || p.Peak.Held == 10 && len(p.Peak.Owners) == 1 && p.Peak.Owners[0].PID == r.pid
		}
	}
	if !found {
		t.Error("the pool and its holder are not in the record")
	}
	_, stderr := w.end()
	if strings.Contains(stderr, "not recorded") {
		t.Errorf("%s", stderr)
	}
	if h := history(t, "--db", db, "--netns", ns.Name); h.Refused != r.refused {
		t.Errorf("%d refused in the record, %d were", h.Refused, r.refused)
	}
}

func TestTheUnitIsInOrder(t *testing.T) {
	_, err := exec.LookPath("systemd-analyze")
	need.That(t, err == nil, "systemd-analyze(1)", "apt-get install systemd")
	unit, err := os.ReadFile("../../packaging/portroom-record.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := exec.LookPath("portroom")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "portroom-record.service")
	if err := os.WriteFile(path, bytes.ReplaceAll(unit, []byte("/usr/bin/portroom"), []byte(self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=40", path).CombinedOutput()
	if err != nil {
		t.Errorf("its exposure is above 4.0: %v: %s", err, out)
	}
}

// The report is one file that a browser shows with all its pictures.
func TestTheReportIsShownByABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	need.That(t, err == nil, "chromium", "apt-get install chromium")
	dir := t.TempDir()
	db, page := filepath.Join(dir, "night.db"), filepath.Join(dir, "incident.html")
	if err := writeIncident(db); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("portroom", "history", "--db", db, "--report", page)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is fetched: the only addresses are the names of XML name spaces.
	for _, address := range regexp.MustCompile(`(?i)(src|href|url\()\s*=?\s*["']?[a-z]*:?//[^"' )]+`).FindAll(text, -1) {
		t.Errorf("the report refers to %s", address)
	}
	cache, err := filepath.Abs("../../.cache")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, browser, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + filepath.Join(dir, "profile"), "--window-size=1280,2600",
		}, append(args, "file://"+page)...)...).Output()
		if err != nil {
			t.Fatalf("chromium: %v", err)
		}
		return out
	}
	// What the browser made of it: two pictures with lines in them.
	dom := string(run("--dump-dom"))
	if n := strings.Count(dom, "<svg"); n != 2 {
		t.Errorf("%d pictures, want one of all pools and one of the full one", n)
	}
	for _, part := range strings.Split(dom, "<svg")[1:] {
		picture, _, _ := strings.Cut(part, "</svg>")
		if n := strings.Count(picture, "<path"); n < 5 || !strings.Contains(picture, "connects refused") {
			t.Errorf("a picture with %d lines", n)
		}
	}
	for _, want := range []string{
		"1482 connects refused for want of a port; 1 pool ran out of ports", "nginx[812]", "nginx.service", "net.ipv4.tcp_tw_reuse was set to 0, before 2",
		"PR101", "portroom fix widen-range", "ceiling 470/s → 922/s", "Linux 6.12.9", "nothing was recorded",
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	shot := filepath.Join(cache, "report.png")
	os.Remove(shot)
	run("--screenshot=" + shot)
	if i, err := os.Stat(shot); err != nil || i.Size() < 50_000 {
		t.Errorf("the screenshot: %v %v", i, err)
	}
}
