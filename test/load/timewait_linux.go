package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// TimeWaits adds n sockets in TIME_WAIT, the clients of connections to dests
// ports of 127.0.0.1, counted from [FirstDest]. Each lasts 60 s (TCP_TIMEWAIT_LEN
// in include/net/tcp.h), so [Netns.Count] says what there is at a later time.
//
// One thread a processor is the client and the server of its own connections,
// one after another: on loopback the answer to a segment has been processed when
// the system call that sent it returns, so nothing ever sleeps or switches.
// This makes 22,000 a second and processor, 1,000,000 on two processors in 22 s.
func (n *Netns) TimeWaits(ctx context.Context, count, dests int) error {
	return n.TimeWaitsFrom(ctx, count, FirstDest, dests)
}

// TimeWaitsFrom is TimeWaits with ports counted from another one than FirstDest, for
// namespaces in which that has a listener.
func (n *Netns) TimeWaitsFrom(ctx context.Context, count, first, dests int) error {
	if dests < 1 || dests > MaxDests {
		return fmt.Errorf("make TIME_WAITs: %d destinations, want 1 to %d", dests, MaxDests)
	}
	if err := n.sysctls(
		[2]string{"net.ipv4.tcp_max_tw_buckets", strconv.Itoa(max(1<<22, 2*count))},
		[2]string{"net.ipv4.tcp_tw_reuse", "0"},
		[2]string{"net.ipv4.tcp_syn_retries", "1"}, // give up after 3 s, not 127
		[2]string{"net.ipv4.ip_local_port_range", fmt.Sprintf("%d %d", RangeLow, RangeHigh)},
	); err != nil {
		return err
	}
	workers := min(runtime.NumCPU(), dests)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		// A listener has one worker, or one worker's accept could return the
		// connection of another, and the server would be the first to close.
		var ports []int
		for p := w; p < dests; p += workers {
			ports = append(ports, first+p)
		}
		share := count / workers
		if w < count%workers {
			share++
		}
		wg.Go(func() {
			errs[w] = n.Do(func() error { return openAndClose(ctx, share, ports) })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// openAndClose opens count connections, one after another and to each of the
// ports in turn, and closes each, the client first.
func openAndClose(ctx context.Context, count int, ports []int) error {
	listeners := make([]int, 0, len(ports))
	defer func() {
		for _, fd := range listeners {
			unix.Close(fd)
		}
	}()
	for _, p := range ports {
		fd, err := listen(p, 16)
		if err != nil {
			return err
		}
		listeners = append(listeners, fd)
	}
	dst := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	for i := range count {
		if i%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		k := i % len(ports)
		dst.Port = ports[k]
		client, err := connect(&dst)
		if err != nil {
			return err
		}
		server, err := accept(listeners[k])
		unix.Close(client)
		if err != nil {
			return fmt.Errorf("accept on port %d: %w", ports[k], err)
		}
		unix.Close(server)
	}
	return nil
}

// listen returns a non-blocking listener on port of every address.
func listen(port, backlog int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("listen on port %d: %w", port, err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: port})
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen on port %d: %w", port, err)
	}
	return fd, nil
}

// connect returns a socket that is connected to dst.
func connect(dst *unix.SockaddrInet4) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("connect to port %d: %w", dst.Port, err)
	}
	if err := unix.Connect(fd, dst); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to port %d: %w", dst.Port, err)
	}
	return fd, nil
}

// accept takes a connection. It waits up to 5 s for it, for now and then the
// kernel leaves the last segment of a handshake to ksoftirqd.
func accept(listener int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != unix.EAGAIN {
			return fd, err
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}, 5000)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return -1, err
		case ready == 0:
			return -1, unix.ETIMEDOUT
		}
	}
}
