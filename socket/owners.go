package socket

// An Owner is a process that holds an open file for a socket.
type Owner struct {
	PID     int
	Command string // comm: at most 15 bytes
}

// Owners says which process holds which socket. Where several do, as after
// fork(), it is the one found first. The zero value knows of none.
type Owners struct {
	list    []Owner
	byPID   map[int]int32
	byInode map[uint64]int32

	// Bound are the bound and unconnected TCP sockets found among the files, by
	// the inode number of their network namespace: the kernels before 6.8 list
	// them nowhere else.
	Bound map[uint32][]Socket
}

// NoOwner is the index of no owner.
const NoOwner int32 = -1

// NewOwners returns an Owners that knows of none yet.
func NewOwners() *Owners {
	return &Owners{byPID: make(map[int]int32), byInode: make(map[uint64]int32), Bound: make(map[uint32][]Socket)}
}

// Of returns the index of the owner of the socket with this inode, or NoOwner.
func (o *Owners) Of(inode uint64) int32 {
	if o == nil || inode == 0 {
		return NoOwner
	}
	if i, ok := o.byInode[inode]; ok {
		return i
	}
	return NoOwner
}

// At returns the owner with an index that Of returned.
func (o *Owners) At(i int32) Owner { return o.list[i] }

// Len returns how many owners there are.
func (o *Owners) Len() int {
	if o == nil {
		return 0
	}
	return len(o.list)
}

// Add says that a process holds the socket with this inode. Owners are numbered in
// the order in which their processes are first named.
func (o *Owners) Add(inode uint64, pid int, command string) {
	i, ok := o.byPID[pid]
	if !ok {
		i = int32(len(o.list))
		o.list = append(o.list, Owner{PID: pid, Command: command})
		o.byPID[pid] = i
	}
	if _, ok := o.byInode[inode]; !ok {
		o.byInode[inode] = i
	}
}

// Process returns the index of a process and adds it if it is new; command is
// asked for its name then.
func (o *Owners) Process(pid int, command func(pid int) string) int32 {
	i, ok := o.byPID[pid]
	if !ok {
		i = int32(len(o.list))
		o.list = append(o.list, Owner{PID: pid, Command: command(pid)})
		o.byPID[pid] = i
	}
	return i
}
