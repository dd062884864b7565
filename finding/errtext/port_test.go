package errtext

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

func TestThePortThatIsInUse(t *testing.T) {
	for line, want := range map[string]uint16{
		"listen tcp :8080: bind: address already in use":                                                          8080,
		"listen tcp 127.0.0.1:8080: bind: address already in use":                                                 8080,
		"listen tcp4 0.0.0.0:80: bind: address already in use":                                                    80,
		"listen tcp [::]:443: bind: address already in use":                                                       443,
		"dial tcp :20->:8081: bind: address already in use":                                                       20,
		"2021/06/18 14:49:02 [emerg] 1379408#1379408: bind() to [::]:80 failed (98: Address already in use)":      80,
		"Error: listen EADDRINUSE: address already in use :::3000":                                                3000,
		"Error: listen EADDRINUSE: address already in use 127.0.0.1:3000":                                         3000,
		"[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use":          8000,
		"bind(3, {sa_family=AF_INET, sin_port=htons(8089), sin_addr=inet_addr(\"0.0.0.0\")}, 16) = -1 EADDRINUSE": 8089,
		"Could not create server TCP listening socket *:6379: bind: Address already in use":                       6379,
		"(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:80":                    80,
		"Fail to listen on 127.0.0.1:4103: Address already in use (os error 98)":                                  4103,
		"could not bind IPv4 address \"127.0.0.1\": Address already in use; is port 5432 free?":                   5432,
		"java.net.BindException: Address already in use (Bind failed)":                                            0,
		"2018/09/29 23:34:57 bind: Address already in use":                                                        0,
		"listen tcp :0: bind: address already in use":                                                             0,
		"listen tcp :70000: bind: address already in use":                                                         0,
		"connect to 10.0.0.5:80: Address already in use":                                                          0,
		"listen tcp :8080: bind: permission denied":                                                               0,
	} {
		m, ok := Recognise(line)
		if !ok || m.Port != want {
			t.Errorf("%s: port %d, recognised %v, want %d", line, m.Port, ok, want)
		}
	}
}

func TestWhoHoldsThePortIsTheEvidence(t *testing.T) {
	at := netip.MustParseAddrPort
	server := finding.Holder{Proto: socket.TCP, State: socket.Listen, Local: at("0.0.0.0:8080"), PID: 7, Command: "nginx"}
	datagrams := finding.Holder{Proto: socket.UDP, State: socket.Closed, Local: at("0.0.0.0:8080"), PID: 9, Command: "dns"}
	client := finding.Holder{Proto: socket.TCP, State: socket.Established, Local: at("10.0.0.1:8080"), Peer: at("10.0.0.5:443"), PID: 8, Command: "curl"}
	gone := finding.Holder{Proto: socket.TCP, State: socket.TimeWait, Local: at("10.0.0.1:8080"), Peer: at("10.0.0.9:50000")}
	wide, usual := port.Range{First: 1024, Last: 65535}, port.Range{First: 32768, Last: 60999}
	const tcp, udp = "listen tcp :8080: bind: address already in use", "listen udp :8080: bind: address already in use"
	for name, c := range map[string]struct {
		line  string
		rng   port.Range
		held  []finding.Holder
		cause string
		says  string
		helps string
	}{
		"another server":                        {tcp, usual, []finding.Holder{server}, "PR902", "nginx[7] listens on 0.0.0.0:8080", "stop one of the two"},
		"a server, and its connections":         {tcp, wide, []finding.Holder{server, client}, "PR902", "nginx[7] listens", "stop one of the two"},
		"a server of UDP, asked for TCP":        {tcp, usual, []finding.Holder{datagrams, server}, "PR902", "nginx[7]", ""},
		"a server of UDP":                       {udp, usual, []finding.Holder{datagrams, server}, "PR902", "dns[9] is bound to 0.0.0.0:8080 (udp)", ""},
		"an outgoing connection":                {tcp, wide, []finding.Holder{client}, "PR112", "curl[8] has 10.0.0.1:8080 → 10.0.0.5:443 (ESTABLISHED)", "reserve the port"},
		"what the server before it left":        {tcp, usual, []finding.Holder{gone}, "PR902", "nobody any more has 10.0.0.1:8080 → 10.0.0.9:50000 (TIME_WAIT)", "SO_REUSEADDR"},
		"a process of somebody else":            {tcp, usual, []finding.Holder{{Proto: socket.TCP, State: socket.BoundInactive, Local: at("0.0.0.0:8080")}}, "PR902", "somebody whom only root sees is bound to 0.0.0.0:8080 (tcp)", ""},
		"nobody, the other one has ended since": {tcp, usual, []finding.Holder{}, "PR902", "nobody holds port 8080 now", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := Lookup(c.line, linux)
			f := &finding.Facts{System: linux, Settings: &host.Settings{Range: c.rng}, Held: map[uint16][]finding.Holder{8080: c.held}}
			e := Explain(m, f, nil)
			if got := e.Causes[0]; got.Code != c.cause || !strings.Contains(got.Evidence, c.says) || !strings.Contains(got.Remedy, c.helps) || e.Exhaustion != No {
				t.Errorf("%s: %+v", e.Exhaustion, got)
			}
		})
	}
}
