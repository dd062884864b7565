package emit

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// sysctlName sorts as portroom's own file in /etc/sysctl.d does.
const sysctlName = "60-portroom.conf"

// writeSysctl writes what sysctl(8) reads, or launchd where nothing reads a file.
func writeSysctl(to For, s script) ([]File, error) {
	switch to.System {
	case MacOS:
		return writeLaunchd(s)
	case FreeBSD:
		use := []string{"sysctl -f portroom.sysctl.conf sets it now; its lines in /etc/sysctl.conf, at each start."}
		if s.restore {
			use = []string{"sysctl -f portroom.sysctl.conf sets it now; then take the lines out of /etc/sysctl.conf again."}
		}
		text := comment("#", s.head(use...), "\n")
		for _, c := range s.changes {
			text += reason(c) + c.object + "=" + c.to.Data + "\n"
		}
		return []File{{"portroom.sysctl.conf", false, []byte(text)}}, nil
	}
	use := []string{
		"sysctl -p " + sysctlName + " sets it now, and this file in /etc/sysctl.d at each start.",
	}
	if s.restore {
		use = []string{"sysctl -p " + sysctlName + " sets it now. Take the file of this name out of /etc/sysctl.d again."}
	}
	text := comment("#", s.head(use...), "\n")
	for _, c := range s.changes {
		text += reason(c) + c.object + " = " + c.to.Data + "\n"
	}
	return []File{{sysctlName, false, []byte(text)}}, nil
}

// reason is the comment above a line, "" for none.
func reason(c change) string {
	if c.why == "" {
		return ""
	}
	return "# " + oneLine(c.why) + "\n"
}

// launchdLabel names the job.
const launchdLabel = "com.github.portroom.sysctl"

// writeLaunchd writes a job that launchd runs at each start. macOS no longer reads
// /etc/sysctl.conf.
func writeLaunchd(s script) ([]File, error) {
	use := []string{
		"cp " + launchdLabel + ".plist /Library/LaunchDaemons/, owned by root:wheel, and",
		"launchctl bootstrap system /Library/LaunchDaemons/" + launchdLabel + ".plist",
		"set it now and at each start.",
	}
	if s.restore {
		use = []string{
			"launchctl bootout system/" + launchdLabel + ", and then the command below, by hand or",
			"by this file in the place of the other and launchctl bootstrap, sets it back.",
			"Remove the file from /Library/LaunchDaemons in the end.",
		}
	}
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	b.WriteString("<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n")
	b.WriteString("<!--\n")
	for _, l := range s.head(use...) {
		b.WriteString("  " + strings.ReplaceAll(l, "--", "- -") + "\n") // which may not be in one
	}
	b.WriteString("-->\n<plist version=\"1.0\">\n<dict>\n")
	fmt.Fprintf(&b, "\t<key>Label</key>\n\t<string>%s</string>\n", launchdLabel)
	b.WriteString("\t<key>RunAtLoad</key>\n\t<true/>\n\t<key>ProgramArguments</key>\n\t<array>\n\t\t<string>/usr/sbin/sysctl</string>\n")
	for _, c := range s.changes {
		b.WriteString("\t\t<string>")
		if err := xml.EscapeText(&b, []byte(c.object+"="+c.to.Data)); err != nil {
			return nil, err
		}
		b.WriteString("</string>\n")
	}
	b.WriteString("\t</array>\n</dict>\n</plist>\n")
	return []File{{launchdLabel + ".plist", false, []byte(b.String())}}, nil
}

// writeSystemd writes a unit that runs once at each start.
func writeSystemd(_ For, s script) ([]File, error) {
	const name = "portroom-sysctl.service"
	use := []string{
		"cp " + name + " /etc/systemd/system/, and systemctl enable --now " + name,
		"set it now and at each start, after sysctl.d.",
	}
	if s.restore {
		use = []string{"In place of the other " + name + ", systemctl restart sets it back. Then disable and remove it."}
	}
	var b strings.Builder
	b.WriteString(comment("#", s.head(use...), "\n"))
	what := oneLine(s.title)
	if s.restore {
		what = "restore what was there before " + what
	}
	fmt.Fprintf(&b, "[Unit]\nDescription=portroom: %s\n", unitEscape(what))
	b.WriteString("After=systemd-sysctl.service\nBefore=network-pre.target\nWants=network-pre.target\n\n")
	b.WriteString("[Service]\nType=oneshot\nRemainAfterExit=yes\n")
	for _, c := range s.changes {
		fmt.Fprintf(&b, "ExecStart=sysctl -w \"%s\"\n", unitEscape(c.object+"="+c.to.Data))
	}
	b.WriteString("\n[Install]\nWantedBy=multi-user.target\n")
	return []File{{name, false, []byte(b.String())}}, nil
}

// unitEscape keeps systemd from reading specifiers, variables, quotes and escapes
// (systemd.unit(5), systemd.service(5)).
func unitEscape(s string) string {
	return strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`, `"`, `\"`).Replace(s)
}
