package socket

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Owners finds the process behind each TCP and UDP socket, in all network
// namespaces. With the BPF iterators it reads every process at once; without,
// it walks /proc/PID/fd as far as it is allowed to.
func (r *Reader) Owners(ctx context.Context) (*Owners, error) {
	if r.load() != nil {
		return procOwners(ctx, "/proc")
	}
	o := NewOwners()
	var f file
	err := r.iters.run(ctx, progFiles, ownedLen, r.buf, func(b []byte) error {
		if err := parseOwned(b, &f); err != nil {
			return err
		}
		o.Add(f.Inode, int(f.pid), f.command)
		if f.State == BoundInactive && f.SrcPort != 0 {
			o.Bound[f.netns] = append(o.Bound[f.netns], f.Socket)
		}
		return nil
	})
	return o, err
}

// procOwners reads the links /proc/PID/fd/N, which say socket:[INODE] for a
// socket of any family. Processes that end meanwhile or may not be read are
// passed over.
func procOwners(ctx context.Context, proc string) (*Owners, error) {
	dirs, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	o := NewOwners()
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		_ = procFiles(o, proc, pid) // a process may vanish in many ways, or be hidden
	}
	return o, nil
}

func procFiles(o *Owners, proc string, pid int) error {
	dir := filepath.Join(proc, strconv.Itoa(pid), "fd")
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	command := ""
	for _, name := range names {
		to, err := os.Readlink(dir + "/" + name)
		if err != nil {
			continue
		}
		num, ok := strings.CutPrefix(to, "socket:[")
		if !ok {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(num, "]"), 10, 64)
		if err != nil {
			continue
		}
		if command == "" {
			comm, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm"))
			if err != nil {
				return err
			}
			command = strings.TrimSuffix(string(comm), "\n")
		}
		o.Add(inode, pid, command)
	}
	return nil
}
