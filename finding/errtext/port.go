package errtext

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/socket"
)

// asked are the ways in which programs print the address that they could not listen
// on: ":8080", "0.0.0.0:80", "[::]:80", ":::3000" (Node.js), "('0.0.0.0', 8000)"
// (Python), "port 8080", "htons(8080)" (strace). The port is the first group.
var asked = []*regexp.Regexp{
	regexp.MustCompile(`(?:^|[\s"'(<\[=/@])(?:(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:.]*\]|\*|localhost|::1?)?:(\d{1,5})\b`),
	regexp.MustCompile(`'[0-9a-z.:]*', (\d{1,5})\)`),
	regexp.MustCompile(`\bport[ =:#]{1,2}(\d{1,5})\b`),
	regexp.MustCompile(`\bhtons\((\d{1,5})\)`),
}

// localPort learns which port of this host was asked for by number: the last that
// stands before the error, or the first after it.
func (m *Match) localPort(lower string, at int) {
	if m.Err == nil || m.Err.Name != "EADDRINUSE" || m.AnyPort || m.Call == Connect || m.Call == Send {
		return
	}
	for _, pattern := range asked {
		for _, s := range pattern.FindAllStringSubmatchIndex(lower, 16) {
			p, err := strconv.ParseUint(lower[s[2]:s[3]], 10, 16)
			if err != nil || p == 0 {
				continue
			}
			if s[0] > at && m.Port != 0 {
				break
			}
			m.Port = uint16(p)
		}
		if m.Port == 0 {
			continue
		}
		if !m.Outgoing { // the address is the server's own
			m.Dst = netip.AddrPort{}
		}
		return
	}
}

// weighHolders looks at who holds the port that was asked for by number. It reports
// false when that is not known.
func weighHolders(c *Cause, m *Match, facts *finding.Facts) bool {
	held, looked := facts.Held[m.Port]
	if m.Port == 0 || !looked {
		return false
	}
	var servers, connections, waiting []string
	for i := range held {
		h := &held[i]
		switch {
		case m.UDP != (h.Proto == socket.UDP) && (m.UDP || m.Call == Listen):
		case h.State == socket.Listen, h.State == socket.BoundInactive, h.Proto == socket.UDP:
			servers = append(servers, holding(h))
		case h.State == socket.TimeWait:
			waiting = append(waiting, holding(h))
		default:
			connections = append(connections, holding(h))
		}
	}
	inRange := facts.Settings != nil && facts.Settings.Range.Contains(m.Port)
	switch {
	case len(servers) > 0 && c.Code == "PR902":
		c.Weight *= saidOfThis
		c.Evidence = list(servers)
		c.Remedy = "stop one of the two, or give one another port"
	case len(servers) == 0 && len(connections)+len(waiting) > 0 && inRange == (c.Code == "PR112"):
		c.Weight *= saidOfThis
		c.Evidence = list(append(connections, waiting...))
		if c.Code == "PR902" {
			c.Remedy = "set SO_REUSEADDR before bind(), so that a server may start while connections of the one before it end; or wait until they have"
		}
	default:
		c.Weight *= unsaidOfThis
		if len(held) == 0 {
			c.Evidence = fmt.Sprintf("nobody holds port %d now", m.Port)
		}
	}
	return true
}

// list writes the first few, equal ones once.
func list(all []string) string {
	const most = 3
	var out []string
	seen := make(map[string]bool)
	for _, s := range all {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	if n := len(out) - most; n > 0 {
		out = append(out[:most], fmt.Sprintf("%d more", n))
	}
	return strings.Join(out, "; ")
}

// holding says who holds a port and how.
func holding(h *finding.Holder) string {
	who := "somebody whom only root sees"
	switch {
	case h.Command != "":
		who = fmt.Sprintf("%s[%d]", h.Command, h.PID)
	case h.State == socket.TimeWait:
		who = "nobody any more"
	}
	switch {
	case h.State == socket.Listen:
		return fmt.Sprintf("%s listens on %s", who, h.Local)
	case h.State == socket.BoundInactive, h.Proto == socket.UDP && !h.Peer.IsValid():
		return fmt.Sprintf("%s is bound to %s (%s)", who, h.Local, h.Proto)
	}
	return fmt.Sprintf("%s has %s → %s (%s)", who, h.Local, h.Peer, h.State)
}
