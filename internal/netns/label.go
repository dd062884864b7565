package netns

import (
	"regexp"
	"strings"
)

// The ways in which container engines name the control group of a container.
// Sources: the cgroup drivers of runc and crun, systemd.slice(5), and the pod
// cgroup naming of the kubelet (pkg/kubelet/cm/cgroup_manager_linux.go).
var (
	containerID = regexp.MustCompile(`(?:^|/)(?:(docker|libpod|crio|cri-containerd|containerd|buildkit)-)?([0-9a-f]{64})(?:\.scope)?(?:/|$)`)
	podUID      = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})`)
	lxcPayload  = regexp.MustCompile(`(?:^|/)lxc\.payload\.([^/]+)`)
	machine     = regexp.MustCompile(`(?:^|/)(?:machine|systemd-nspawn|machine-[^/]*)?\.?slice/(?:machine-|systemd-nspawn@)([^/]+)\.(?:scope|service)`)
	unit        = regexp.MustCompile(`(?:^|/)([^/]+\.(?:service|scope))(?:/|$)`)
)

// Label names what lives in a control group: "pod 1b4e28ba…", "container
// 4f2a9c01d3e7", "lxc web1", "nginx.service", or "" when the path says nothing.
func Label(cgroup string) string {
	id := ""
	if m := containerID.FindStringSubmatch(cgroup); m != nil {
		id = "container " + m[2][:12]
	}
	if m := podUID.FindStringSubmatch(cgroup); m != nil {
		pod := "pod " + strings.ReplaceAll(m[1], "_", "-")
		if id != "" {
			return pod + " " + id
		}
		return pod
	}
	if id != "" {
		return id
	}
	if m := lxcPayload.FindStringSubmatch(cgroup); m != nil {
		return "lxc " + m[1]
	}
	if m := machine.FindStringSubmatch(cgroup); m != nil {
		return "machine " + m[1]
	}
	if all := unit.FindAllStringSubmatch(cgroup, -1); all != nil {
		return all[len(all)-1][1]
	}
	return ""
}

// parseCgroup takes the path out of the text of /proc/PID/cgroup: that of the
// unified hierarchy ("0::/path"), or where that is the root the longest other.
func parseCgroup(text string) string {
	best := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 || f[2] == "/" {
			continue
		}
		if f[0] == "0" {
			return f[2]
		}
		if len(f[2]) > len(best) {
			best = f[2]
		}
	}
	return best
}
