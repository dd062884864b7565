package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Init makes a system of the bare kernel when the process is its first, and takes
// over the arguments from /args. Elsewhere it does nothing. It is to be called
// first in TestMain.
func Init() {
	if os.Getpid() != 1 {
		return
	}
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"cgroup2", "/sys/fs/cgroup"}, {"bpf", "/sys/fs/bpf"},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			fmt.Printf("portroom-vm: mount %s: %v\n", m.at, err)
		}
	}
	loadModules()
	limit := unix.Rlimit{Cur: 20000, Max: 20000}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Printf("portroom-vm: file limit: %v\n", err)
	}
	// Kernels before 5.11 charge BPF maps against this.
	limit = unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		fmt.Printf("portroom-vm: memory limit: %v\n", err)
	}
	os.Setenv("PATH", "/")
	os.Setenv("HOME", "/tmp")
	args, err := os.ReadFile("/args")
	if err != nil {
		fmt.Printf("portroom-vm: %v\n", err)
		Exit(3)
	}
	if len(args) > 0 {
		os.Args = append(os.Args[:1], strings.Split(string(args), "\n")...)
	}
}

// Exit ends the program with a status, and the machine too if it is its first.
func Exit(status int) {
	if os.Getpid() != 1 {
		os.Exit(status)
	}
	fmt.Printf("%s%d\n", marker, status)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// loadModules loads what is in /modules. Some need others, so it goes round until
// nothing more can be loaded.
func loadModules() {
	list, err := filepath.Glob("/modules/*.ko")
	for progress := true; err == nil && progress; {
		progress = false
		for i, name := range list {
			if name == "" {
				continue
			}
			f, err := os.Open(name)
			if err != nil {
				continue
			}
			if unix.FinitModule(int(f.Fd()), "", 0) == nil {
				list[i], progress = "", true
			}
			f.Close()
		}
	}
	for _, name := range list {
		if name != "" {
			fmt.Printf("portroom-vm: %s cannot be loaded\n", name)
		}
	}
}
