package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/remedy/sysctl"
	"github.com/portroom/portroom/remedy/winreg"
)

const fixLong = `Choose what helps this host and do it, or the remedies that are named:

  widen-range         more ports to each destination: the range 10240–65535
  even-range          ends of different parity, so that connect() reaches all ports
  reserve-listeners   keep ports of servers inside the range from being given away
  tw-reuse            let connects take over their own TIME_WAIT entries
  tw-reuse-delay      do so after 100 ms instead of one second (Linux 6.14)
  restore-timestamps  without timestamps no TIME_WAIT entry is ever taken over

On Windows, of this host or of a --target:

  max-user-port       MaxUserPort=65534, up to Windows XP and Server 2003
  timed-wait-delay    TcpTimedWaitDelay=30
  dynamic-range       the dynamic ranges of TCP 10240–65535, from Windows Vista on
  restore-default     take away a MaxUserPort that the system does not go by

docs/remedies.md says of each what it gains, what may go wrong, and how that was
checked. Without a name, widen-range is chosen when a pool is held to 70% and the
range can be wider, tw-reuse when it cannot and TIME_WAIT holds most of the pool,
and the others where they cost nothing. On Windows timed-wait-delay is chosen only
where the value is out of its range.

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
  portroom fix tw-reuse --dry-run --json
  portroom fix --target system:/mnt/windows`,
		Args:      cobra.ArbitraryArgs,
		ValidArgs: append(slices.Clone(sysctl.Remedies), winreg.Remedies...),
		RunE:      func(cmd *cobra.Command, args []string) error { return a.plan(cmd, f, request{remedies: args}) },
	}
	f.addPlan(c)
	return c
}
