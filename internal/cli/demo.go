package cli

import (
	"github.com/spf13/cobra"
)

const demoLong = `Show on this host, and without touching it, what happens when source ports run out:
in a network namespace of its own, with files in a temporary folder, it connects and
closes until a connect is refused, shows what check says of that, fixes it, connects
as many times as was promised, and undoes the fix. It takes a few seconds.

It needs Linux, and root or user namespaces.

EXIT STATUS
  0   every promise was kept
  3   it could not be done here, or a promise was not kept
  64  wrong usage`

func (a *app) demoCommand() *cobra.Command {
	var inside string
	c := &cobra.Command{
		Use:     "demo",
		Short:   "Run out of ports in a private namespace, fix it and undo the fix",
		Long:    demoLong,
		Example: "  portroom demo",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.netns != "" || a.allNamespaces {
				return usagef("demo makes a namespace of its own: leave out --netns and --all-namespaces")
			}
			if inside != "" {
				return a.demoInside(cmd.Context(), inside)
			}
			return a.demo(cmd.Context())
		},
	}
	c.Flags().StringVar(&inside, "inside", "", "")
	_ = c.Flags().MarkHidden("inside")
	return c
}

// demoJSON is what happened.
type demoJSON struct {
	First     int     `json:"first_connects"`  // that succeeded before one was refused
	Error     string  `json:"error"`           // of the one that was refused
	Status    string  `json:"status"`          // what check said then
	Promised  int     `json:"promised"`        // by fix
	Connected int     `json:"connected"`       // after it, until one was refused
	Undone    bool    `json:"undone"`          // the range is what it was
	Seconds   float64 `json:"elapsed_seconds"` // of it all
}
