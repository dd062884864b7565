package socket

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/portroom/portroom/port"
)

var (
	iphlpapi = windows.NewLazySystemDLL("iphlpapi.dll")

	procTCP  = iphlpapi.NewProc("GetTcpTable")
	procTCP6 = iphlpapi.NewProc("GetTcp6Table")
	procUDP  = iphlpapi.NewProc("GetUdpTable")
	procUDP6 = iphlpapi.NewProc("GetUdp6Table")

	procExtendedTCP = iphlpapi.NewProc("GetExtendedTcpTable")
	procExtendedUDP = iphlpapi.NewProc("GetExtendedUdpTable")

	// Not documented; in Windows 10 and Server 2016, and in earlier ones with
	// updates. They allocate the table on the heap that they are given.
	procBound  = iphlpapi.NewProc("InternalGetBoundTcpEndpointTable")
	procBound6 = iphlpapi.NewProc("InternalGetBoundTcp6EndpointTable")

	kernel32           = windows.NewLazySystemDLL("kernel32.dll")
	procGetProcessHeap = kernel32.NewProc("GetProcessHeap")
	procHeapSize       = kernel32.NewProc("HeapSize")
	procHeapFree       = kernel32.NewProc("HeapFree")
)

// Of iprtrmib.h.
const (
	tcpTableOwnerPIDAll = 5
	udpTableOwnerPID    = 1
)

// mostTable is the largest table that is read: four million rows.
const mostTable = 256 << 20

// Reader reads the socket tables of this Windows through the IP Helper API.
type Reader struct {
	withOwners bool
	owners     *Owners
}

// NewReader returns a reader. Who holds the sockets is found out if owners says
// so.
func NewReader(owners bool) *Reader { return &Reader{withOwners: owners, owners: NewOwners()} }

// ListsBound reports whether this system lists TCP sockets that are bound and not
// connected.
func (r *Reader) ListsBound() bool { return procBound.Find() == nil && procBound6.Find() == nil }

// Owners returns the processes of the sockets that were read. TIME_WAIT has none.
func (r *Reader) Owners() *Owners { return r.owners }

// Sockets calls fn for every TCP and UDP socket with the index of its owner, or
// [NoOwner]: first the listening ones, then all others. The socket is reused from
// call to call.
func (r *Reader) Sockets(ctx context.Context, fn func(s *Socket, owner int32) error) error {
	type read struct {
		layout *layout
		table  []byte
	}
	var all []read
	for _, t := range r.tables() {
		table, err := t.read()
		if errors.Is(err, windows.ERROR_NOT_SUPPORTED) && t.layout.six {
			continue // IPv6 is not installed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.proc.Name, err)
		}
		all = append(all, read{t.layout, table})
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	var seen [2]port.Set // ports of TCP sockets by family
	add := func(s *Socket, pid int) error { return fn(s, r.owner(pid)) }
	for _, listening := range []bool{true, false} {
		for _, t := range all {
			err := t.layout.rows(t.table, func(s *Socket, pid int) error {
				if (s.State == Listen) != listening {
					return nil
				}
				if s.Proto == TCP {
					seen[family(s)].Add(s.SrcPort)
				}
				return add(s, pid)
			})
			if err != nil {
				return err
			}
		}
	}
	if !r.ListsBound() {
		return nil
	}
	for proc, l := range map[*windows.LazyProc]*layout{procBound: &tcpRow2, procBound6: &tcp6Row2} {
		// The table also holds the ports of sockets that listen or are connected.
		err := bound(proc, l, func(s *Socket, pid int) error {
			if seen[family(s)].Contains(s.SrcPort) {
				return nil
			}
			s.State, s.Dst, s.DstPort = BoundInactive, Addr{}, 0
			return add(s, pid)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", proc.Name, err)
		}
	}
	return nil
}

func family(s *Socket) int {
	if s.IPv6 {
		return 1
	}
	return 0
}

// A table is one call of the API.
type table struct {
	layout *layout
	proc   *windows.LazyProc
	// args are those after the buffer, its size and the wish for order.
	args []uintptr
}

func (r *Reader) tables() []table {
	if !r.withOwners {
		return []table{{&tcpRow, procTCP, nil}, {&tcp6Row, procTCP6, nil}, {&udpRow, procUDP, nil}, {&udp6Row, procUDP6, nil}}
	}
	return []table{
		{&tcpRowOwnerPID, procExtendedTCP, []uintptr{windows.AF_INET, tcpTableOwnerPIDAll, 0}},
		{&tcp6RowOwnerPID, procExtendedTCP, []uintptr{windows.AF_INET6, tcpTableOwnerPIDAll, 0}},
		{&udpRowOwnerPID, procExtendedUDP, []uintptr{windows.AF_INET, udpTableOwnerPID, 0}},
		{&udp6RowOwnerPID, procExtendedUDP, []uintptr{windows.AF_INET6, udpTableOwnerPID, 0}},
	}
}

// read asks for the table with a buffer that grows until it is enough.
func (t *table) read() ([]byte, error) {
	if err := t.proc.Find(); err != nil {
		return nil, err
	}
	size := uint32(64 << 10)
	for {
		buf := make([]byte, size)
		asked := size
		args := append([]uintptr{uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&asked)), 0}, t.args...)
		code, _, _ := t.proc.Call(args...)
		switch err := windows.Errno(code); err {
		case windows.ERROR_SUCCESS:
			return buf, nil
		case windows.ERROR_NO_DATA:
			return make([]byte, 4), nil // no row
		case windows.ERROR_INSUFFICIENT_BUFFER:
		default:
			return nil, err
		}
		// Sockets may be added before the next call: take a quarter more.
		next := uint64(max(asked, size)) + uint64(max(asked, size))/4
		if next > mostTable {
			return nil, fmt.Errorf("a table of more than %d bytes", mostTable)
		}
		size = uint32(next)
	}
}

// bound reads a table of bound sockets.
func bound(proc *windows.LazyProc, l *layout, fn func(*Socket, int) error) error {
	heap, _, err := procGetProcessHeap.Call()
	if heap == 0 {
		return fmt.Errorf("GetProcessHeap: %w", err)
	}
	var p unsafe.Pointer
	if code, _, _ := proc.Call(uintptr(unsafe.Pointer(&p)), heap, 0); code != 0 {
		return windows.Errno(code)
	}
	if p == nil {
		return nil
	}
	defer func() { _, _, _ = procHeapFree.Call(heap, 0, uintptr(p)) }()
	size, _, _ := procHeapSize.Call(heap, 0, uintptr(p))
	if size == ^uintptr(0) || size > mostTable {
		return errors.New("the table's size is not known")
	}
	return l.rows(unsafe.Slice((*byte)(p), size), fn)
}

// owner returns the index of a process.
func (r *Reader) owner(pid int) int32 {
	if !r.withOwners || pid == 0 {
		return NoOwner
	}
	return r.owners.Process(pid, imageName)
}

// systemPID is the process that stands for the kernel.
const systemPID = 4

// imageName returns the file name of a process's program, "" when it may not be
// asked for.
func imageName(pid int) string {
	if pid == systemPID {
		return "System"
	}
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer func() { _ = windows.CloseHandle(h) }()
	var buf [windows.MAX_LONG_PATH]uint16
	n := uint32(len(buf))
	if err := windows.QueryFullProcessImageName(h, 0, &buf[0], &n); err != nil {
		return ""
	}
	return filepath.Base(strings.TrimRight(windows.UTF16ToString(buf[:min(int(n), len(buf))]), `\`))
}
