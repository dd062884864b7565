package bsd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/bsd"
)

// kernel answers as sysctl(8) does, and clamps the ends of ranges as macOS does.
type kernel map[string]string

func (k kernel) sysctl(args ...string) (string, error) {
	if args[0] == "-n" {
		v, ok := k[args[1]]
		if !ok {
			return "", fmt.Errorf("%s: %w", args[1], bsd.ErrUnknown)
		}
		return v + "\n", nil
	}
	key, value, _ := strings.Cut(args[0], "=")
	if strings.Contains(key, "portrange") {
		n, err := strconv.Atoi(value)
		if err != nil {
			return "", err
		}
		value = strconv.Itoa(min(max(n, 1024), 65535))
	}
	if k["refuse"] == key {
		return "", errors.New("sysctl: " + key + ": Operation not permitted")
	}
	if k["deaf"] != key {
		k[key] = value
	}
	return "", nil
}

// host is a system with these sysctl.conf and parameters.
func host(t *testing.T, system bsd.System, conf string) (*bsd.Driver, kernel) {
	t.Helper()
	k := kernel{bsd.First: "49152", bsd.Last: "65535", bsd.HighFirst: "49152", bsd.HighLast: "65535", bsd.MSL: "15000"}
	if system == bsd.FreeBSD {
		k[bsd.First], k[bsd.MSL] = "10000", "30000"
	}
	d := &bsd.Driver{FileDriver: remedy.FileDriver{Files: remedy.Disk{}}, System: system, Root: t.TempDir(), Sysctl: k.sysctl, BootID: "one"}
	if err := os.Mkdir(filepath.Join(d.Root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if conf != "" {
		if err := os.WriteFile(filepath.Join(d.Root, "etc/sysctl.conf"), []byte(conf), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return d, k
}

func steps(p *remedy.Proposal) []string {
	var out []string
	for _, s := range p.Plan.Steps {
		out = append(out, filepath.Base(s.Object)+": "+s.From.Data+" → "+s.To.Data)
	}
	return out
}

func TestARangeIsWidenedAndUndone(t *testing.T) {
	const (
		first, last = "net.inet.ip.portrange.first", "net.inet.ip.portrange.last"
		mine        = "# mine\nnet.inet.ip.portrange.first=20000 # why\nkern.ipc.somaxconn=1024"
	)
	for name, c := range map[string]struct {
		system bsd.System
		conf   string
		set    []string // nil: fix
		want   []string
		gain   string
	}{
		"macOS": {bsd.MacOS, "", nil, []string{first + ": 49152 → 32768", "net.inet.ip.portrange.hifirst: 49152 → 32768"}, "16384 → 32768, 546.1 → 1092.2"},
		"FreeBSD": {
			bsd.FreeBSD, mine, []string{"portrange=5000-65535"},
			[]string{
				first + ": 10000 → 5000", "net.inet.ip.portrange.hifirst: 49152 → 5000",
				"sysctl.conf: " + mine + " → # mine\nkern.ipc.somaxconn=1024\nnet.inet.ip.portrange.first=5000\nnet.inet.ip.portrange.last=65535\nnet.inet.ip.portrange.hifirst=5000\nnet.inet.ip.portrange.hilast=65535\n",
			}, "55536 → 60536, 925.6 → 1008.9",
		},
		"a shorter TIME_WAIT": {
			bsd.FreeBSD, "", []string{"net.inet.tcp.msl=5000"},
			[]string{"net.inet.tcp.msl: 30000 → 5000", "sysctl.conf:  → net.inet.tcp.msl=5000\n"}, "55536 → 55536, 925.6 → 5553.6",
		},
		"one end": {bsd.MacOS, "", []string{"portrange.last=60000"}, []string{last + ": 65535 → 60000"}, "16384 → 10849, 546.1 → 361.6"},
	} {
		t.Run(name, func(t *testing.T) {
			d, k := host(t, c.system, c.conf)
			var p *remedy.Proposal
			var err error
			if c.set == nil {
				p, err = d.Fix(nil)
			} else {
				p, err = d.Set(c.set)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, steps(p)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			g := p.Gains[0]
			if got := fmt.Sprintf("%d → %d, %.1f → %.1f", g.Before.Capacity, g.After.Capacity, g.Before.Ceiling, g.After.Ceiling); got != c.gain {
				t.Errorf("the gain is %s, want %s", got, c.gain)
			}
			before := fmt.Sprint(k)
			j, err := remedy.Open(remedy.Options{Dir: filepath.Join(t.TempDir(), "state"), Files: remedy.Disk{}})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			if _, err := j.Apply(context.Background(), d, p.Plan, nil); err != nil {
				t.Fatal(err)
			}
			for _, s := range p.Plan.Steps {
				if now, err := d.Read(s.Kind, s.Object); err != nil || now != s.To {
					t.Errorf("%s is %s, %v", s.Object, now, err)
				}
			}
			back, remarks, err := j.Reverse(d, j.Last(), false)
			if err != nil || len(remarks) > 0 {
				t.Fatal(err, remarks)
			}
			if _, err := j.Apply(context.Background(), d, back, nil); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(d.Root, "etc/sysctl.conf"))
			if string(b) != c.conf || (err != nil) != (c.conf == "") || fmt.Sprint(k) != before {
				t.Errorf("undo does not lead back: %q, %v, %v", b, err, k)
			}
		})
	}
}

func TestWhatTheKernelDoesNotTakeIsRolledBack(t *testing.T) {
	for name, c := range map[string]struct{ trait, want string }{
		"without a word": {"deaf", `was set to "32768" and reads back as "49152"; everything is as it was before`},
		"with a refusal": {"refuse", "Operation not permitted; everything is as it was before"},
	} {
		t.Run(name, func(t *testing.T) {
			d, k := host(t, bsd.MacOS, "")
			p, err := d.Fix([]string{"widen-range"})
			if err != nil {
				t.Fatal(err)
			}
			k[c.trait] = bsd.HighFirst // the second step
			before := fmt.Sprint(k)
			j, err := remedy.Open(remedy.Options{Dir: filepath.Join(t.TempDir(), "state"), Files: remedy.Disk{}})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			if _, err = j.Apply(context.Background(), d, p.Plan, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
			if fmt.Sprint(k) != before {
				t.Errorf("%v", k)
			}
		})
	}
}

func TestWhatIsNotAcceptedIsRefusedWithWhatIs(t *testing.T) {
	d, _ := host(t, bsd.FreeBSD, "")
	for arg, want := range map[string]string{
		"portrange=1000-2000":     "want FIRST-LAST from 1024 to 65535",
		"portrange=5000":          "want FIRST-LAST",
		"portrange.first=65536":   "want 1024 to 65535",
		"portrange.first=many":    "want 1024 to 65535",
		"net.inet.tcp.msl=10":     "want 1000 to 120000 milliseconds",
		"MaxUserPort=6000":        "is no parameter that portroom sets here: want portrange",
		"ip_local_port_range=1 2": "that one is of Linux",
		"net.ipv4.tcp_tw_reuse=1": "that one is of Linux",
		"MaxUserPort=65534":       "that one is of Windows",
		"portrange.first":         "want NAME=VALUE",
		"portrange.last=5000":     "the range would be 10000 to 5000: the first port must not be above the last",
		"portrange.lowfirst=1024": "is no parameter",
	} {
		var bad *bsd.ValueError
		if _, err := d.Set([]string{arg}); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
	if _, err := d.Set([]string{"portrange=5000-6000", "portrange.first=7000"}); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Error(err)
	}
	if _, err := d.Fix([]string{"tw-reuse"}); err == nil || !strings.Contains(err.Error(), "is no remedy for FreeBSD: want widen-range") {
		t.Error(err)
	}
	if p, err := d.Fix(nil); err != nil || len(p.Plan.Steps) != 0 || p.Notes[0] != "nothing to fix: the range is 10000-65535" {
		t.Errorf("%+v, %v", p, err)
	}
}
