package facts

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/port"
)

// usualNodePorts is what kube-apiserver gives services unless --service-node-port-range
// says otherwise (the Kubernetes documentation, "Service", type NodePort).
var usualNodePorts = port.Range{First: 30000, Last: 32767}

// kubernetes are the programs that make a host a node.
var kubernetes = []string{"kubelet", "kube-proxy", "kube-apiserver", "k3s", "k3s-server", "k3s-agent", "rke2"}

// nodePorts claims the range of the NodePorts where the /proc under a root shows
// that Kubernetes runs. The range is that of the API server if one runs here, else
// the usual one.
func nodePorts(root string) claim.Claims {
	names, err := filepath.Glob(filepath.Join(root, "proc/[0-9]*/comm"))
	if err != nil {
		return nil
	}
	who := ""
	r := usualNodePorts
	for _, path := range names {
		b, err := os.ReadFile(path)
		comm := strings.TrimSpace(string(b))
		if err != nil || !isNode(comm) {
			continue
		}
		if who == "" {
			who = comm
		}
		cmdline, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
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
