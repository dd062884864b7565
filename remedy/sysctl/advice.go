package sysctl

import (
	"fmt"
	"slices"
	"strings"
)

// safe are the parameters of this package that a pod may set unless the kubelet
// was told otherwise (pkg/kubelet/sysctl/safe_sysctls.go of Kubernetes; reserved
// ports since 1.27).
var safe = []string{Range, Reserved}

// Advice says where to put assignments so that a namespace has them from its
// start. Nothing that portroom could write would do that: whoever makes the
// namespace sets them. label is who lives there, as [netns.Label] has it.
func Advice(label string, set []Assignment) []string {
	ends := "what is set in this network namespace ends with it"
	kind, _, _ := strings.Cut(label, " ")
	switch {
	case kind == "pod":
		return append([]string{ends + ". So that the pod starts with it, in its specification:"}, pod(set)...)
	case kind == "container":
		return append([]string{ends + ". So that the container starts with it:"}, docker(set)...)
	case kind == "machine" || kind == "lxc":
		return []string{ends + ". So that it starts with it, set it in the container's own /etc/sysctl.d: portroom set … --root with the root of its files"}
	case strings.HasSuffix(label, ".service"):
		return append([]string{ends + ". So that " + label + " starts with it, in its unit (systemctl edit " + label + "):"}, unit(set)...)
	}
	lines := []string{ends + ". So that it starts with it, where it is made:"}
	for _, a := range set {
		lines = append(lines, fmt.Sprintf("  ip netns exec NAME sysctl -w %s=%q", a.Key(), a.Value))
	}
	lines = append(lines, docker(set)...)
	return append(lines, "or in a pod:", "  "+strings.TrimSpace(strings.Join(pod(set), " ")))
}

func docker(set []Assignment) []string {
	line := "  docker run"
	for _, a := range set {
		line += fmt.Sprintf(" --sysctl %s=%q", a.Key(), a.Value)
	}
	return []string{line + " …"}
}

func pod(set []Assignment) []string {
	line := "  securityContext: {sysctls: ["
	var unsafe []string
	for i, a := range set {
		if i > 0 {
			line += ", "
		}
		line += fmt.Sprintf("{name: %s, value: %q}", a.Key(), a.Value)
		if !slices.Contains(safe, a.Name) {
			unsafe = append(unsafe, a.Key())
		}
	}
	lines := []string{line + "]}"}
	if len(unsafe) > 0 {
		lines = append(lines, "  (the kubelet allows it only with --allowed-unsafe-sysctls="+strings.Join(unsafe, ",")+")")
	}
	return lines
}

func unit(set []Assignment) []string {
	lines := []string{"  [Service]"}
	for _, a := range set {
		lines = append(lines, fmt.Sprintf("  ExecStartPre=+sysctl -w %q", a.Key()+"="+a.Value))
	}
	return lines
}
