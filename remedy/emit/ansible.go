package emit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/remedy/winreg"
)

// writeAnsible writes a playbook. It needs the collections ansible.posix, or
// ansible.windows.
func writeAnsible(to For, s script) ([]File, error) {
	const name = "portroom.yml"
	use := []string{"ansible-playbook -i INVENTORY --limit HOSTS " + name}
	if to.System == Windows && s.needsRestart() {
		use = append(use, "It acts after a restart of the hosts (ansible.windows.win_reboot).")
	}
	var b strings.Builder
	b.WriteString(comment("#", s.head(use...), "\n"))
	b.WriteString("- name: " + yamlString(s.head()[0]) + "\n  hosts: all\n")
	if to.System != Windows {
		b.WriteString("  become: true\n")
	}
	b.WriteString("  tasks:\n")
	for _, c := range s.changes {
		var task string
		var err error
		if to.System == Windows {
			task, err = windowsTask(c)
		} else {
			task = sysctlTask(to, s, c)
		}
		if err != nil {
			return nil, err
		}
		b.WriteString(task)
	}
	return []File{{name, false, []byte(b.String())}}, nil
}

// task writes one task; each argument is a line.
func task(name, module string, arguments ...string) string {
	text := "    - name: " + yamlString(name) + "\n      " + module + ":\n"
	for _, a := range arguments {
		text += "        " + a + "\n"
	}
	return text
}

// sysctlTask sets a parameter now and at each start. The way back takes it out of
// the file, which alone would not set it.
func sysctlTask(to For, s script, c change) string {
	file := "/etc/sysctl.d/" + sysctlName
	if to.System == FreeBSD {
		file = "/etc/sysctl.conf"
	}
	argv := []string{"argv:", "  - sysctl", "  - -w", "  - " + yamlString(c.object+"="+c.to.Data)}
	if to.System == FreeBSD {
		argv = slices.Delete(argv, 2, 3) // it sets without
	}
	if !s.restore && c.to.Data == "" { // which ansible.posix.sysctl refuses
		return task(c.object+" is set at each start", "ansible.builtin.lineinfile",
			"path: "+file, "line: "+yamlString(c.object+"="), "regexp: "+yamlString("^"+regexp.QuoteMeta(c.object)+`\s*=`), "create: true", "mode: \"0644\"") +
			task(c.object+" is set now", "ansible.builtin.command", argv...)
	}
	if !s.restore {
		return task(c.object, "ansible.posix.sysctl",
			"name: "+c.object, "value: "+yamlString(c.to.Data), "sysctl_file: "+file, "sysctl_set: true", "reload: false", "state: present")
	}
	return task(c.object+" is not set at each start", "ansible.posix.sysctl",
		"name: "+c.object, "sysctl_file: "+file, "reload: false", "state: absent") +
		task(c.object+" is set back now", "ansible.builtin.command", argv...)
}

// regeditTypes are the types that win_regedit knows.
var regeditTypes = map[registry.Type]string{
	registry.None: "none", registry.SZ: "string", registry.ExpandSZ: "expandstring", registry.Binary: "binary",
	registry.DWORD: "dword", registry.MultiSZ: "multistring", registry.QWORD: "qword",
}

func windowsTask(c change) (string, error) {
	switch c.kind {
	case winreg.KindDynamic:
		d, err := winreg.Dynamic(c.object, c.to)
		if err != nil {
			return "", err
		}
		return task("dynamic port range "+c.object, "ansible.windows.win_command",
			"argv:", "  - netsh.exe", "  - "+strings.Join(nt.SetDynamicArgs(d), "\n          - ")), nil
	case winreg.KindAutoReuse:
		text, err := autoReuseScript(c)
		if err != nil {
			return "", err
		}
		return task(winreg.AutoReuse, "ansible.windows.win_powershell", "script: "+yamlString(text)), nil
	}
	where := []string{"path: " + yamlString(`HKLM:\`+c.key), "name: " + yamlString(c.name)}
	if c.to.Absent {
		return task(c.name, "ansible.windows.win_regedit", append(where, "state: absent")...), nil
	}
	v, err := winreg.Value(c.name, c.to)
	if err != nil {
		return "", err
	}
	typ, ok := regeditTypes[v.Type]
	if !ok {
		return "", noType(v)
	}
	data, err := regeditData(v)
	if err != nil {
		return "", err
	}
	return task(c.name, "ansible.windows.win_regedit", append(where, "data: "+data, "type: "+typ, "state: present")...), nil
}

// regeditData writes the data of a value as win_regedit takes it: what is no text
// as a list of bytes in hexadecimal.
func regeditData(v registry.Value) (string, error) {
	if n, err := v.Uint32(); err == nil && v.Type == registry.DWORD {
		return fmt.Sprint(n), nil
	}
	if list, ok := linesOf(v); ok {
		var quoted []string
		for _, l := range list {
			quoted = append(quoted, yamlString(l))
		}
		return "[" + strings.Join(quoted, ", ") + "]", nil
	}
	if s, ok := textOf(v); ok {
		return yamlString(s), nil
	}
	if v.Type == registry.Binary || v.Type == registry.None {
		return yamlString("hex:" + commaHex(v.Data)), nil
	}
	return "", noType(v)
}
