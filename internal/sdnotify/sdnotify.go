// Package sdnotify tells systemd how a service is doing, as sd_notify(3) describes.
package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Send tells the service manager a state, such as "READY=1". Where there is none it
// does nothing.
func Send(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"}) // "@" is an abstract name here too
	if err != nil {
		return fmt.Errorf("tell the service manager %q: %w", state, err)
	}
	defer func() { _ = c.Close() }() // what was sent is sent
	// A manager that does not read must not stop the service.
	if err = c.SetWriteDeadline(time.Now().Add(patience)); err == nil {
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		return fmt.Errorf("tell the service manager %q: %w", state, err)
	}
	return nil
}

// patience is how long Send waits for a manager whose queue is full.
const patience = 200 * time.Millisecond

// Watchdog returns within which time "WATCHDOG=1" has to be sent again and again, 0
// when nobody waits for it (sd_watchdog_enabled(3)).
func Watchdog() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	µs, err := strconv.ParseUint(os.Getenv("WATCHDOG_USEC"), 10, 63)
	if err != nil {
		return 0
	}
	return time.Duration(µs) * time.Microsecond
}
