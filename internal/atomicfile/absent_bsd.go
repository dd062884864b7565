//go:build darwin || freebsd

package atomicfile

import "golang.org/x/sys/unix"

const noAttribute = unix.ENOATTR
