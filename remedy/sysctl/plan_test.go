package sysctl

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
)

func ports(first, last int) port.Range {
	return port.Range{First: uint16(first), Last: uint16(last)}
}

func drawRange(t *rapid.T, low int, name string) port.Range {
	first := rapid.IntRange(low, 65535).Draw(t, name+" first")
	return ports(first, rapid.IntRange(first, 65535).Draw(t, name+" last"))
}

func drawFacts(t *rapid.T) *Facts {
	s := &host.Settings{UnprivilegedPortStart: rapid.SampledFrom([]int{0, 1, 1024, 1024, 1024, 20000, 65534}).Draw(t, "unprivileged")}
	s.Range = drawRange(t, max(1, s.UnprivilegedPortStart), "range")
	for range rapid.IntRange(0, 3).Draw(t, "reservations") {
		s.Reserved.AddRange(drawRange(t, 1, "reserved"))
	}
	f := &Facts{Settings: s}
	for range rapid.IntRange(0, 6).Draw(t, "claims") {
		p := rapid.IntRange(1, 65535).Draw(t, "port")
		kind := rapid.SampledFrom([]claim.Kind{claim.Listening, claim.Configured}).Draw(t, "kind")
		f.Claims = append(f.Claims, claim.Claim{Kind: kind, Ports: ports(p, p), By: "x"})
	}
	if rapid.Bool().Draw(t, "node") {
		f.Claims = append(f.Claims, claim.Claim{Kind: claim.NodePort, Ports: ports(30000, 32767), By: "NodePorts"})
	}
	return f
}

// exposed are the ports that connect() may be given.
func exposed(s *host.Settings) port.Set {
	var e port.Set
	e.AddRange(s.Range)
	e.Subtract(&s.Reserved)
	return e
}

// A wider range holds what it held, is even, and exposes no port of anybody that
// was not exposed before; the reservation comes first.
func TestAWiderRangeGivesNobodysPortAway(t *testing.T) {
	widened := 0
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		if _, wider := finding.Wide(f.Settings); !wider {
			return // it is wide
		}
		widened++
		set, err := f.Fix([]string{finding.WidenRange})
		if err != nil {
			t.Fatal(err)
		}
		out, _, risks, err := f.Protect(set)
		if err != nil || len(risks) > 0 {
			t.Fatalf("%v, risks %v", err, risks)
		}
		next := *f.Settings
		if err := Suppose(&next, out); err != nil {
			t.Fatal(err)
		}
		if next.Range.Odd() || next.Range.Len() <= f.Settings.Range.Len() || int(next.Range.First) < f.Settings.UnprivilegedPortStart {
			t.Errorf("%s became %s", f.Settings.Range, next.Range)
		}
		if int(next.Range.First) > int(f.Settings.Range.First)+1 || next.Range.Last < f.Settings.Range.Last {
			t.Errorf("%s does not hold %s", next.Range, f.Settings.Range)
		}
		before, after, owned := exposed(f.Settings), exposed(&next), f.Claims.Set()
		after.Intersect(&owned)
		after.Subtract(&before)
		if after.Len() > 0 {
			t.Errorf("ports of others are exposed: %s", after.String())
		}
		lost := f.Settings.Reserved
		lost.Subtract(&next.Reserved)
		if lost.Len() > 0 {
			t.Errorf("reservations are lost: %s", lost.String())
		}
		if i := slices.IndexFunc(out, func(a Assignment) bool { return a.Name == Reserved }); i > 0 {
			t.Errorf("the range is set before the reservation: %v", out)
		}
	})
	if widened == 0 {
		t.Error("nothing was ever widened")
	}
}

// Whatever is set by hand: between any two steps, and after the last, no port of
// anybody is exposed that was not before, unless a risk says so.
func TestNoStepExposesAPortWithoutARisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		var set []Assignment
		add := func(text string) {
			a, err := Parse(f.Settings, text)
			if err != nil {
				t.Fatal(err)
			}
			set = append(set, a)
		}
		if rapid.Bool().Draw(t, "set the range") {
			add("ip_local_port_range=" + drawRange(t, max(1, f.Settings.UnprivilegedPortStart), "new range").String())
		}
		if rapid.Bool().Draw(t, "set the reserved ports") {
			var r port.Set
			r.AddRange(drawRange(t, 1, "new reserved"))
			if rapid.Bool().Draw(t, "all claims too") {
				owned := f.Claims.Set()
				r.Union(&owned)
			}
			add("net.ipv4.ip_local_reserved_ports=" + r.String())
		}
		out, _, risks, err := f.Protect(set)
		if err != nil {
			t.Fatal(err)
		}
		now := *f.Settings
		before, owned := exposed(f.Settings), f.Claims.Set()
		var bad port.Set
		for i := range out {
			if err := Suppose(&now, out[i:i+1]); err != nil {
				t.Fatal(err)
			}
			e := exposed(&now)
			e.Intersect(&owned)
			e.Subtract(&before)
			if i == len(out)-1 {
				bad = e
			} else if e.Len() > 0 && len(risks) == 0 && len(out) == 2 && now.Range == f.Settings.Range {
				t.Errorf("after step %d of %v ports are exposed: %s", i+1, out, e.String())
			}
		}
		if (bad.Len() > 0) != (len(risks) > 0) {
			t.Errorf("exposed at the end: %q, risks %v", bad.String(), risks)
		}
	})
}

func TestNamedRemediesSetOnlyWhatIsNotSo(t *testing.T) {
	s := &host.Settings{Range: ports(32768, 61000), Timestamps: 0, TWReuseDelay: time.Second, Values: []host.Value{{Name: "net.ipv4.tcp_tw_reuse_delay", Present: true}}}
	f := &Facts{Settings: s}
	set, err := f.Fix(Remedies)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Title(set), "ip_local_port_range=10240-65535, tcp_tw_reuse=1, tcp_tw_reuse_delay=100, tcp_timestamps=1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if again, err := f.Fix([]string{finding.TWReuse, finding.TWReuse}); err != nil || Title(again) != "tcp_tw_reuse=1, tcp_timestamps=1" {
		t.Errorf("tw-reuse twice, without timestamps: %s, %v", Title(again), err)
	}
	if err := Suppose(s, set); err != nil {
		t.Fatal(err)
	}
	set, err = f.Fix(Remedies[1:])
	if err != nil || Title(set) != "tcp_tw_reuse=1" {
		t.Errorf("again: %s, %v", Title(set), err)
	}
	if _, err := f.Fix([]string{finding.WidenRange}); err == nil || !strings.Contains(err.Error(), "as wide as portroom makes it") {
		t.Errorf("widened twice: %v", err)
	}
	s.Values[0].Present = false
	if _, err := f.Fix([]string{finding.TWReuseDelay}); err == nil || !strings.Contains(err.Error(), "came with 6.14") {
		t.Errorf("an older kernel: %v", err)
	}
}

func TestAdviceNamesThePlaceWhereTheNamespaceIsMade(t *testing.T) {
	set := []Assignment{{Name: Range, Value: "10240 65535"}, {Name: TWReuse, Value: "1"}}
	for label, want := range map[string][]string{
		"pod 1b4e28ba container 4f2a9c01d3e7": {`securityContext: {sysctls: [{name: net.ipv4.ip_local_port_range, value: "10240 65535"}, {name: net.ipv4.tcp_tw_reuse, value: "1"}]}`, "--allowed-unsafe-sysctls=net.ipv4.tcp_tw_reuse)"},
		"container 4f2a9c01d3e7":              {`docker run --sysctl net.ipv4.ip_local_port_range="10240 65535" --sysctl net.ipv4.tcp_tw_reuse="1" …`},
		"machine web1":                        {"--root"},
		"nginx.service":                       {"systemctl edit nginx.service", `ExecStartPre=+sysctl -w "net.ipv4.ip_local_port_range=10240 65535"`},
		"blue":                                {`ip netns exec NAME sysctl -w net.ipv4.ip_local_port_range="10240 65535"`, "docker run", "securityContext"},
	} {
		text := strings.Join(Advice(label, set), "\n")
		for _, w := range append(want, "ends with it") {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not in\n%s", label, w, text)
			}
		}
	}
	if text := strings.Join(Advice("pod x", set[:1]), "\n"); strings.Contains(text, "unsafe") {
		t.Errorf("the range is said to be unsafe: %s", text)
	}
}

// What is there after a power cut in the middle of a long list is known for a part
// of it; nobody else's value is taken for one.
func TestAPartOfALongListIsTorn(t *testing.T) {
	var long port.Set
	for p := 1; p < 60000; p += 2 {
		long.Add(uint16(p))
	}
	s := remedy.Step{Kind: Parameter, Object: reservedPorts, From: remedy.State{Data: "80"}, To: remedy.State{Data: long.String()}}
	d := new(Driver)
	for now, want := range map[string]bool{"1,3,5": true, "": true, "1,2": false, "x": false} {
		if got := d.Torn(s, remedy.State{Data: now}); got != want {
			t.Errorf("%q: %v, want %v", now, got, want)
		}
	}
	s.To.Data = "1,3,5,7"
	if d.Torn(s, remedy.State{Data: "1,3"}) {
		t.Error("a short list is written in one piece")
	}
}
