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
  restore-default     take away a MaxUserPort or TcpTimedWaitDelay that the system does
                      not go by

On macOS and FreeBSD, where it is run:

  widen-range         the range from 32768 on, where it begins higher

docs/remedies.md says of each what it gains, what may go wrong, and how that was
checked. Without a name, fix goes by what "portroom check" finds. Of each warning, and
of what is worse, it takes the first remedy that it can do, unless one that it took
before helps there too; of all other findings only what has no hazard. The registry of
a Windows that is not running shows no connections: it is taken for one that runs short
of ports. The gain of a remedy is the one that check states.

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
