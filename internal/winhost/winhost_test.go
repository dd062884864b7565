package winhost

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/host/nt"
)

const excluded = "---------- --------\r\n 50000 50059 *\r\n"

func dynamic(first, count int) string {
	return fmt.Sprintf("-----\r\nStart : %d\r\nCount : %d\r\n", first, count)
}

func TestNetshIsAskedForEachProtocolAndFamily(t *testing.T) {
	first := 10000
	var asked []string
	l := &nt.Live{}
	askNetsh(l, func(program string, args ...string) ([]byte, error) {
		asked = append(asked, program+" "+strings.Join(args, " "))
		if args[3] == "dynamicport" {
			first++
			return []byte(dynamic(first, 1000)), nil
		}
		return []byte(excluded), nil
	})
	if len(asked) != 8 || asked[0] != "netsh.exe interface ipv4 show dynamicport tcp" {
		t.Errorf("%q", asked)
	}
	var want []nt.DynamicRange
	for i, p := range nt.Pools {
		want = append(want, nt.DynamicRange{Proto: p.Proto, Family: p.Family, First: uint16(10001 + i), Count: 1000})
	}
	if d := cmp.Diff(want, l.Dynamic); d != "" {
		t.Error(d)
	}
	if len(l.Excluded) != 4 || !l.ExcludedKnown || len(l.Notes) != 0 {
		t.Errorf("%+v", l)
	}
}

func TestWhatNetshDoesNotTellIsNoted(t *testing.T) {
	for name, c := range map[string]struct {
		run      runner
		dynamic  int
		excluded bool
		notes    int
	}{
		"nothing at all": {func(string, ...string) ([]byte, error) { return nil, nil }, 0, false, 4},
		"it fails":       {func(string, ...string) ([]byte, error) { return nil, errors.New("access denied") }, 0, false, 4},
		"IPv6 is not installed": {func(_ string, args ...string) ([]byte, error) {
			switch {
			case args[1] == "ipv6":
				return nil, errors.New("exit status 1")
			case args[3] == "dynamicport":
				return []byte(dynamic(49152, 16384)), nil
			}
			return []byte(excluded), nil
		}, 2, true, 2},
		"no excluded ranges": {func(_ string, args ...string) ([]byte, error) {
			if args[3] == "dynamicport" {
				return []byte(dynamic(49152, 16384)), nil
			}
			return []byte("?"), nil
		}, 4, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := &nt.Live{}
			askNetsh(l, c.run)
			if len(l.Dynamic) != c.dynamic || l.ExcludedKnown != c.excluded || len(l.Notes) != c.notes {
				t.Errorf("%+v", l)
			}
		})
	}
}

func TestPowerShellIsAskedWithoutProfile(t *testing.T) {
	l := &nt.Live{}
	askAutoReuse(l, func(program string, args ...string) ([]byte, error) {
		if program != powershell || args[1] != "-NoProfile" || args[2] != "-NonInteractive" {
			t.Errorf("%s %q", program, args)
		}
		return []byte(`[{"SettingName":"InternetCustom","AutoReusePortRangeStartPort":10000,"AutoReusePortRangeNumberOfPorts":500}]`), nil
	})
	if l.AutoReuse == nil || *l.AutoReuse != (nt.AutoReuse{First: 10000, Count: 500}) {
		t.Errorf("%+v", l)
	}
	l = &nt.Live{}
	askAutoReuse(l, func(string, ...string) ([]byte, error) { return nil, nil })
	if l.AutoReuse != nil || len(l.Notes) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestARestartIsPendingWhenTheKeyIsYoungerThanTheBoot(t *testing.T) {
	boot := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		written time.Time
		dhcp    bool
		want    string
	}{
		{boot.Add(-time.Hour), false, "no"}, {boot.Add(-time.Hour), true, "no"}, {boot.Add(time.Hour), false, "yes"}, {boot.Add(time.Hour), true, "unknown"},
	} {
		l := &nt.Live{}
		pending(l, c.written, boot, c.dhcp)
		got := "unknown"
		if l.RestartPending != nil {
			got = map[bool]string{true: "yes", false: "no"}[*l.RestartPending]
		}
		if got != c.want || (len(l.Notes) == 1) != (got == "unknown") {
			t.Errorf("%+v: %s, %q", c, got, l.Notes)
		}
	}
}
