// Package errtext recognises errors of the network in what programs print, and
// weighs what may have caused them.
//
// It is pure. [Lookup] takes a number, a name or a Windows event; [Recognise] takes
// a line of output or of a log, in whatever language the program is written;
// [Explain] ranks the causes, by the findings of a host if there are any. Numbers
// differ from system to system, and the same number means another thing for
// another call: a [Match] says as much of both as the line says, and no more.
package errtext

import (
	"slices"

	"github.com/portroom/portroom/finding"
)

// An Error is one error with its number on each system.
type Error struct {
	Name    string // as POSIX names it
	Windows string // as Winsock names it
	numbers map[finding.System]int
	// texts are what C libraries and Windows print for it, in lower case.
	texts []text
}

// A text is how one system words an error.
type text struct {
	words  string
	system finding.System // "" when more than one says so
}

const (
	linux   = finding.Linux
	windows = finding.Windows
	darwin  = finding.Darwin
	freebsd = finding.FreeBSD
)

// unix are the numbers of an error that Linux numbers by itself, and macOS and
// FreeBSD alike as 4.4BSD did. Sources: include/uapi/asm-generic/errno.h and
// errno-base.h (Linux; x86 and arm64), bsd/sys/errno.h (xnu), sys/sys/errno.h
// (FreeBSD), winerror.h (Windows: 10000 and the number of 4.3BSD).
func unix(l, bsd, win int) map[finding.System]int {
	return map[finding.System]int{linux: l, darwin: bsd, freebsd: bsd, windows: win}
}

// allErrors are those that stand between a program and a connection. The texts are
// of glibc and musl (Linux), of the BSDs, and of Windows in English; in another
// language Windows is recognised by its number.
var allErrors = []Error{
	{
		Name: "EADDRNOTAVAIL", Windows: "WSAEADDRNOTAVAIL", numbers: unix(99, 49, 10049),
		texts: []text{
			{"cannot assign requested address", linux}, {"address not available", linux}, {"can't assign requested address", darwin},
			{"can\\'t assign requested address", darwin}, {"requested address is not valid in its context", windows},
			{"requested address is invalid in this context", windows},
		},
	},
	{
		Name: "EADDRINUSE", Windows: "WSAEADDRINUSE", numbers: unix(98, 48, 10048),
		texts: []text{
			{"address already in use", ""}, {"address in use", linux}, {"only one usage of each socket address", windows},
		},
	},
	{
		Name: "ENOBUFS", Windows: "WSAENOBUFS", numbers: unix(105, 55, 10055),
		texts: []text{
			{"lacked sufficient buffer space", windows}, {"no buffer space available", ""},
		},
	},
	{
		Name: "EAGAIN", Windows: "WSAEWOULDBLOCK", numbers: unix(11, 35, 10035),
		texts: []text{
			{"resource temporarily unavailable", ""}, {"non-blocking socket operation could not be completed immediately", windows},
		},
	},
	{
		Name: "EMFILE", Windows: "WSAEMFILE", numbers: unix(24, 24, 10024),
		texts: []text{{"too many open files in system", ""}, {"too many open files", ""}, {"too many open sockets", windows}},
	},
	{Name: "ENFILE", numbers: unix(23, 23, 0)},
	{Name: "ENOMEM", numbers: unix(12, 12, 0), texts: []text{{"cannot allocate memory", ""}, {"out of socket memory", linux}}},
	{
		Name: "ECONNREFUSED", Windows: "WSAECONNREFUSED", numbers: unix(111, 61, 10061),
		texts: []text{{"connection refused", ""}, {"actively refused it", windows}},
	},
	{
		Name: "ETIMEDOUT", Windows: "WSAETIMEDOUT", numbers: unix(110, 60, 10060),
		texts: []text{
			{"connection timed out", ""}, {"operation timed out", ""}, {"i/o timeout", ""}, {"connected party did not properly respond", windows},
		},
	},
	{
		Name: "EHOSTUNREACH", Windows: "WSAEHOSTUNREACH", numbers: unix(113, 65, 10065),
		texts: []text{{"no route to host", ""}, {"unreachable host", windows}},
	},
	{
		Name: "ENETUNREACH", Windows: "WSAENETUNREACH", numbers: unix(101, 51, 10051),
		texts: []text{{"network is unreachable", ""}, {"network unreachable", linux}, {"unreachable network", windows}},
	},
	{
		Name: "EACCES", Windows: "WSAEACCES", numbers: unix(13, 13, 10013),
		texts: []text{{"permission denied", ""}, {"forbidden by its access permissions", windows}},
	},
	{Name: "EPERM", numbers: unix(1, 1, 0), texts: []text{{"operation not permitted", ""}}},
	{
		Name: "ECONNRESET", Windows: "WSAECONNRESET", numbers: unix(104, 54, 10054),
		texts: []text{{"connection reset by peer", ""}, {"forcibly closed by the remote host", windows}},
	},
}

// statuses are the NT status codes that Winsock turns into errors (ntstatus.h).
// Some versions make WSAEADDRINUSE of STATUS_TOO_MANY_ADDRESSES.
var statuses = []struct {
	number uint32
	name   string
	err    string
}{
	{0xC0000209, "STATUS_TOO_MANY_ADDRESSES", "ENOBUFS"},
	{0xC000020A, "STATUS_ADDRESS_ALREADY_EXISTS", "EADDRINUSE"},
	{0xC0000141, "STATUS_INVALID_ADDRESS", "EADDRNOTAVAIL"},
	{0xC0000022, "STATUS_ACCESS_DENIED", "EACCES"},
}

// events are those of source Tcpip in Windows' system log (netevent.h), and what
// their texts say in English.
var events = []struct {
	number int
	words  string
	says   string
}{
	{4227, "selected local endpoint was recently used", "an outgoing connection failed: the local port that was chosen was used toward the same peer a moment ago"},
	{4231, "ephemeral port number from the global tcp port space has failed", "no TCP port of the dynamic range was left"},
	{4266, "ephemeral port number from the global udp port space has failed", "no UDP port of the dynamic range was left"},
	{4226, "security limit imposed on the number of concurrent", "too many connection attempts were half-open at once; the others wait, they do not fail (XP SP2 to Vista SP1)"},
}

// kernelLines are what Linux writes into its log.
var kernelLines = []struct {
	words, name, says string
}{
	{"conntrack: table full, dropping packet", "conntrack table full", "the connection tracking table is full, and packets of new connections are dropped"},
	{"time wait bucket table overflow", "TIME_WAIT table overflow", "tcp_max_tw_buckets is reached, and connections skip TIME_WAIT"},
}

// other names of errors: of .NET's SocketError and Rust's io::ErrorKind.
var otherNames = []struct{ name, err string }{
	{"addressnotavailable", "EADDRNOTAVAIL"}, {"addrnotavailable", "EADDRNOTAVAIL"},
	{"addressalreadyinuse", "EADDRINUSE"}, {"addrinuse", "EADDRINUSE"},
	{"nobufferspaceavailable", "ENOBUFS"}, {"toomanyopensockets", "EMFILE"}, {"ewouldblock", "EAGAIN"},
}

// byName finds an error by its POSIX name; nil when there is none.
func byName(name string) *Error {
	i := slices.IndexFunc(allErrors, func(e Error) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &allErrors[i]
}

// systems are all of them, in the order in which a bare number is looked for.
var systems = []finding.System{linux, windows, darwin, freebsd}

// byNumber finds the error that has a number on a system; nil when there is none.
func byNumber(n int, on finding.System) *Error {
	if n == 0 {
		return nil
	}
	i := slices.IndexFunc(allErrors, func(e Error) bool { return e.numbers[on] == n })
	if i < 0 {
		return nil
	}
	return &allErrors[i]
}

// Number returns an error's number on a system, 0 when it has none there.
func (e *Error) Number(on finding.System) int { return e.numbers[on] }

// NameOn returns what the error is called on a system.
func (e *Error) NameOn(on finding.System) string {
	if on == windows && e.Windows != "" {
		return e.Windows
	}
	return e.Name
}

// Names returns every name that [Lookup] knows, for completion.
func Names() []string {
	var out []string
	for i := range allErrors {
		out = append(out, allErrors[i].Name)
		if allErrors[i].Windows != "" {
			out = append(out, allErrors[i].Windows)
		}
	}
	for _, s := range statuses {
		out = append(out, s.name)
	}
	return out
}
