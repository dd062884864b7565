// Man writes the manual pages into a folder: go run ./internal/man DIR. It is a
// program of its own so that portroom does not carry a Markdown renderer.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/portroom/portroom/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man DIR")
		os.Exit(64)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(3)
	}
}

func generate(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := cli.Command()
	root.DisableAutoGenTag = true
	head := doc.GenManHeader{Section: "8", Source: "portroom", Manual: "System Administration"}
	// https://reproducible-builds.org/specs/source-date-epoch/
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date := time.Unix(epoch, 0).UTC()
		head.Date = &date
	}
	return doc.GenManTree(root, &head, dir)
}
