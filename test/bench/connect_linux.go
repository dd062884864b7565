package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/load"
)

// connectEnv in the environment makes the program a client that connects as it is
// told, a process of its own as those are whose connects are traced:
//
//	pairs DESTS             for each number on stdin: so many connects and closes, and the processor time they took
//	rate PORT SECOND N      N connects a second for a while, most of which find no port
//	own PORT N              N connections, each closed by this side, to a listener of its own
const connectEnv = "PORTROOM_BENCH_CONNECT"

func connectChild() {
	what := os.Getenv(connectEnv)
	if what == "" {
		return
	}
	if err := connectAs(what); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(3)
	}
	os.Exit(0)
}

func connectAs(what string) error {
	var mode string
	var a, b, c int
	if n, _ := fmt.Sscan(what, &mode, &a, &b, &c); n < 2 {
		return fmt.Errorf("%s=%q: want a mode and its numbers", connectEnv, what)
	}
	switch mode {
	case "pairs":
		return pairs(a)
	case "rate":
		return atRate(a, time.Duration(b)*time.Second, c)
	case "own":
		return own(a, b)
	}
	return fmt.Errorf("%s=%q: there is no such mode", connectEnv, what)
}

func listenOn(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return fd, errors.Join(unix.Bind(fd, loopback(port)), unix.Listen(fd, 4096))
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}
}

// once opens and closes one connection, this side first.
func once(server, port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, loopback(port)); err != nil {
		unix.Close(fd)
		return err
	}
	peer, _, err := unix.Accept4(server, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	unix.Close(fd)
	unix.Close(peer)
	return nil
}

// pairs connects as often as it is asked to and says how many nanoseconds of a
// processor it took: those do not change with what else the machine does meanwhile,
// and on loopback all that a connect brings about happens within the calls.
func pairs(dests int) error {
	var servers []int
	for i := range dests {
		fd, err := listenOn(load.FirstDest + i)
		if err != nil {
			return err
		}
		servers = append(servers, fd)
	}
	in := bufio.NewReader(os.Stdin)
	for {
		var n int
		if _, err := fmt.Fscanln(in, &n); err != nil {
			return nil // the end of the input
		}
		begun, err := processor()
		if err != nil {
			return err
		}
		for i := range n {
			if err := once(servers[i%dests], load.FirstDest+i%dests); err != nil {
				return err
			}
		}
		now, err := processor()
		if err != nil {
			return err
		}
		fmt.Println((now - begun).Nanoseconds())
	}
}

// processor returns the processor time of this process so far.
func processor() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// atRate connects at a rate to a listener of its own, keeps what it gets for a while,
// and says how many connects it tried, was granted, and was refused.
func atRate(port int, span time.Duration, perSecond int) error {
	if _, err := listenOn(port); err != nil {
		return err
	}
	var held []int
	tried, granted, refused := 0, 0, 0
	begun := time.Now()
	for time.Since(begun) < span {
		// As many as are due, and a breath.
		for due := int(time.Since(begun).Seconds() * float64(perSecond)); tried < due; tried++ {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			switch err := unix.Connect(fd, loopback(port)); {
			case err == nil:
				granted++
				held = append(held, fd)
			case errors.Is(err, unix.EADDRNOTAVAIL):
				refused++
				unix.Close(fd)
			default:
				return err
			}
			// Now and then a port comes free, by a reset.
			if tried%64 == 0 && len(held) > 0 {
				if err := unix.SetsockoptLinger(held[0], unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
					return err
				}
				unix.Close(held[0])
				held = held[1:]
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	fmt.Println(tried, granted, refused)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// own leaves n TIME_WAIT to a listener of its own.
func own(port, n int) error {
	server, err := listenOn(port)
	if err != nil {
		return err
	}
	for range n {
		if err := once(server, port); err != nil {
			return err
		}
	}
	fmt.Println(n)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A client is a running connectChild.
type client struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startClient(ns *load.Netns, format string, args ...any) (*client, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), connectEnv+"="+fmt.Sprintf(format, args...))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Start(cmd); err != nil {
		return nil, err
	}
	return &client{cmd, in, bufio.NewReader(out)}, nil
}

func (c *client) close() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}
