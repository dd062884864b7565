// Package vm runs a static test binary as the only program of a Linux kernel
// under qemu, without KVM. The kernels come from kernels.sh.
package vm

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// marker is the last line that the guest prints, with its exit status.
const marker = "portroom-vm: exit "

// Options say what to run.
type Options struct {
	Kernel  string    // path of a vmlinuz
	Modules []string  // paths of kernel modules to load, in any order
	Binary  string    // path of a static program whose TestMain calls [Init] and [Exit]
	Args    []string  // its arguments
	Memory  int       // MiB
	Output  io.Writer // gets the console as it comes; may be nil
}

// Run boots the kernel, runs the program as process 1 and waits for the machine
// to power off. It returns what was printed; the error says if the program
// failed or the machine did.
func Run(ctx context.Context, o Options) (string, error) {
	dir, err := os.MkdirTemp("", "portroom-vm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initrd.gz")
	if err := writeInitrd(initrd, o); err != nil {
		return "", fmt.Errorf("make initrd: %w", err)
	}
	var console bytes.Buffer
	var out io.Writer = &console
	if o.Output != nil {
		out = io.MultiWriter(&console, o.Output)
	}
	// TCG, q35: KVM and -M microvm are not everywhere, this is. no_timer_check: on a busy
	// machine the kernel may find that its timer does not tick, and panic.
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", fmt.Sprint(o.Memory), "-smp", "1", "-no-reboot",
		"-kernel", o.Kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init",
		"-nodefaults", "-serial", "stdio", "-display", "none")
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text := strings.ReplaceAll(console.String(), "\r", "")
	if ctx.Err() != nil {
		return text, fmt.Errorf("machine did not end in time: %w", ctx.Err())
	}
	if err != nil {
		return text, fmt.Errorf("qemu: %w", err)
	}
	i := strings.LastIndex(text, marker)
	if i < 0 {
		return text, errors.New("the machine ended before the program did")
	}
	status, _, _ := strings.Cut(text[i+len(marker):], "\n")
	if status != "0" {
		return text, fmt.Errorf("the program ended with status %s", status)
	}
	return text, nil
}

// writeInitrd writes a compressed cpio archive with the program as /init and its
// arguments in /args, one a line.
func writeInitrd(name string, o Options) error {
	program, err := os.ReadFile(o.Binary)
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	a := archive{w: z}
	for _, d := range []string{"dev", "proc", "sys", "tmp", "run"} {
		a.add(d, 0o040755, nil)
	}
	a.add("modules", 0o040755, nil)
	for _, m := range o.Modules {
		data, err := os.ReadFile(m)
		if err != nil {
			return err
		}
		a.add("modules/"+filepath.Base(m), 0o100644, data)
	}
	a.add("init", 0o100755, program)
	a.add("args", 0o100644, []byte(strings.Join(o.Args, "\n")))
	a.add("TRAILER!!!", 0, nil)
	return errors.Join(a.err, z.Close(), f.Close())
}

// An archive is a cpio archive in the "newc" form that the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w   io.Writer
	ino int
	err error
}

func (a *archive) add(name string, mode int, data []byte) {
	if a.err != nil {
		return
	}
	a.ino++
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	for _, part := range [][]byte{[]byte(head), data} {
		pad := make([]byte, -len(part)&3)
		if _, err := a.w.Write(append(part, pad...)); err != nil {
			a.err = err
			return
		}
	}
}
