package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// hold in the environment makes the program a holder of connections: how many,
// and the port to listen on.
const hold = "PORTROOM_LOAD_HOLD"

// perPool is the most connections to one destination port: below half the range,
// from where on the kernel's search for a port becomes slow.
const perPool = 30_000

// Child runs a helper's part and ends the process, if the program was started
// as a helper by this package. Otherwise it does nothing.
func Child() {
	spec, ok := os.LookupEnv(hold)
	if !ok {
		return
	}
	if err := holder(spec); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// holder connects to itself, says so with an empty line, and keeps both ends of
// each connection until its input ends.
func holder(spec string) error {
	var count, port int
	if _, err := fmt.Sscan(spec, &count, &port); err != nil {
		return fmt.Errorf("%s=%q: %w", hold, spec, err)
	}
	listener, err := listen(port, 16)
	if err != nil {
		return err
	}
	dst := unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	for i := range count {
		client, err := connect(&dst)
		if err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, count, err)
		}
		server, err := accept(listener)
		if err != nil {
			return fmt.Errorf("accept connection %d of %d: %w", i+1, count, err)
		}
		// End with a reset, so that nothing stays in TIME_WAIT or FIN_WAIT2.
		for _, fd := range []int{client, server} {
			if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
				return err
			}
		}
	}
	fmt.Println()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// Established makes count connections to 127.0.0.1, shared out to so many
// processes that each hold both ends of theirs and the listener between: the
// namespace then has 2·count established sockets.
//
// A process holds at most as many as its limit of open files lets it.
func (n *Netns) Established(ctx context.Context, count, processes int) (_ *Held, err error) {
	share := count/processes + 1
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return nil, err
	}
	if uint64(2*share)+20 > lim.Cur {
		return nil, fmt.Errorf("hold %d connections: %d in each of %d processes are more than the %d open files allowed", count, share, processes, lim.Cur)
	}
	if share > perPool {
		return nil, fmt.Errorf("hold %d connections: %d in each of %d processes are more than the %d that one destination gets", count, share, processes, perPool)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := n.sysctls(
		[2]string{"net.ipv4.tcp_syn_retries", "1"}, // give up after 3 s, not 127
		[2]string{"net.ipv4.ip_local_port_range", fmt.Sprintf("%d %d", RangeLow, RangeHigh)},
	); err != nil {
		return nil, err
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inR.Close()
	var holders []*exec.Cmd
	h := &Held{close: func() error {
		errs := []error{inW.Close()}
		for _, cmd := range holders {
			errs = append(errs, cmd.Wait())
		}
		return errors.Join(errs...)
	}}
	defer func() {
		if err != nil {
			for _, cmd := range holders {
				cmd.Process.Kill()
			}
			h.Close() // the processes were killed, so what it says is known
		}
	}()
	outs := make([]io.Reader, 0, processes)
	for i := range processes {
		mine := count / processes
		if i < count%processes {
			mine++
		}
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", hold, mine, FirstDest+i))
		cmd.Stdin = inR
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := n.Start(cmd); err != nil {
			return nil, fmt.Errorf("start a holder: %w", err)
		}
		holders = append(holders, cmd)
		h.PIDs = append(h.PIDs, cmd.Process.Pid)
		outs = append(outs, out)
	}
	for i, out := range outs {
		switch line, err := bufio.NewReader(out).ReadString('\n'); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("holder %d: it ended early: %w; does its main call load.Child?", h.PIDs[i], err)
		case line != "\n":
			return nil, fmt.Errorf("holder %d: %s", h.PIDs[i], strings.TrimSpace(line))
		}
	}
	return h, nil
}
