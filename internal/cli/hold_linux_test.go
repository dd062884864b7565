package cli_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/test/caps"
)

// hold is a program that makes sockets as its arguments say, prints "ready" and
// keeps them until its input ends. Each argument is KIND=[N@]ADDRESS:PORT:
//
//	listen=A:P      listen there
//	bind=A:P        bind and do no more
//	connect=N@A:P   connect N times, the kernel choosing the ports
//	bound=N@A:P     bind(0.0.0.0, 0) before each of N connects
//	timewait=N@A:P  connect N times and close this side first
//	udp=N@A:P       connect N UDP sockets
func hold() {
	if err := populate(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func populate(specs []string) error {
	listeners := make(map[netip.AddrPort]int)
	for _, spec := range specs {
		kind, rest, _ := strings.Cut(spec, "=")
		n := 1
		if num, after, ok := strings.Cut(rest, "@"); ok {
			var err error
			if n, err = strconv.Atoi(num); err != nil {
				return err
			}
			rest = after
		}
		to, err := netip.ParseAddrPort(rest)
		if err != nil {
			return err
		}
		for range n {
			if err := one(kind, to, listeners); err != nil {
				return fmt.Errorf("%s: %w", spec, err)
			}
		}
	}
	return nil
}

func one(kind string, to netip.AddrPort, listeners map[netip.AddrPort]int) error {
	family, typ := unix.AF_INET, unix.SOCK_STREAM
	var sa, anywhere unix.Sockaddr = &unix.SockaddrInet4{Addr: to.Addr().Unmap().As4(), Port: int(to.Port())}, &unix.SockaddrInet4{}
	if kind == "udp" {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	switch kind {
	case "listen":
		listeners[to] = fd
		if err := unix.Bind(fd, sa); err != nil {
			return err
		}
		return unix.Listen(fd, 4096)
	case "bind":
		return unix.Bind(fd, sa)
	case "udp":
		return unix.Connect(fd, sa)
	case "bound":
		if err := unix.Bind(fd, anywhere); err != nil {
			return err
		}
	}
	if err := unix.Connect(fd, sa); err != nil {
		return err
	}
	server, _, err := unix.Accept4(listeners[to], unix.SOCK_CLOEXEC)
	if err != nil || kind != "timewait" {
		return err
	}
	unix.Close(fd)
	// The server must have seen the end before it closes, or it were the one to
	// close first.
	if _, err := unix.Read(server, make([]byte, 1)); err != nil {
		return err
	}
	return unix.Close(server)
}

// nocaps runs a program without any capability: nocaps PROGRAM ARGUMENT …
func nocaps() {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "nocaps:", err)
		os.Exit(99)
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		fail(err)
	}
	fail(caps.ExecWithout(path, os.Args[1:], os.Environ()))
}
