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

// bareDump asks sock_diag for every TCP socket of the namespace and receives the
// answer into one buffer without looking at it: what a program on sock_diag
// cannot do without. Every state is asked for, also the bound sockets of Linux
// 6.8 and later, whose search goes through all sockets once more and which ss(8)
// leaves out. It returns the number of bytes.
func bareDump() (total int, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 256<<10)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(fd, dumpRequest(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return total, err
		}
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
			// The end comes in a datagram of its own (inet_diag's dump returns 0
			// only when it has written nothing).
			typ := binary.NativeEndian.Uint16(buf[4:])
			if typ == unix.NLMSG_ERROR {
				return total, unix.Errno(-int32(binary.NativeEndian.Uint32(buf[16:])))
			}
			if typ == unix.NLMSG_DONE {
				break
			}
		}
	}
	return total, nil
}

// diagRequest is struct nlmsghdr and struct inet_diag_req_v2 of linux/inet_diag.h.
type diagRequest struct {
	unix.NlMsghdr
	family, protocol, ext, pad uint8
	states                     uint32
	id                         [48]byte // struct inet_diag_sockid, all zero: any
}

func dumpRequest(family uint8) []byte {
	const sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY in linux/sock_diag.h
	r := diagRequest{
		NlMsghdr: unix.NlMsghdr{
			Type:  sockDiagByFamily,
			Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP,
		},
		family: family, protocol: unix.IPPROTO_TCP, states: ^uint32(0),
	}
	r.Len = uint32(unsafe.Sizeof(r))
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))...)
}
