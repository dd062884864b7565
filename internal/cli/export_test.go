package cli

import "github.com/portroom/portroom/remedy"

// MainWith is Main with another way to change files.
func MainWith(f remedy.Files) int { return mainWith(f) }
