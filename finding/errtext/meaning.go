package errtext

import (
	"github.com/portroom/portroom/finding"
)

// A Meaning is what an error says on one system.
type Meaning struct {
	System finding.System
	Number int
	Name   string
	Text   string
}

// meanings say what the kernel means by an error when sockets are opened; sources
// are those of docs/findings.md and the facts there.
var meanings = map[string]map[finding.System]string{
	"EADDRNOTAVAIL": {
		linux:   "connect(): no source port is free toward this destination, or a port fixed by bind() is taken; bind(): the address is not one of this host",
		windows: "bind(): the address is not one of this host; connect(): the destination is 0.0.0.0 or has port 0. Never port exhaustion: that is 10055",
		darwin:  "connect() and bind(): no source port is free, for whatever destination; bind(): the address is not one of this host",
		freebsd: "connect() and bind(): no source port is free; bind(): the address is not one of this host",
	},
	"EADDRINUSE": {
		linux:   "bind() to port 0: no port is free on this source address; bind() to a number: somebody holds it",
		windows: "connect(): the port that was chosen is in TIME_WAIT toward this peer; bind(): somebody holds the port; from a wildcard bind on some versions: no port is free",
		darwin:  "connect(): the pair of ports is taken; bind(): somebody holds the port",
		freebsd: "connect(): the port that bind() gave is in TIME_WAIT toward this peer; bind(): somebody holds the port",
	},
	"ENOBUFS": {
		linux:   "memory for packets ran out; never ports",
		windows: "connect() and bind(): no port of the dynamic range is free, or the non-paged pool is used up; count the ports to tell them apart",
		darwin:  "memory for packets ran out; never ports",
		freebsd: "memory for packets ran out; never ports",
	},
	"EAGAIN": {
		linux:   "UDP connect() and sendto(): no port is free on this source address; else a non-blocking socket has nothing to give yet",
		windows: "a non-blocking socket has nothing to give yet",
		darwin:  "a non-blocking socket has nothing to give yet",
		freebsd: "a non-blocking socket has nothing to give yet",
	},
	"EMFILE":       {"": "the process has too many open files and sockets; ports may be plenty"},
	"ENFILE":       {"": "the system has too many open files and sockets; ports may be plenty"},
	"ENOMEM":       {"": "memory of the kernel ran out; never ports"},
	"ECONNREFUSED": {"": "the peer answered that nobody listens there; a source port was found"},
	"ETIMEDOUT":    {"": "the peer did not answer; a source port was found"},
	"EHOSTUNREACH": {"": "the peer, or a router to it, cannot be reached; a source port was found"},
	"ENETUNREACH":  {"": "no route leads there; no port was asked for"},
	"EACCES":       {"": "not permitted: a privileged port, or a firewall", windows: "the port is excluded or held exclusively, or a firewall forbids it"},
	"EPERM":        {"": "not permitted: a firewall on this host drops it"},
	"ECONNRESET":   {"": "the peer ended the connection; a source port was found"},
}

// Meanings returns what the error of a match means on each system that has it, the
// match's own first; for an event and a line of the kernel there is one.
func (m *Match) Meanings() []Meaning {
	if m.event != 0 {
		for _, e := range events {
			if e.number == m.event {
				return []Meaning{{windows, m.Number, m.Name, e.says}}
			}
		}
	}
	if m.kernel != "" {
		for _, k := range kernelLines {
			if k.name == m.kernel {
				return []Meaning{{linux, 0, m.Name, k.says}}
			}
		}
	}
	var out []Meaning
	for _, s := range append([]finding.System{m.System}, systems...) {
		n := m.Err.numbers[s]
		if n == 0 || len(out) > 0 && s == m.System {
			continue
		}
		text, ok := meanings[m.Err.Name][s]
		if !ok {
			text = meanings[m.Err.Name][""]
		}
		out = append(out, Meaning{s, n, m.Err.NameOn(s), text})
	}
	return out
}
