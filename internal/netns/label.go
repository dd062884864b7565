package netns

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The ways in which container engines name the control group of a container, as
// one element of its path. Sources: the cgroup drivers of runc and crun ("slice:
// prefix:name" where a driver did not understand systemd's form), the pod cgroup
// naming of the kubelet (pkg/kubelet/cm/cgroup_manager_linux.go; the uid of a
// static pod has no hyphens), systemd.slice(5), systemd-machined(8).
var (
	containerID = regexp.MustCompile(`(?:^|:)(?:(?:docker|libpod|crio|cri-containerd|containerd|nerdctl|buildkit)[-:])?([0-9a-f]{64})(?:\.scope)?$`)
	podUID      = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice|:|$)`)
	lxcPayload  = regexp.MustCompile(`^lxc\.payload\.(.+)$`)
	machine     = regexp.MustCompile(`^(?:machine-|systemd-nspawn@)(.+)\.(?:scope|service)$`)
	unit        = regexp.MustCompile(`^(.+\.(?:service|scope))$`)
	escape      = regexp.MustCompile(`\\x[0-9a-f]{2}`)
)

// Label names what lives in a control group: "pod 1b4e28ba…", "container
// 4f2a9c01d3e7", "lxc web1", "nginx.service", or "" when the path says nothing.
// Where such things are nested, the innermost counts.
func Label(cgroup string) string {
	path := strings.Split(cgroup, "/")
	innermost := func(re *regexp.Regexp) string {
		for _, element := range slices.Backward(path) {
			if m := re.FindStringSubmatch(element); m != nil {
				return m[1]
			}
		}
		return ""
	}
	var parts []string
	if uid := innermost(podUID); uid != "" {
		parts = append(parts, "pod "+strings.ReplaceAll(uid, "_", "-"))
	}
	if id := innermost(containerID); id != "" {
		parts = append(parts, "container "+id[:12])
	}
	if len(parts) > 0 {
		return strings.Join(parts, " ")
	}
	if name := innermost(lxcPayload); name != "" {
		return "lxc " + name
	}
	if name := innermost(machine); name != "" {
		return "machine " + unescape(name)
	}
	return unescape(innermost(unit))
}

// unescape undoes what systemd does to names (systemd-escape(1)): \x2d is a
// hyphen. Control characters stay escaped.
func unescape(s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		n, err := strconv.ParseUint(e[2:], 16, 8)
		if err != nil || n < 0x20 || n >= 0x7f {
			return e
		}
		return string(rune(n))
	})
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
