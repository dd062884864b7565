package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"github.com/portroom/portroom/socket/bpf"
)

// The programs in bpf/portroom.bpf.c.
const (
	progBuckets = bpf.PortroomProgBuckets
	progShort   = bpf.PortroomProgShortBuckets
	progTCP     = bpf.PortroomProgTcp
	progUDP     = bpf.PortroomProgUdp
	progFiles   = bpf.PortroomProgFiles
)

// iterators are the BPF iterators, each loaded when it is first run.
type iterators struct {
	spec    *ebpf.CollectionSpec
	types   *btf.Cache // the kernel's BTF, decoded once
	links   map[string]*link.Iter
	slices  *ebpf.Map
	buckets string // the program that walks the bind hash here
}

// sliced names the map over whose elements a program iterates.
var sliced = map[string]string{
	progBuckets: bpf.PortroomMapSlices,
	progShort:   bpf.PortroomMapShortSlices,
}

// loadIterators prepares the iterators. The one over the bind hash is loaded at
// once: it is needed in any case and shows whether this kernel lets us.
func loadIterators() (*iterators, error) {
	spec, err := bpf.LoadPortroom()
	if err != nil {
		return nil, fmt.Errorf("BPF iterators: %w", err)
	}
	it := &iterators{spec: spec, types: btf.NewCache(), links: make(map[string]*link.Iter), buckets: progBuckets}
	_, err = it.attach(progBuckets)
	if err != nil && !errors.Is(err, os.ErrPermission) {
		it.buckets = progShort // before 5.17
		_, err = it.attach(progShort)
	}
	if err != nil {
		return nil, limitedError(errors.Join(err, it.close()))
	}
	return it, nil
}

// limitedError says in one sentence why the iterators cannot be used.
func limitedError(err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("BPF iterators need root, or CAP_BPF and CAP_PERFMON: %w", os.ErrPermission)
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("this kernel has no BPF iterators or no BTF (Linux 5.10 with CONFIG_DEBUG_INFO_BTF has both): %w", err)
	}
	return fmt.Errorf("BPF iterators cannot be loaded: %w", err)
}

func (it *iterators) close() error {
	var errs []error
	for _, l := range it.links {
		errs = append(errs, l.Close())
	}
	if it.slices != nil {
		errs = append(errs, it.slices.Close())
	}
	return errors.Join(errs...)
}

// attach loads one program, with the map if it is the one that has it.
func (it *iterators) attach(name string) (*link.Iter, error) {
	if l := it.links[name]; l != nil {
		return l, nil
	}
	spec := &ebpf.CollectionSpec{
		Maps:      map[string]*ebpf.MapSpec{},
		Programs:  map[string]*ebpf.ProgramSpec{name: it.spec.Programs[name]},
		Types:     it.spec.Types,
		ByteOrder: it.spec.ByteOrder,
	}
	over := sliced[name]
	if over != "" {
		spec.Maps[over] = it.spec.Maps[over]
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: it.types})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	opts := link.IterOptions{Program: coll.Programs[name]}
	if over != "" {
		it.slices = coll.DetachMap(over)
		opts.Map = it.slices
	}
	l, err := link.AttachIter(opts)
	if err != nil {
		return nil, err
	}
	it.links[name] = l
	return l, nil
}

// run reads one iterator to its end in the calling thread's network namespace
// and calls fn with each record of the given length.
func (it *iterators) run(ctx context.Context, name string, length int, buf []byte, fn func([]byte) error) error {
	l, err := it.attach(name)
	if err != nil {
		return limitedError(err)
	}
	rd, err := l.Open()
	if err != nil {
		return fmt.Errorf("open BPF iterator %s: %w", name, err)
	}
	defer rd.Close()
	have := 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := rd.Read(buf[have:])
		have += n
		rest := buf[:have]
		for ; len(rest) >= length; rest = rest[length:] {
			if err := fn(rest[:length]); err != nil {
				return err
			}
		}
		have = copy(buf, rest)
		if err == io.EOF {
			if have != 0 {
				return errRecord
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("read BPF iterator %s: %w", name, err)
		}
	}
}

// sockets runs an iterator over a socket table.
func (it *iterators) sockets(ctx context.Context, name string, proto Proto, buf []byte, fn func(*Socket) error) error {
	s := Socket{Proto: proto}
	return it.run(ctx, name, recordLen, buf, func(b []byte) error {
		if err := parseRecord(b, &s); err != nil {
			return err
		}
		return fn(&s)
	})
}
