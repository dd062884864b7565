package errtext

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/portroom/portroom/finding"
)

// MaxLine is how many bytes of a line are looked at. What is said of an error
// stands at its beginning; the longest are JSON with a stack trace in them.
const MaxLine = 8 << 10

// marks are the ways in which programs print the number of an error, with what the
// mark says of the system. The number is the first group that matched. A weak mark
// counts only beside the error's text or name, or a word of connecting: a bare
// number in brackets may be anything.
var marks = []struct {
	has     string // a line without it cannot match
	pattern *regexp.Regexp
	system  finding.System
	weak    bool
}{
	{`[winerror `, regexp.MustCompile(`\[winerror (\d+)\]`), windows, false},                          // Python
	{`[errno `, regexp.MustCompile(`\[errno (-?\d+)\]`), "", false},                                   // Python
	{`errno`, regexp.MustCompile(`\berrno[:=]? *'?(-?\d+)`), "", false},                               // C programs, Node.js, curl
	{`(os error `, regexp.MustCompile(`\(os error (\d+)\)`), "", false},                               // Rust
	{`code: `, regexp.MustCompile(`\bcode: (\d+), kind`), "", false},                                  // Rust, {:?}
	{`socketexception (`, regexp.MustCompile(`socketexception \((\d+)(?:,| *\)|:)`), "", false},       // .NET
	{`connect error: `, regexp.MustCompile(`connect error: (\d+)`), "", false},                        // Envoy
	{` connecting to`, regexp.MustCompile(`\berror (\d+) connecting to\b`), "", false},                // redis-py
	{`0x`, regexp.MustCompile(`\b0x[0-9a-f]{8}/(\d+)\b`), windows, false},                             // libpq on Windows
	{`error`, regexp.MustCompile(`(?:socket|winsock|wsa)[ a-z]{0,16}error:? ?#?(\d+)`), "", false},    // many on Windows
	{`server `, regexp.MustCompile(`server (?:on|at) '[^']*' ?(?:\[[^]]*\] ?)?\((\d+)\b`), "", false}, // MySQL
	{`: `, regexp.MustCompile(`\((\d{1,5}): [a-z']`), "", false},                                      // nginx
	{`err:(`, regexp.MustCompile(`err:\((\d+), `), "", false},
	{`extendedsocketexception`, regexp.MustCompile(`extendedsocketexception \((\d+)\)`), "", true}, // .NET Core 3
	{`(`, regexp.MustCompile(`\((\d{1,5})\)`), "", true},                                           // Apache, Squid, ab
	{`[10`, regexp.MustCompile(`\[(10\d{3})\]`), windows, true},                                    // many on Windows
	{`code`, regexp.MustCompile(`\bcode[:=]? ?\(?(\d{2,5})\b`), "", true},                          // PHP, Predis
	{`error`, regexp.MustCompile(`\berror:? ?\(?(\d{2,5})\b`), "", true},
}

var (
	eventPattern  = regexp.MustCompile(`\bevent(?: ?id)?[: #]{0,10}(4226|4227|4231|4266)\b`)
	statusPattern = regexp.MustCompile(`0x(c0000[0-9a-f]{3})\b`)
	v6Pattern     = regexp.MustCompile(`\[([0-9a-f:]*::?[0-9a-f:.]*)(?:%[0-9a-z]+)?\]|\b((?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}|[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}::[0-9a-f:]*)|(?:^|[^0-9a-f:])(::1|:::\d+)\b`)
	dstPattern    = regexp.MustCompile(`(?:^|[^0-9.])((?:\d{1,3}\.){3}\d{1,3}):(\d{1,5})\b`)
	portZero      = regexp.MustCompile(`:0(?:[^0-9a-f.:]|:[^0-9a-f:]|$)|htons\(0\)`)
	fixedPort     = regexp.MustCompile(`:[1-9]\d{0,4}->`)
	localhost     = regexp.MustCompile(`\blocalhost\b`)
	udpPattern    = regexp.MustCompile(`\budp[46]?\b|\bsendto\b|\bdgram\b|\bdatagram\b|\bwsasendto\b`)
)

// calls are the words by which programs say what failed, the nearest before the
// error counts. Those that are a call of their own in a library of the language
// come with it.
var calls = []struct {
	words string
	call  Call
}{
	{"connectex", Connect}, {"connect:", Connect}, {"connect()", Connect}, {"connect(2)", Connect}, {"connect(..)", Connect},
	{"connect e", Connect}, {"connect failed", Connect}, {"connect error", Connect}, {"connect to", Connect}, {"connecting", Connect},
	{"connection to", Connect}, {"connection failed", Connect}, {"dial tcp", Connect}, {"dial udp", Connect}, {"sock.connect", Connect}, {"socket_connect", Connect},
	{"socket.connect", Connect}, {"net.connect", Connect}, {"connectexception", Connect}, {"connecterror", Connect}, {"connectionexception", Connect},
	{"noroutetohostexception", Connect}, {"establish a new connection", Connect}, {"tcp connection", Connect}, {"connect fail", Connect},
	{"connect err", Connect}, {"kind: connect", Connect}, {"connect(", Connect}, {"connectredis", Connect}, {"connect server", Connect}, {"connect via", Connect}, {"/dev/tcp/", Connect},
	{"httprequestexception", Connect}, {"could not connect", Connect}, {"unable to connect", Connect}, {"can not connect", Connect},
	{"clientconnectorerror", Connect}, {"execute http request", Connect}, {"predis", Connect}, {"urlopen error", Connect}, {"getlatest", Connect},
	{"[tcp://", Connect}, {"cannot connect", Connect}, {"failed to send", Send},

	{"bind:", Bind}, {"bind()", Bind}, {"bind(2)", Bind}, {"bind failed", Bind}, {"bind e", Bind}, {"to bind", Bind}, {"bind(", Bind},
	{"not bind", Bind}, {"bind [", Bind}, {"bind to", Bind}, {"bind_to_addr", Bind}, {"bind exception", Bind}, {"bind local", Bind},
	{"bind failed with", Bind}, {"commbind", Bind}, {"open/bind", Bind}, {"can't bind", Bind}, {"bind tcp", Bind}, {"bind udp", Bind}, {"bound", Bind},
	{"server_bind", Bind}, {"bind error", Bind}, {"bind on", Bind}, {"bind address", Bind}, {"ch.net.bind", Bind},

	{"listen tcp", Listen}, {"listen udp", Listen}, {"listen:", Listen}, {"listen e", Listen}, {"listener", Listen}, {"to listen", Listen},
	{"listening socket", Listen}, {"listening on", Listen}, {"listen socket", Listen},

	{": socket:", Open}, {"socket failed", Open}, {"open a socket", Open}, {"accept", Accept},
	{"wsasend", Send}, {"sendto", Send}, {"sendmsg", Send}, {"send to", Send}, {"write udp", Send},
}

// after are those words where they follow the error, as in "Address already in
// use: connect" and "Cannot assign requested address - bind(2)".
var after = regexp.MustCompile(`^[^a-z0-9]{1,4}(?:\()?(connect|bind|listen|accept)\b`)

// outgoing are words of somebody who connects, whatever call failed in it.
var outgoing = []string{"dial tcp", "dial udp", "connect to", "connecting", "trying to connect", "interconnect", "outgoing", "before connect"}

// A line of HAProxy says neither number nor text (src/proto_tcp.c).
var haproxy = []struct {
	words string
	err   string
	call  Call
}{
	{"connect() failed for backend", "", Connect},
	{"cannot bind to source address before connect()", "EADDRINUSE", Bind},
	{"cannot bind to tproxy source address before connect()", "EADDRINUSE", Bind},
}

// Recognise finds an error in a line that a program printed. It takes any bytes.
func Recognise(line string) (Match, bool) {
	if len(line) > MaxLine {
		line = line[:MaxLine]
	}
	lower := asciiLower(line)
	for _, k := range kernelLines {
		if strings.Contains(lower, k.words) {
			return Match{System: linux, Name: k.name, kernel: k.name}, true
		}
	}
	if strings.Contains(lower, "event") {
		if m := eventPattern.FindStringSubmatch(lower); m != nil {
			n, _ := strconv.Atoi(m[1])
			return lookupEvent(n)
		}
	}
	for _, e := range events {
		if strings.Contains(lower, e.words) {
			return lookupEvent(e.number)
		}
	}
	if m, ok := fromHAProxy(lower); ok {
		return m, true
	}
	m, at, end := find(lower)
	if m.Err == nil {
		return Match{}, false
	}
	m.circumstances(lower, at, end)
	return m, true
}

// asciiLower turns A–Z into lower case and leaves every other byte where it is.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func fromHAProxy(lower string) (Match, bool) {
	for _, h := range haproxy {
		if !strings.Contains(lower, h.words) {
			continue
		}
		name := h.err
		switch {
		case name != "":
		case strings.Contains(lower, "no free ports"):
			name = "EADDRNOTAVAIL"
		case strings.Contains(lower, "local address already in use"):
			name = "EADDRINUSE"
		default:
			continue
		}
		m := on(byName(name), linux)
		m.Call, m.Outgoing, m.AnyPort = h.call, true, true
		return m, true
	}
	return Match{}, false
}

// find finds the error of a line, and where its number, name or text stands.
func find(lower string) (m Match, at, end int) {
	if s := statusPattern.FindStringSubmatchIndex(lower); s != nil { // has a literal prefix
		n, _ := strconv.ParseUint(lower[s[2]:s[3]], 16, 32)
		if m := status(uint32(n)); m.Err != nil {
			return m, s[0], s[1]
		}
	}
	named, system, at, end := byWords(lower)
	for _, mark := range marks {
		if mark.weak && named == nil || !strings.Contains(lower, mark.has) {
			continue
		}
		for _, s := range mark.pattern.FindAllStringSubmatchIndex(lower, 4) {
			n, err := strconv.Atoi(strings.TrimPrefix(lower[s[2]:s[3]], "-"))
			if err != nil {
				continue
			}
			e, sys := numbered(n, mark.system, named, system)
			if e == nil || named != nil && e != named {
				continue
			}
			if named == nil || s[0] < at {
				at = s[0]
			}
			return on(e, sys), at, max(end, s[1])
		}
	}
	if named == nil {
		return Match{}, 0, 0
	}
	return on(named, system), at, end
}

// names are the names of errors in lower case, each with what it stands for.
var names = func() (list []nameOf) {
	for i := range allErrors {
		e := &allErrors[i]
		list = append(list, nameOf{strings.ToLower(e.Name), e, ""})
		if e.Windows != "" {
			list = append(list, nameOf{strings.ToLower(e.Windows), e, windows})
		}
	}
	for _, o := range otherNames {
		list = append(list, nameOf{o.name, byName(o.err), ""})
	}
	return list
}()

type nameOf struct {
	name   string
	err    *Error
	system finding.System
}

// indexWord finds a word that is not part of a longer one.
func indexWord(s, word string) int {
	for from := 0; ; {
		j := strings.Index(s[from:], word)
		if j < 0 {
			return -1
		}
		j += from
		if (j == 0 || !letter(s[j-1])) && (j+len(word) == len(s) || !letter(s[j+len(word)])) {
			return j
		}
		from = j + len(word)
	}
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' }

// byWords finds an error by its text or its name, the first in the line.
func byWords(lower string) (e *Error, system finding.System, at, end int) {
	at = len(lower)
	for i := range allErrors {
		for _, t := range allErrors[i].texts {
			// Of two texts at one place the longer one comes first in the table.
			if j := strings.Index(lower, t.words); j >= 0 && j < at {
				e, system, at, end = &allErrors[i], t.system, j, j+len(t.words)
				if t.words == "too many open files in system" {
					e = byName("ENFILE")
				}
			}
		}
	}
	for _, n := range names {
		j := indexWord(lower, n.name)
		if j < 0 || j >= at {
			continue
		}
		if e != n.err {
			system = n.system
		} else if strings.HasPrefix(lower[at:], "address not available") {
			system = "" // Node.js has this wording everywhere
		}
		e, at, end = n.err, j, max(end*b2i(e == n.err), j+len(n.name))
	}
	if at == len(lower) {
		return nil, "", 0, 0
	}
	return e, system, at, end
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// numbered finds the error that a number stands for, given what its mark and the
// words beside it say.
func numbered(n int, mark finding.System, named *Error, words finding.System) (*Error, finding.System) {
	if named != nil {
		if words != "" && named.numbers[words] == n {
			return named, words
		}
		for _, s := range systems {
			if named.numbers[s] == n {
				return named, s
			}
		}
		return nil, ""
	}
	if mark != "" {
		return byNumber(n, mark), mark
	}
	for _, s := range systems {
		if e := byNumber(n, s); e != nil {
			return e, s
		}
	}
	return nil, ""
}

// circumstances learns from the line which call failed, and toward whom.
func (m *Match) circumstances(lower string, at, end int) {
	best := -1
	look := func(text string, offset int) {
		for _, c := range calls {
			j := strings.LastIndex(text, c.words)
			// Of two words that end at one place the longer one is meant.
			if j >= 0 && (offset+j+len(c.words))*64+len(c.words) > best {
				best, m.Call = (offset+j+len(c.words))*64+len(c.words), c.call
			}
		}
	}
	// "connect EADDRNOTAVAIL": the name's first letter belongs to the word.
	look(lower[:min(at+1, len(lower))], 0)
	if s := after.FindStringSubmatch(lower[end:]); s != nil {
		m.Call = Call(s[1])
	} else if best < 0 {
		look(lower[at:], at)
	}
	for _, w := range outgoing {
		if strings.Contains(lower, w) {
			m.Outgoing = true
		}
	}
	if m.Call == Connect {
		m.Outgoing = true
	}
	m.UDP = udpPattern.MatchString(lower)
	if m.Call == Bind || m.Call == Listen {
		m.AnyPort = (m.Outgoing || portZero.MatchString(lower)) && !fixedPort.MatchString(lower)
	}
	m.destination(lower, at)
	m.localPort(lower, at)
}

// destination learns toward whom a line speaks: the last address with a port before
// the error, or the first after it.
func (m *Match) destination(lower string, at int) {
	for _, s := range v6Pattern.FindAllStringSubmatch(lower, 4) {
		for _, group := range s[1:] {
			group = strings.TrimSuffix(group, ":")
			if strings.HasPrefix(group, ":::") { // as Node.js writes a port of ::
				m.IPv6 = true
			}
			a, err := netip.ParseAddr(group)
			if err == nil && a.Is6() && !a.Is4In6() && !a.IsUnspecified() {
				m.IPv6 = true
			}
		}
	}
	for _, s := range dstPattern.FindAllStringSubmatchIndex(lower, 16) {
		a, err := netip.ParseAddr(lower[s[2]:s[3]])
		p, err2 := strconv.ParseUint(lower[s[4]:s[5]], 10, 16)
		if err != nil || err2 != nil || p == 0 || a.IsUnspecified() {
			continue
		}
		if s[0] > at && m.Dst.IsValid() {
			break
		}
		m.Dst = netip.AddrPortFrom(a, uint16(p))
	}
	if m.IPv6 {
		m.Dst = netip.AddrPort{}
	}
	m.Localhost = !m.Dst.IsValid() && localhost.MatchString(lower)
}
