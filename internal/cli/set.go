package cli

import (
	"github.com/spf13/cobra"

	"github.com/portroom/portroom/remedy"
)

const changeSteps = `The plan is shown as a diff and asked for; --yes does it without asking, --dry-run
only shows it. The journal in --state-dir takes the former state of everything
before anything is changed, and each step is read back. If one fails, or reads
back as anything else, all that was done is undone. "portroom undo" restores what
was there before. A run that was cut off, by a kill or a loss of power, is rolled
back by the next.

A change acts in the running kernel and, through a file in /etc/sysctl.d, at each
start. Another network namespace (--netns) is not made from this system's files:
there only the running kernel is changed, and the plan says where to put the same
so that the namespace starts with it.

--rollback-after 60s undoes the change by itself after that time, also when the
shell is gone by then, unless "portroom confirm" is run before.

What may cut off a running service or the SSH connection in use is done only with
--accept-risk=NAME, which the plan names.

EXIT STATUS
  0   done, or nothing to do; with --dry-run the plan was printed
  3   not done: everything is as it was before, or the message says what is not
  64  wrong usage, such as a value out of range`

const setLong = `Set kernel parameters that decide about source ports: ip_local_port_range,
ip_local_reserved_ports, tcp_tw_reuse, tcp_tw_reuse_delay and tcp_timestamps.

A new part of the range is kept from taking ports that belong to others: those of
servers that listen now, of systemd's socket units and of Kubernetes' NodePorts are
put into ip_local_reserved_ports in the same plan.

On Windows, of this host or of a --target:

  MaxUserPort=5000…65534   the last port that is given out, up to Windows XP and
                           Server 2003 (KB 196271), in decimal or as 0xfffe
  TcpTimedWaitDelay=30…300 seconds that a closed connection keeps its port
  ReservedPorts=LIST       ports that are not given out, such as 1433,4000-4010
  dynamicport.tcp4=FIRST-LAST, tcp6, udp4, udp6
                           the range from Windows Vista on, on the running system
  AutoReusePortRange=FIRST-LAST
                           ports that connections may share, or off

On macOS and FreeBSD:

  portrange=FIRST-LAST     the four ends of net.inet.ip.portrange; each may be named
  net.inet.tcp.msl=MS      half of what TIME_WAIT lasts

MaxUserPort and the two after it take the value absent, which is the default. Before
they change, the registry key is exported beside the journal, together with what
restores it.

` + changeSteps

func (a *app) setCommand() *cobra.Command {
	f := new(changeFlags)
	c := &cobra.Command{
		Use:   "set NAME=VALUE…",
		Short: "Set values, with a backup, so that undo restores what was there",
		Long:  setLong,
		Example: `  portroom set ip_local_port_range=10240-65535 --dry-run
  portroom set tcp_tw_reuse=1 --rollback-after 60s
  portroom set ip_local_reserved_ports=8080,9000-9100 --yes
  portroom set MaxUserPort=65534 --target hive:/mnt/WINNT/system32/config/system`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("set wants NAME=VALUE, such as ip_local_port_range=10240-65535")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.plan(cmd, f, request{values: args}) },
	}
	f.addPlan(c)
	return c
}

// plan makes and carries out the plan of a request.
func (a *app) plan(cmd *cobra.Command, f *changeFlags, want request) error {
	t, err := f.parse(a)
	if err != nil {
		return err
	}
	by, err := a.changer(string(t.Kind))
	if err != nil {
		return err
	}
	return a.change(cmd.Context(), f, false, func(*remedy.Journal) (*remedy.Proposal, remedy.Driver, error) {
		return by.propose(cmd.Context(), a, f, t, want)
	})
}
