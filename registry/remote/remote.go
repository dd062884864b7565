// Package remote is the registry of another Windows host, below
// HKEY_LOCAL_MACHINE, reached over the network (MS-RRP on the named pipe winreg).
//
// On Windows the system itself connects, as the user who runs the program. On
// other systems Samba's net(8) does, as a child process for each call: it speaks
// SMB1 to SMB3, NTLM and Kerberos. It ends with status 0 after some failures, so
// every change is read back, and what does not read back as it was written is an
// error.
//
// What was read is remembered until the store writes or is closed: a host that
// changes meanwhile is not seen.
//
// # Errors
//
// Besides those of package registry, a failure is an [Error], which wraps one of
// this package's sentinels, or [fs.ErrPermission] or [context.DeadlineExceeded],
// and says what to do.
//
// # Secrets
//
// The password goes to net(8) through a pipe. It is in no argument, no
// environment, no file and no error.
package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portroom/portroom/registry"
)

// DefaultTimeout is how long one call may take when [Options.Timeout] is 0.
const DefaultTimeout = 15 * time.Second

// A Protocol is a version of SMB, by the name that smb.conf(5) gives it.
type Protocol string

// The versions of SMB: NT1 is SMB1, the only one that Windows NT 4.0, 2000, XP
// and Server 2003 speak.
const (
	NT1  Protocol = "NT1"
	SMB2 Protocol = "SMB2"
	SMB3 Protocol = "SMB3"
)

// Options say how to reach the host, and as whom. On Windows all but Timeout is
// the system's own business: what is set there is an error.
type Options struct {
	// User is `DOMAIN\user`, `user@domain` or the name of a local account.
	User string
	// Password of User.
	Password string
	// Kerberos insists on it, with User's password or, if there is none, with the
	// tickets of the one who runs the program. Without it NTLM is used.
	Kerberos bool
	// MinProtocol and MaxProtocol bound the version of SMB; "" is SMB2 and SMB3.
	MinProtocol, MaxProtocol Protocol
	// Timeout bounds each call to the host; 0 is [DefaultTimeout].
	Timeout time.Duration
	// Port is the TCP port of SMB; 0 is 445, and 139 where that is closed.
	Port int
}

// Open connects to the registry of a host and sees that it answers. ctx bounds
// the life of the store: once it is done, calls fail, and one that runs ends.
func Open(ctx context.Context, host string, o Options) (registry.Store, error) {
	if err := checkHost(host); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("registry of %s: the time-out %s is below zero", host, o.Timeout)
	}
	return open(ctx, host, o)
}

// checkHost refuses what cannot be a host name or address, above all what a tool
// would take for something else.
func checkHost(host string) error {
	switch {
	case host == "":
		return errors.New("registry of a remote host: the host's name is empty")
	case len(host) > 255, strings.HasPrefix(host, "-"),
		strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`\/"'#*;<>?|`, r) }):
		return fmt.Errorf("registry of %q: this is no host name or address", host)
	}
	return nil
}

// clean removes backslashes that Windows would not pass over.
func clean(path string) string { return registry.Join(registry.Split(path)...) }
