// Netsh stands in for Windows' netsh.exe in tests: it prints what was recorded for
// its arguments in the folder netsh of drive C:, and ends with status 1 when
// nothing was. Under the name powershell.exe it prints one text whatever it is asked.
package main

import (
	"os"
	"path/filepath"
	"strings"
)

func main() {
	name := strings.NewReplacer("protocol=", "", " ", "-").Replace(strings.Join(os.Args[1:], " "))
	if strings.EqualFold(filepath.Base(os.Args[0]), "powershell.exe") {
		name = "powershell"
	}
	text, err := os.ReadFile(`C:\netsh\` + name + ".txt")
	if err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(text)
}
