package winreg

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/socket"
)

// The kinds of objects that only a running system has.
const (
	KindDynamic   = "dynamic-port-range" // named tcp4, tcp6, udp4 or udp6
	KindAutoReuse = "auto-reuse-range"   // named AutoReuse
)

const (
	// dynamicName begins the names of the four dynamic ranges in set.
	dynamicName = "dynamicport."
	// AutoReuse is the range whose ports outgoing connections may share.
	AutoReuse = "AutoReusePortRange"

	offWord = "off"
)

// pools are the dynamic ranges by their names.
var pools = map[string]struct {
	proto  socket.Proto
	family nt.Family
}{
	"tcp4": {socket.TCP, nt.IPv4}, "tcp6": {socket.TCP, nt.IPv6},
	"udp4": {socket.UDP, nt.IPv4}, "udp6": {socket.UDP, nt.IPv6},
}

// poolOf is the name of a dynamic range.
func poolOf(d nt.DynamicRange) string { return fmt.Sprintf("%s%d", d.Proto, uint8(d.Family)) }

// where is what makes a dynamic range settable; "" when it is.
func (r *Request) where() string {
	switch {
	case r.Settings.System.Era == nt.Legacy:
		return fmt.Sprintf("%s has no dynamic port range: set %s", r.Settings.System.Product, nt.MaxUserPort)
	case r.Live == nil:
		return "where a registry keeps it is not documented: run portroom set on that system, or netsh int ipv4 set dynamicport tcp start=… num=… (KB 929851)"
	}
	return ""
}

func (r *Request) parseDynamic(a assignment) (assignment, error) {
	which := strings.TrimPrefix(a.name, dynamicName)
	if _, ok := pools[which]; !ok {
		return a, refuse("%s is no dynamic port range: want %stcp4, tcp6, udp4 or udp6", quote(a.name), dynamicName)
	}
	if why := r.where(); why != "" {
		return a, refuse("%s: %s", a.name, why)
	}
	span, err := port.ParseRange(a.value)
	switch {
	case err != nil:
		return a, refuse("%s=%s: want FIRST-LAST such as 10240-65535 (KB 929851)", a.name, quote(a.value))
	case span.First < nt.FirstDynamic || span.Len() < nt.LeastDynamic:
		return a, refuse("%s=%s: want a first port of %d or more, a last of 65535 or less, and %d ports or more (KB 929851)", a.name, quote(a.value), nt.FirstDynamic, nt.LeastDynamic)
	}
	a.to = remedy.State{Data: span.String()}
	a.hazard = "firewall rules that expect source ports from 49152 on, and servers in the range that start later, may be in the way"
	return a, nil
}

func (r *Request) parseAutoReuse(a assignment) (assignment, error) {
	switch {
	case r.Settings.System.Era == nt.Legacy:
		return a, refuse("%s: %s has no such range: set %s", AutoReuse, r.Settings.System.Product, nt.MaxUserPort)
	case r.Live == nil:
		return a, refuse("%s: where a registry keeps it is not documented: run portroom set on that system, or Set-NetTCPSetting (KB 3149157)", AutoReuse)
	case r.Live.AutoReuse == nil:
		return a, refuse("%s: this Windows does not show such a range: it came with Windows 8.1 and Server 2012 R2 (KB 3149157)", AutoReuse)
	}
	a.value = strings.ToLower(a.value)
	if a.value == offWord {
		a.to = remedy.State{Data: offWord}
		return a, nil
	}
	span, err := port.ParseRange(a.value)
	if err != nil || span.First < nt.FirstDynamic {
		return a, refuse("%s=%s: want FIRST-LAST from %d to 65535, or %s (Set-NetTCPSetting)", AutoReuse, quote(a.value), nt.FirstDynamic, offWord)
	}
	a.to = remedy.State{Data: span.String()}
	a.hazard = "choose a range without servers; programs that bind before they connect, or use ConnectEx without SO_REUSE_UNICASTPORT, gain nothing by it"
	return a, nil
}

// autoReuse is the step that sets every template that may be set to one range.
func (r *Request) autoReuse(s remedy.Step) ([]remedy.Step, error) {
	s.Kind, s.Object, s.Effect = KindAutoReuse, AutoReuse, remedy.Lasting
	now, err := r.Driver.Read(s.Kind, s.Object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Object, err)
	}
	var words []string
	for _, w := range strings.Fields(now.Data) {
		name, _, _ := strings.Cut(w, "=")
		words = append(words, name+"="+s.To.Data)
	}
	s.To.Data = strings.Join(words, " ")
	return r.step(s)
}

// dynamicState writes a dynamic range as a state: 49152-65535.
func dynamicState(d nt.DynamicRange) (remedy.State, error) {
	span, err := d.Range()
	return remedy.State{Data: span.String()}, err
}

// parseDynamicState is the inverse of dynamicState.
func parseDynamicState(object string, s remedy.State) (nt.DynamicRange, error) {
	p, ok := pools[object]
	if !ok {
		return nt.DynamicRange{}, fmt.Errorf("%q is no dynamic port range", object)
	}
	span, err := port.ParseRange(s.Data)
	return nt.DynamicRange{Proto: p.proto, Family: p.family, First: span.First, Count: span.Len()}, err
}

// templatesState writes the ranges of the templates that may be set as a state:
// DatacenterCustom=off InternetCustom=10000-59999.
func templatesState(list []nt.Template) (remedy.State, error) {
	var words []string
	for _, t := range list {
		if !t.Custom() {
			continue
		}
		text := offWord
		if t.On() {
			span, err := t.Range()
			if err != nil {
				return remedy.State{}, err
			}
			text = span.String()
		}
		words = append(words, t.Name+"="+text)
	}
	if len(words) == 0 {
		return remedy.State{}, fmt.Errorf("this Windows has no TCP template that may be set: want one whose name ends in Custom")
	}
	slices.Sort(words)
	return remedy.State{Data: strings.Join(words, " ")}, nil
}

// parseTemplatesState is the inverse of templatesState.
func parseTemplatesState(s remedy.State) ([]nt.Template, error) {
	var out []nt.Template
	for _, w := range strings.Fields(s.Data) {
		name, text, ok := strings.Cut(w, "=")
		t := nt.Template{Name: name}
		if text != offWord {
			span, err := port.ParseRange(text)
			if err != nil || !ok {
				return nil, fmt.Errorf("%q is no range of a TCP template", w)
			}
			t.First, t.Count = span.First, span.Len()
		}
		out = append(out, t)
	}
	return out, nil
}
