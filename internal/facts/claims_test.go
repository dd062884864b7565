package facts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/port"
)

func linked(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if to, link := linkTo(text); link {
			if err := os.Symlink(to, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// linkTo takes "-> PATH" for a link.
func linkTo(text string) (to string, link bool) {
	if len(text) > 3 && text[:3] == "-> " {
		return text[3:], true
	}
	return "", false
}

func one(p uint16) port.Range { return port.Range{First: p, Last: p} }

func TestSocketUnitsClaimTheirPorts(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  claim.Claims
	}{
		"ports, addresses, and what has no port": {
			map[string]string{"usr/lib/systemd/system/a.socket": "[Unit]\nListenStream=1\n[Socket]\nListenStream=8080\n ListenStream = 127.0.0.1:8081 \nListenDatagram=[::1]:8082\n" +
				"ListenStream=/run/x:99\nListenStream=@abstract\nListenStream=vsock:2:1234\n#ListenStream=7\nListenFIFO=/x\nAccept=yes\n[Install]\n"},
			claim.Claims{{Kind: claim.Configured, Ports: one(8080), By: "a.socket"}, {Kind: claim.Configured, Ports: one(8081), By: "a.socket"}, {Kind: claim.Configured, Ports: one(8082), By: "a.socket"}},
		},
		"an empty assignment takes back those before": {
			map[string]string{"usr/lib/systemd/system/a.socket": "[Socket]\nListenStream=22\nListenStream=\nListenStream=2222\n"},
			claim.Claims{{Kind: claim.Configured, Ports: one(2222), By: "a.socket"}},
		},
		"a drop-in adds to its unit, wherever that lies": {
			map[string]string{
				"usr/lib/systemd/system/a.socket":             "[Socket]\nListenStream=22\n",
				"etc/systemd/system/a.socket.d/override.conf": "[Socket]\nListenStream=\nListenStream=2022\n",
			},
			claim.Claims{{Kind: claim.Configured, Ports: one(2022), By: "a.socket"}},
		},
		"the administrator's unit hides the vendor's": {
			map[string]string{
				"usr/lib/systemd/system/a.socket": "[Socket]\nListenStream=1111\n",
				"etc/systemd/system/a.socket":     "[Socket]\nListenStream=2222\n",
			},
			claim.Claims{{Kind: claim.Configured, Ports: one(2222), By: "a.socket"}},
		},
		"a masked unit claims nothing, nor does the one that it hides": {
			map[string]string{
				"usr/lib/systemd/system/a.socket": "[Socket]\nListenStream=1111\n",
				"etc/systemd/system/a.socket":     "-> /dev/null",
			},
			nil,
		},
		"a system without systemd": {map[string]string{"etc/hostname": "x"}, nil},
		"what is no port": {
			map[string]string{"usr/lib/systemd/system/a.socket": "[Socket]\nListenStream=0\nListenStream=65536\nListenStream=x\nListenStream=10.0.0.1:\n"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Units(linked(t, c.files))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNodePortsAreClaimedWhereKubernetesRuns(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  claim.Claims
	}{
		"a node": {
			map[string]string{"proc/77/comm": "kubelet\n", "proc/77/cmdline": "/usr/bin/kubelet\x00--v=2\x00"},
			claim.Claims{{Kind: claim.NodePort, Ports: port.Range{First: 30000, Last: 32767}, By: "NodePorts, since kubelet runs"}},
		},
		"an API server that was told another range": {
			map[string]string{"proc/9/comm": "kube-apiserver\n", "proc/9/cmdline": "kube-apiserver\x00--service-node-port-range=20000-22767\x00"},
			claim.Claims{{Kind: claim.NodePort, Ports: port.Range{First: 20000, Last: 22767}, By: "NodePorts, since kube-apiserver runs"}},
		},
		"the same in two words": {
			map[string]string{"proc/9/comm": "k3s-server\n", "proc/9/cmdline": "k3s\x00server\x00--service-node-port-range\x0020000-22767\x00"},
			claim.Claims{{Kind: claim.NodePort, Ports: port.Range{First: 20000, Last: 22767}, By: "NodePorts, since k3s-server runs"}},
		},
		"another program with such a word": {
			map[string]string{"proc/9/comm": "vi\n", "proc/9/cmdline": "vi\x00kubelet\x00"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := linked(t, c.files)
			if d := cmp.Diff(c.want, nodePorts(root, processes(root))); d != "" {
				t.Error(d)
			}
		})
	}
}

// Whatever a unit holds, its ports are ports.
func FuzzListens(f *testing.F) {
	f.Add("[Socket]\nListenStream=[::1]:80\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range listens(text) {
			if p == 0 {
				t.Error("port 0")
			}
		}
	})
}
