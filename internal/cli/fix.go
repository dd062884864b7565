package cli

import (
	"github.com/spf13/cobra"

	"github.com/portroom/portroom/remedy/sysctl"
)

const fixLong = `Choose what helps this host and do it, or the remedies that are named:

  widen-range         more ports to each destination: the range 10240–65535
  even-range          ends of different parity, so that connect() reaches all ports
  reserve-listeners   keep ports of servers inside the range from being given away
  tw-reuse            let connects take over their own TIME_WAIT entries
  tw-reuse-delay      do so after 100 ms instead of one second (Linux 6.14)
  restore-timestamps  without timestamps no TIME_WAIT entry is ever taken over

docs/remedies.md says of each what it gains, what may go wrong, and how that was
checked. Without a name, widen-range is chosen when a pool is held to 70% and the
range can be wider, tw-reuse when it cannot and TIME_WAIT holds most of the pool,
and the others where they cost nothing.

` + changeSteps

func (a *app) fixCommand() *cobra.Command {
	f := new(changeFlags)
	c := &cobra.Command{
		Use:   "fix [REMEDY…]",
		Short: "Do what helps, with a backup, so that undo restores what was there",
		Long:  fixLong,
		Example: `  portroom fix
  portroom fix widen-range --yes
  portroom fix --rollback-after 60s
  portroom fix tw-reuse --dry-run --json`,
		Args:      cobra.ArbitraryArgs,
		ValidArgs: sysctl.Remedies,
		RunE:      func(cmd *cobra.Command, args []string) error { return a.plan(cmd, f, request{remedies: args}) },
	}
	f.addPlan(c)
	return c
}
