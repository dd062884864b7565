package cli

import (
	"os/exec"
	"syscall"
)

const detachedProcess = 0x8 // DETACHED_PROCESS of CreateProcess: no console

// detach makes a command leave its console.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess, HideWindow: true}
}

// ignoreHangup has nothing to do: a detached process has no console whose end
// could reach it.
func ignoreHangup() {}
