package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const sshVariable = "SSH_CONNECTION"

// sshPort returns the port of this host over which the SSH connection came that
// the command was given on; 0 when there is none. sudo and su take the variable
// away that says so, hence the processes above are asked too.
func sshPort(root string) uint16 {
	if v := os.Getenv(sshVariable); v != "" {
		return serverPort(v)
	}
	pid := os.Getppid()
	for range 16 { // shells within shells have an end
		if pid <= 1 {
			break
		}
		dir := filepath.Join(root, "proc", strconv.Itoa(pid))
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			break
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if text, ok := strings.CutPrefix(string(v), sshVariable+"="); ok {
				return serverPort(text)
			}
		}
		if pid, err = parent(filepath.Join(dir, "stat")); err != nil {
			break
		}
	}
	return 0
}

// serverPort is the last word of "client 50123 server 22".
func serverPort(v string) uint16 {
	f := strings.Fields(v)
	if len(f) != 4 {
		return 0
	}
	p, _ := strconv.ParseUint(f[3], 10, 16)
	return uint16(p)
}

// parent reads the parent's process id of /proc/PID/stat, where the name in front
// of it may hold blanks and brackets.
func parent(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var state string
	var pid int
	_, err = fmt.Sscan(string(b[bytes.LastIndexByte(b, ')')+1:]), &state, &pid)
	return pid, err
}
