package facts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// usualNodePorts is what kube-apiserver gives services unless --service-node-port-range
// says otherwise (the Kubernetes documentation, "Service", type NodePort).
var usualNodePorts = port.Range{First: 30000, Last: 32767}

// kubernetes are the programs that make a host a node.
var kubernetes = []string{"kubelet", "kube-proxy", "kube-apiserver", "k3s", "k3s-server", "k3s-agent", "rke2"}

// nodePorts claims the range of the NodePorts where one of these processes shows that
// Kubernetes runs. The range is that of the API server if it is among them, by its
// command line under the root, else the usual one.
func nodePorts(root string, all []socket.Owner) claim.Claims {
	who := ""
	r := usualNodePorts
	for _, p := range all {
		if !isNode(p.Command) {
			continue
		}
		if who == "" {
			who = p.Command
		}
		cmdline, err := os.ReadFile(filepath.Join(root, "proc", strconv.Itoa(p.PID), "cmdline"))
		if err != nil {
			continue
		}
		if own, ok := nodePortRange(string(cmdline)); ok {
			r = own
		}
	}
	if who == "" {
		return nil
	}
	return claim.Claims{{Kind: claim.NodePort, Ports: r, By: "NodePorts, since " + who + " runs"}}
}

// processes lists those of the /proc under a root.
func processes(root string) []socket.Owner {
	dirs, err := os.ReadDir(filepath.Join(root, "proc"))
	if err != nil {
		return nil
	}
	var out []socket.Owner
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(root, "proc", d.Name(), "comm")); err == nil {
			out = append(out, socket.Owner{PID: pid, Command: strings.TrimSpace(string(b))})
		}
	}
	return out
}

func isNode(comm string) bool {
	for _, k := range kubernetes {
		if comm == k {
			return true
		}
	}
	return false
}

// nodePortRange finds --service-node-port-range in a command line as /proc has it.
func nodePortRange(cmdline string) (port.Range, bool) {
	const flag = "service-node-port-range"
	args := strings.Split(strings.TrimRight(cmdline, "\x00"), "\x00")
	for i, a := range args {
		at := strings.Index(a, flag)
		if at < 0 {
			continue
		}
		value, ok := strings.CutPrefix(a[at:], flag+"=")
		if !ok && a[at:] == flag && i+1 < len(args) {
			value = args[i+1]
		}
		if r, err := port.ParseRange(value); err == nil && r.First > 0 {
			return r, true
		}
	}
	return port.Range{}, false
}
