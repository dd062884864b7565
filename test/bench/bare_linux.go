package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bareEnv in the environment makes the program the bare receive loop, a process
// of its own as its rivals are.
const bareEnv = "PORTROOM_BENCH_BARE"

func bareChild() {
	if os.Getenv(bareEnv) == "" {
		return
	}
	total, err := bareDump()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare loop:", err)
		os.Exit(3)
	}
	fmt.Println(total)
	os.Exit(0)
}

// bareDump asks sock_diag for the TCP sockets of the namespace, as portroom does,
// and receives the answer into one buffer without looking at it: what no program
// on sock_diag can do without. It returns the number of bytes.
func bareDump() (total int, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, dumpRequest(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return total, err
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return total, err
		}
		total += n
		if n < unix.SizeofNlMsghdr {
			return total, fmt.Errorf("a message of %d bytes", n)
		}
		// The end comes in a datagram of its own (inet_diag's dump returns 0 only
		// when it has written nothing).
		switch binary.NativeEndian.Uint16(buf[4:]) {
		case unix.NLMSG_ERROR:
			return total, unix.Errno(-int32(binary.NativeEndian.Uint32(buf[16:])))
		case unix.NLMSG_DONE:
			return total, nil
		}
	}
}

// diagRequest is struct nlmsghdr and struct inet_diag_req of linux/inet_diag.h:
// the older request, which one walk of the table answers for both families.
type diagRequest struct {
	unix.NlMsghdr
	family, srcLen, dstLen, ext uint8
	id                          [48]byte // struct inet_diag_sockid, all zero: any
	states, dbs                 uint32
}

func dumpRequest() []byte {
	const tcpdiagGetsock = 18 // TCPDIAG_GETSOCK in linux/inet_diag.h
	r := diagRequest{
		NlMsghdr: unix.NlMsghdr{Type: tcpdiagGetsock, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP},
		states:   1<<13 - 1, // all but bound and unconnected, which costs a walk of its own
	}
	r.Len = uint32(unsafe.Sizeof(r))
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))...)
}
