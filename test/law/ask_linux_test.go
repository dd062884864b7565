package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/cli"
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
		if err := dropCapabilities(); err != nil {
			fmt.Fprintln(os.Stderr, "drop capabilities:", err)
			os.Exit(99)
		}
	}
	os.Exit(cli.Main())
}

// dropCapabilities gives up every capability. They belong to the thread, and
// threads started from now on inherit from this one: the process image is
// executed anew, which leaves it with this thread alone and, because of
// SECBIT_NOROOT, without what uid 0 would bring back.
func dropCapabilities() error {
	var data [2]unix.CapUserData
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	if data[0].Effective|data[1].Effective|data[0].Permitted|data[1].Permitted == 0 {
		return nil // executed anew
	}
	runtime.LockOSThread()
	const noRoot, noRootLocked = 1, 2 // SECBIT_NOROOT of linux/securebits.h
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot|noRootLocked, 0, 0, 0); err != nil {
		return err
	}
	data = [2]unix.CapUserData{}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
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
	return want{"portroom room with " + user + " capabilities, " + d.String(), p.Headroom, p.Max, p.Exact}, nil
}
