//go:build unix

package cli

import (
	"os/exec"
	"os/signal"
	"syscall"
)

// detach makes a command leave its terminal and session.
func detach(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

// ignoreHangup lets a process outlive its terminal, and a Ctrl-C that was meant
// for another.
func ignoreHangup() { signal.Ignore(syscall.SIGHUP, syscall.SIGINT) }
