package emit

import (
	"fmt"
	"slices"
	"strings"
)

// safe are the parameters, of those that portroom sets, that a pod may set without
// leave of the kubelet (pkg/kubelet/sysctl/safe_sysctls.go of Kubernetes; reserved
// ports from 1.27 on).
var safe = []string{"net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"}

// writeKubernetes writes a patch of whatever has a pod template. The list of
// sysctls is replaced as a whole by a patch (it has no merge key), so that what
// else a workload sets there must be added by hand.
func writeKubernetes(_ For, s script) ([]File, error) {
	const name = "portroom-patch.yaml"
	use := []string{
		"kubectl patch deployment NAME --patch-file " + name,
		"The pods are made anew. The list takes the place of one that is there: add what else is in it.",
	}
	if s.restore {
		use = append(use, "Or remove the list, where there was none: kubectl rollout undo deployment NAME")
	}
	var unsafe []string
	for _, c := range s.changes {
		if !slices.Contains(safe, c.object) {
			unsafe = append(unsafe, c.object)
		}
	}
	if len(unsafe) > 0 {
		use = append(use, "The kubelet refuses such pods unless it has --allowed-unsafe-sysctls="+strings.Join(unsafe, ","))
	}
	text := comment("#", s.head(use...), "\n")
	text += "spec:\n  template:\n    spec:\n      securityContext:\n        sysctls:\n"
	for _, c := range s.changes {
		text += fmt.Sprintf("        - name: %s\n          value: %s\n", c.object, yamlString(c.to.Data))
	}
	return []File{{name, false, []byte(text)}}, nil
}

// writeDocker writes a script in place of docker run, and an override for compose.
func writeDocker(_ For, s script) ([]File, error) {
	var run, compose strings.Builder
	run.WriteString("#!/bin/sh\n")
	run.WriteString(comment("#", s.head("./docker-run.sh [OPTION…] IMAGE [COMMAND…] in place of docker run"), "\n"))
	run.WriteString("exec docker run")
	compose.WriteString(comment("#", s.head(
		"docker compose -f compose.yaml -f compose.portroom.yaml up -d",
		"Put the name of your service in the place of app.",
	), "\n"))
	compose.WriteString("services:\n  app:\n    sysctls:\n")
	for _, c := range s.changes {
		run.WriteString(" \\\n  --sysctl " + shellQuote(c.object+"="+c.to.Data))
		fmt.Fprintf(&compose, "      %s: %s\n", c.object, yamlString(c.to.Data))
	}
	run.WriteString(" \\\n  \"$@\"\n")
	return []File{
		{"docker-run.sh", true, []byte(run.String())},
		{"compose.portroom.yaml", false, []byte(compose.String())},
	}, nil
}

// shellQuote makes one word of the shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// yamlString writes a text so that no reader takes it for a number: a double-quoted
// scalar, whose escapes are those of JSON (YAML 1.2, 5.7).
func yamlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r == 0x85 || r == 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
