package facts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/port"
)

// unitDirs are where systemd looks for units, the first first (systemd.unit(5)).
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// maxUnit is far more than a unit has.
const maxUnit = 1 << 20

// Units returns the ports of the socket units under a root, "/" for this system's. A
// unit that is hidden by a link to /dev/null claims nothing. What cannot be read is
// passed over: a port too few is reserved then, as without portroom.
func Units(root string) claim.Claims {
	var out claim.Claims
	seen := make(map[string]bool)
	for _, dir := range unitDirs {
		names, err := filepath.Glob(filepath.Join(root, dir, "*.socket"))
		if err != nil {
			continue // the root is no pattern
		}
		for _, path := range names {
			name := filepath.Base(path)
			if seen[name] {
				continue
			}
			seen[name] = true
			text, err := unitText(root, dir, name)
			if err != nil {
				continue
			}
			for _, p := range listens(text) {
				out = append(out, claim.Claim{Kind: claim.Configured, Ports: port.Range{First: p, Last: p}, By: name})
			}
		}
	}
	return out
}

// unitText returns a unit with its drop-ins after it, in the order of their names.
func unitText(root, dir, name string) (string, error) {
	text, err := readUnit(filepath.Join(root, dir, name))
	if err != nil {
		return "", err
	}
	for _, d := range unitDirs {
		more, err := filepath.Glob(filepath.Join(root, d, name+".d", "*.conf"))
		if err != nil {
			return "", err
		}
		for _, path := range more {
			if t, err := readUnit(path); err == nil {
				text += "\n" + t
			}
		}
	}
	return text, nil
}

func readUnit(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxUnit {
		return "", errors.Join(fs.ErrInvalid)
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// listens returns the ports that a socket unit listens on. An empty assignment
// takes those before it back (systemd.socket(5)).
func listens(text string) []uint16 {
	var out []uint16
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || section != "[Socket]" || key != "ListenStream" && key != "ListenDatagram" {
			continue
		}
		if value == "" {
			out = nil
			continue
		}
		if p, ok := listenPort(value); ok {
			out = append(out, p)
		}
	}
	return out
}

// listenPort takes the port out of "8080", "127.0.0.1:8080" or "[::1]:8080";
// paths, abstract names and the like have none.
func listenPort(s string) (uint16, bool) {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@") || strings.HasPrefix(s, "vsock:") {
		return 0, false
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		s = s[i+1:]
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}
