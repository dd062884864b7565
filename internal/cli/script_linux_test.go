package cli_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/portroom/portroom/internal/cli"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"portroom": func() { os.Exit(cli.Main()) },
		"hold":     hold,
		"nocaps":   nocaps,
		"cut":      cut,
		"refuse":   refuse,
		"incident": incident,
	})
}

// The scripts run the real command against real namespaces.
func TestScripts(t *testing.T) {
	need.Root(t)
	_, err := exec.LookPath("ip")
	need.That(t, err == nil, "ip(8)", "apt-get install iproute2")
	_, err = exec.LookPath("script")
	need.That(t, err == nil, "script(1)", "apt-get install bsdutils")
	hosts, err := filepath.Abs("../../host/testdata")
	if err != nil {
		t.Fatal(err)
	}
	events, err := filepath.Abs("../winevent/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOSTS", hosts)
			e.Setenv("EVENTS", events)
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("TERM", "xterm")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"host":   hostCmd,
			"exits":  exitsCmd,
			"normal": normalCmd,
		},
	})
}

// hostCmd makes a network namespace and says its name in $VAR:
//
//	host VAR [sysctl=value …] [-- what hold is to hold]
func hostCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: host VAR [sysctl=value …] [-- …]")
	}
	n, err := load.NewNetns(context.Background())
	ts.Check(err)
	ts.Defer(func() { _ = n.Close() }) // some scripts delete it themselves
	ts.Setenv(args[0], n.Name)
	for _, addr := range []string{"10.77.0.1/32", "10.77.0.2/32"} {
		if out, err := exec.Command("ip", "-n", n.Name, "addr", "add", addr, "dev", "lo").CombinedOutput(); err != nil {
			ts.Fatalf("add %s: %v: %s", addr, err, out)
		}
	}
	args = args[1:]
	for len(args) > 0 && args[0] != "--" {
		key, value, _ := strings.Cut(args[0], "=")
		ts.Check(n.Sysctl("net.ipv4."+key, value))
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	// The holder ends when its input does, also if this process is killed.
	cmd := exec.Command("hold", args[1:]...)
	in, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(n.Start(cmd))
	ts.Defer(func() {
		in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		ts.Fatalf("hold: %q %v", line, err)
	}
}

// exitsCmd runs a program and wants this exit status: exits STATUS PROGRAM …
func exitsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// What differs from run to run, and how it is written instead.
var varies = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`portroom-load-\d+-\d+`), "HOST"},
	{regexp.MustCompile(`hold\[\d+\]`), "hold[PID]"},
	// Now; the logs in the scripts are of 2024.
	{regexp.MustCompile(`20(?:2[5-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`"(pid|netns|uid)": [1-9]\d*`), `"$1": 1`},
	{regexp.MustCompile(`"cgroup": "[^"]*"`), `"cgroup": "/CGROUP"`},
	{regexp.MustCompile(`"release": "[^"]*"`), `"release": "RELEASE"`},
	{regexp.MustCompile(`"remaining_seconds": [\d.]+`), `"remaining_seconds": 59.5`},
	{regexp.MustCompile(`\b(5\d(\.\d)?|60\.0)s\b`), "59.5s"},
	{regexp.MustCompile(`(?m)^( *\d+ +\d+ +)\d+( +hold)`), "${1}PID$2"},
	{regexp.MustCompile(`(?m) /\S*$`), " /CGROUP"},
	{regexp.MustCompile(`  +`), "  "},
	{regexp.MustCompile(`\r\n`), "\n"},
}

// normalCmd copies what was printed last to a file, what varies made the same:
// normal stdout|stderr FILE
func normalCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normal stdout|stderr FILE")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "WORK")
	for _, v := range varies {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}
