// Netsh stands in for Windows' netsh.exe in tests: it prints what was recorded for
// its arguments in the folder netsh of drive C:, and ends with status 1 when
// nothing was. A dynamic range that it is told to set is what it shows from then on.
// Under the name powershell.exe it prints one text whatever it is asked, and keeps
// what Set-NetTCPSetting sets. Where there is a file deaf in the folder, both end
// well and keep nothing.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const folder = `C:\netsh\`

func main() {
	args := strings.Join(os.Args[1:], " ")
	name := strings.NewReplacer("protocol=", "", " ", "-").Replace(args)
	set := dynamic
	if strings.EqualFold(filepath.Base(os.Args[0]), "powershell.exe") {
		name, set = "powershell", template
	}
	_, err := os.Stat(folder + "deaf")
	if set(args, err == nil) {
		return
	}
	text, err := os.ReadFile(folder + name + ".txt")
	if err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(text)
}

// change writes a file anew.
func change(name string, to func(string) string) {
	text, err := os.ReadFile(folder + name)
	if err == nil {
		err = os.WriteFile(folder+name, []byte(to(string(text))), 0o644)
	}
	if err != nil {
		os.Exit(1)
	}
}

var setDynamic = regexp.MustCompile(`^interface (ipv\d) set dynamicport (tcp|udp) start=(\d+) num=(\d+)$`)

// dynamic sets a dynamic range if it is told to.
func dynamic(args string, deaf bool) bool {
	m := setDynamic.FindStringSubmatch(args)
	if m != nil && !deaf {
		change("interface-"+m[1]+"-show-dynamicport-"+m[2]+".txt", func(text string) string {
			numbers := m[3:]
			return regexp.MustCompile(`: \d+`).ReplaceAllStringFunc(text, func(string) string {
				n := numbers[0]
				numbers = numbers[1:]
				return ": " + n
			})
		})
	}
	return m != nil
}

var setTemplate = regexp.MustCompile(`Set-NetTCPSetting -SettingName (\w+) -AutoReusePortRangeStartPort (\d+) -AutoReusePortRangeNumberOfPorts (\d+)`)

// template sets the ranges of templates if it is told to.
func template(args string, deaf bool) bool {
	all := setTemplate.FindAllStringSubmatch(args, -1)
	if !deaf {
		for _, m := range all {
			change("powershell.txt", func(text string) string {
				old := regexp.MustCompile(`("SettingName":"` + m[1] + `","AutoReusePortRangeStartPort":)\d+(,"AutoReusePortRangeNumberOfPorts":)\d+`)
				return old.ReplaceAllString(text, fmt.Sprintf("${1}%s${2}%s", m[2], m[3]))
			})
		}
	}
	return all != nil
}
