package sysctl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/port"
)

// The parameters that can be set, without net.ipv4.
const (
	Range      = "ip_local_port_range"
	Reserved   = "ip_local_reserved_ports"
	TWReuse    = "tcp_tw_reuse"
	ReuseDelay = "tcp_tw_reuse_delay"
	Timestamps = "tcp_timestamps"
)

// Settable is what may be named, for messages.
const Settable = Range + ", " + Reserved + ", " + TWReuse + ", " + ReuseDelay + " or " + Timestamps

// source is where what the kernel accepts is written down.
const source = "Documentation/networking/ip-sysctl.rst"

// refusals are parameters that people set against this failure, and why portroom
// does not.
var refusals = map[string]string{
	"tcp_fin_timeout":            "it ends orphans in FIN_WAIT2 only; TIME_WAIT is 60 s and cannot be set",
	"tcp_max_tw_buckets":         "lowering it breaks TIME_WAIT, which protects later connections, and raising it gives no port",
	"tcp_tw_recycle":             "it dropped connections of clients behind one address, and Linux 4.12 removed it",
	"ip_autobind_reuse":          "it makes connects fail that succeed now, when two sockets are given one port",
	"ip_unprivileged_port_start": "it decides who may bind low ports, not how many ports there are",
}

// A ValueError says that a value or a name is not accepted.
type ValueError struct{ msg string }

func (e *ValueError) Error() string { return e.msg }

func refuse(format string, args ...any) error {
	return &ValueError{fmt.Sprintf(format, args...)}
}

// An Assignment is one parameter and the value that it shall have, in the
// kernel's own form.
type Assignment struct {
	Name   string // without net.ipv4.
	Value  string
	Remedy string // which remedy wants it; "set" when somebody named it
	Why    string
	Hazard string
}

// Key returns the name as sysctl(8) writes it.
func (a Assignment) Key() string { return prefix + a.Name }

// ByHand is the Remedy of an assignment that somebody named.
const ByHand = "set"

// Parse reads NAME=VALUE for a system with these settings. Errors are a
// [*ValueError], and say what is accepted.
func Parse(s *host.Settings, text string) (Assignment, error) {
	name, value, ok := strings.Cut(text, "=")
	name = strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(name), "/", "."), prefix)
	if !ok {
		return Assignment{}, refuse("%q: want NAME=VALUE with %s", text, Settable)
	}
	if why, no := refusals[name]; no {
		return Assignment{}, refuse("%s is not set by portroom: %s", name, why)
	}
	a := Assignment{Name: name, Remedy: ByHand}
	value = strings.TrimSpace(value)
	var err error
	switch name {
	case Range:
		a.Value, err = parseRange(s, value)
	case Reserved:
		var set port.Set
		if set, err = port.ParseSet(value); err == nil {
			a.Value = set.String()
		}
	case TWReuse:
		high := 2
		if !s.Kernel.AtLeast(4, 19) {
			high = 1
		}
		a.Value, err = number(value, 0, high, "0 off, 1 everywhere, 2 loopback only (from Linux 4.19 on)")
	case ReuseDelay:
		if !present(s, ReuseDelay) {
			return a, refuse("%s: Linux %s has no such parameter, it came with 6.14", name, s.Kernel.Text)
		}
		a.Value, err = number(value, 1, 60000, "1 to 60000 milliseconds")
	case Timestamps:
		a.Value, err = number(value, 1, 2, "1 on, or 2 on without random offset; without timestamps no TIME_WAIT is ever taken over")
	case "MaxUserPort", "TcpTimedWaitDelay", "ReservedPorts":
		return a, refuse("%s is a value of Windows: want --target hive:FILE, system:DIR, reg:FILE or remote:HOST, or for this host %s", name, Settable)
	default:
		if strings.HasPrefix(name, "portrange") || strings.HasPrefix(name, "net.inet.") {
			return a, refuse("%s is a parameter of macOS and FreeBSD: run portroom there, with --emit for files; for this host want %s", name, Settable)
		}
		return a, refuse("%q is no parameter that portroom sets: want %s", name, Settable)
	}
	if err != nil {
		return a, refuse("%s=%s: %v (%s)", name, cut(value), err, source)
	}
	a.Hazard = hazard(a)
	return a, nil
}

func parseRange(s *host.Settings, value string) (string, error) {
	r, err := port.ParseRange(value)
	if err != nil {
		return "", err
	}
	if low := max(1, s.UnprivilegedPortStart); int(r.First) < low {
		return "", fmt.Errorf("the first port must be %d or higher, and the last at most 65535: ports below ip_unprivileged_port_start are for bind() with privilege", low)
	}
	return rangeText(r), nil
}

// rangeText writes a range as [flat] makes it of the kernel's own form.
func rangeText(r port.Range) string { return fmt.Sprintf("%d %d", r.First, r.Last) }

func number(value string, low, high int, want string) (string, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return "", errors.New("want " + want)
	}
	return strconv.Itoa(n), nil
}

func present(s *host.Settings, name string) bool {
	for _, v := range s.Values {
		if v.Name == prefix+name {
			return v.Present
		}
	}
	return false
}

// cut shortens what somebody typed so that it fits into a sentence.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}

// Suppose changes settings as the assignments will.
func Suppose(s *host.Settings, set []Assignment) error {
	for _, a := range set {
		var err error
		switch a.Name {
		case Range:
			s.Range, err = port.ParseRange(a.Value)
		case Reserved:
			s.Reserved, err = port.ParseSet(a.Value)
		case TWReuse:
			s.TWReuse, err = strconv.Atoi(a.Value)
		case ReuseDelay:
			s.TWReuseDelay, err = milliseconds(a.Value)
		case Timestamps:
			s.Timestamps, err = strconv.Atoi(a.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
