package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/portroom/portroom/internal/cli"
	"github.com/portroom/portroom/test/caps"
	"github.com/portroom/portroom/test/need"
)

// asUser in the environment makes this program the command portroom itself:
// "all" with the capabilities it has, "none" without any.
const asUser = "PORTROOM_LAW_ASK"

// asker becomes the command if the program was started as one.
func asker() {
	switch os.Getenv(asUser) {
	case "":
		return
	case "none":
		have, err := caps.Any()
		if have {
			err = caps.ExecWithout("/proc/self/exe", os.Args, os.Environ())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "drop capabilities:", err)
			os.Exit(99)
		}
	}
	os.Exit(cli.Main())
}

// The bounds would prove little if the asker had kept its capabilities.
func TestTheAskerWithoutCapabilitiesHasNone(t *testing.T) {
	need.Root(t)
	for user, limited := range map[string]bool{"all": false, "none": true} {
		cmd := exec.Command("/proc/self/exe", "check", "--json")
		cmd.Env = append(os.Environ(), asUser+"="+user)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 2) {
			t.Fatal(user, err)
		}
		if got := bytes.Contains(out, []byte("BPF iterators need root")); got != limited {
			t.Errorf("with %s capabilities: limited is %v, want %v\n%s", user, got, limited, out)
		}
	}
}

// ask runs the command portroom room inside the namespace, as a process of its
// own, and returns what it prints.
func (w *world) ask(d dial, src string, user string) (want, error) {
	cmd := exec.Command("/proc/self/exe", "room", d.dst.String(), "--from", src, "--json")
	if !d.src.IsValid() {
		cmd.Args = []string{cmd.Args[0], "room", d.dst.String(), "--json"} // let it look the route up
	}
	cmd.Env = append(os.Environ(), asUser+"="+user)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var err error
	w.run(func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return want{}, fmt.Errorf("portroom room with %s capabilities: %w: %s", user, err, errs.String())
	}
	var p struct {
		Src, Dst string
		Headroom int
		Max      int `json:"headroom_max"`
		Exact    bool
	}
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		return want{}, err
	}
	if p.Src != src || p.Dst != d.dst.String() {
		return want{}, errors.New("portroom room answers for " + p.Src + " to " + p.Dst)
	}
	return want{what: "portroom room with " + user + " capabilities, " + d.String(), low: p.Headroom, max: p.Max, exact: p.Exact}, nil
}
