// Portroom says how many more connections a host can open, to whom, and what is
// in the way.
package main

import (
	"os"

	"github.com/portroom/portroom/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
