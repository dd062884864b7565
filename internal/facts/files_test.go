package facts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// tree writes files under a folder of the test's own.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, "proc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const (
	sys    = "sys/net/ipv4/"
	filter = "sys/net/netfilter/nf_conntrack_"
)

// gateway is a host with everything, as Linux 6.18 with two processors writes it.
var gateway = map[string]string{
	"uptime":                         "8650123.50 17000000.00\n",
	sys + "tcp_fin_timeout":          "30\n",
	sys + "tcp_ehash_entries":        "-262144\n",
	filter + "count":                 "250000\n",
	filter + "max":                   "262144\n",
	filter + "tcp_timeout_time_wait": "120\n",
	"net/netstat":                    "TcpExt: SyncookiesSent TCPTimeWaitOverflow TW\nTcpExt: 5 17 9\nIpExt: InNoRoutes TCPTimeWaitOverflow\nIpExt: 0 99\n",
	"net/if_inet6":                   "fe800000000000000000000000000001 02 40 20 80     eth0\n",
	"net/stat/nf_conntrack": "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop\n" +
		"0003d090  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 0000000a 00000002 00000000\n" +
		"0003d090  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000001 00000003 00000000\n",
	"17/comm":    "kubelet\n",
	"17/cmdline": "/usr/bin/kubelet\x00--config=/etc/k\x00",
}

func facts(first uint16, major, minor int) *finding.Facts {
	return &finding.Facts{System: finding.Linux, Settings: &host.Settings{
		Range: port.Range{First: first, Last: 60999}, Kernel: host.Release{Major: major, Minor: minor},
	}}
}

func TestTheFilesOfAGatewayAreRead(t *testing.T) {
	got := facts(10240, 6, 18)
	FromFiles(got, tree(t, gateway))
	want := facts(10240, 6, 18)
	want.Uptime = 8650123*time.Second + 500*time.Millisecond
	want.FinTimeout, want.EhashEntries, want.Overflows = 30, 262144, 17
	want.Recycle, want.IPv6 = socket.No, socket.Yes
	want.Conntrack = &finding.Conntrack{Count: 250000, Max: 262144, TimeWait: 2 * time.Minute, InsertFailed: 11, Drop: 5}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(port.Set{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nothing that cannot be read is taken for a number.
func TestWhatTheFilesDoNotTellStaysUnknown(t *testing.T) {
	junk := make(map[string]string)
	for name := range gateway {
		if name != "17/comm" {
			junk[name] = "-x \xff\nnan -1\n"
		}
	}
	hex := map[string]string{filter + "max": "5", "net/stat/nf_conntrack": "insert_failed drop\nxyz\n\n"}
	for name, files := range map[string]map[string]string{"no file": nil, "junk": junk, "half": hex} {
		t.Run(name, func(t *testing.T) {
			got := facts(32768, 4, 9)
			FromFiles(got, tree(t, files))
			if files != nil {
				got.IPv6 = socket.Unknown // there is a proc/net
			}
			if name == "half" {
				if diff := cmp.Diff(&finding.Conntrack{Max: 5}, got.Conntrack); diff != "" {
					t.Error(diff)
				}
				got.Conntrack = nil
			}
			if diff := cmp.Diff(facts(32768, 4, 9), got, cmp.AllowUnexported(port.Set{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	var none finding.Facts
	FromFiles(&none, tree(t, gateway))
	if none.Uptime != 0 {
		t.Error("files of a host whose settings are not known were read")
	}
}

// The rules whose conditions no namespace of this kernel can be brought into: the
// conntrack table is the system's, tcp_tw_recycle is gone, nobody runs a kubelet.
func TestRulesFireOnTheFilesOfOtherHosts(t *testing.T) {
	for _, c := range []struct {
		code     string
		severity finding.Severity
		kernel   [2]int
		files    map[string]string
		says     string
	}{
		{"PR112", finding.Warning, [2]int{6, 18}, gateway, "overlaps the NodePorts 30000-32767"},
		{"PR116", finding.Critical, [2]int{4, 9}, map[string]string{sys + "tcp_tw_recycle": "1\n"}, "tcp_tw_recycle=1"},
		{"PR119", finding.Critical, [2]int{6, 18}, gateway, "nf_conntrack_count=250000, nf_conntrack_max=262144"},
		{"PR120", finding.Info, [2]int{6, 18}, gateway, "11 entries could not be inserted"},
	} {
		t.Run(c.code, func(t *testing.T) {
			f := facts(10240, c.kernel[0], c.kernel[1])
			root := tree(t, c.files)
			FromFiles(f, root)
			f.Claims = nodePorts(root, processes(root))
			for _, got := range finding.Judge(f) {
				if got.Code == c.code {
					if text := got.Title + strings.Join(got.Evidence, "; "); got.Severity != c.severity || !strings.Contains(text, c.says) {
						t.Errorf("%s: %s", got.Severity, text)
					}
					return
				}
			}
			t.Errorf("not found among %+v", finding.Judge(f))
		})
	}
}

func FuzzCounters(f *testing.F) {
	f.Add(gateway["net/netstat"])
	f.Add(gateway["net/stat/nf_conntrack"])
	f.Fuzz(func(t *testing.T, text string) {
		counter(text, "TcpExt:", "TCPTimeWaitOverflow")
		sums(text)
	})
}
