package nt

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/portroom/portroom/registry"
)

// The names of the values in [ParametersKey].
const (
	MaxUserPort            = "MaxUserPort"
	TcpTimedWaitDelay      = "TcpTimedWaitDelay"
	ReservedPorts          = "ReservedPorts"
	MaxFreeTcbs            = "MaxFreeTcbs"
	MaxFreeTWTcbs          = "MaxFreeTWTcbs"
	MaxHashTableSize       = "MaxHashTableSize"
	TcpNumConnections      = "TcpNumConnections"
	StrictTimeWaitSeqCheck = "StrictTimeWaitSeqCheck"
)

// A definition is what is known of one value.
type definition struct {
	name     string
	typ      registry.Type
	min, max *uint32
	unit     string
	meaning  string
	source   string
	// standard is the default of a legacy system, nil when it is not one number;
	// why says so then.
	standard func(System) (n *uint32, why string)
	// check is a further condition on a number within the range, "" when it holds.
	check func(uint32) string
	// later: shown on Windows Vista and later even when absent, because people look
	// for it there; leftover is what is said of it there when it is present.
	later    bool
	leftover string
}

func number(n uint32) *uint32 { return &n }

func always(n uint32) func(System) (*uint32, string) {
	return func(System) (*uint32, string) { return &n, "" }
}

// The defaults and bounds of Microsoft's articles.
const (
	defaultMaxUserPort = 5000  // KB 196271
	highestMaxUserPort = 65534 // KB 196271
	firstPort          = 1025  // KB 929851: start=1025 num=3976 is the range of Server 2003
	timeWaitNT         = 240   // seconds; TechNet cc938217
	timeWait2003       = 120   // seconds; the table of TechNet cc757512, against its own prose
	shortestTimeWait   = 30    // seconds; TechNet cc938217
	longestTimeWait    = 300
)

const notLater = "this system does not go by it: netsh int ipv4 set dynamicport sets the range here (KB 929851)"

// definitions are the values that decide about source ports, in the order in which
// they are best read.
var definitions = []definition{
	{
		name: MaxUserPort, typ: registry.DWORD, unit: "port", source: "KB 196271",
		min: number(defaultMaxUserPort), max: number(highestMaxUserPort), standard: always(defaultMaxUserPort),
		meaning: "the highest port that is handed out to who asks for any; the first is 1025", later: true,
		leftover: "a leftover of an older system that does not govern the range here: netsh int ipv4 show dynamicport tcp shows what does (KB 929851)",
	},
	{
		name: TcpTimedWaitDelay, typ: registry.DWORD, unit: "s", source: "TechNet cc938217",
		min: number(shortestTimeWait), max: number(longestTimeWait), standard: standardTimeWait,
		meaning: "how long a closed connection keeps its port in TIME_WAIT", later: true,
		leftover: "no article says for certain whether this system goes by it; uncertain above all from Windows 10 and Server 2016 on",
	},
	{
		name: ReservedPorts, typ: registry.MultiSZ, unit: "port", source: "KB 812873",
		meaning:  "ports that are never handed out, in lines such as 4000-4010",
		leftover: "not implemented on this system: netsh int ipv4 add excludedportrange takes its place (KB 812873)",
	},
	{
		name: MaxFreeTcbs, typ: registry.DWORD, unit: "blocks", source: "TechNet cc938178",
		min: number(0), max: number(1<<32 - 1), standard: standardFreeTcbs, leftover: notLater,
		meaning: "control blocks held ready; when they run out, TIME_WAIT is cut short",
	},
	{
		name: MaxFreeTWTcbs, typ: registry.DWORD, unit: "blocks", source: "KB 828333",
		standard: always(1000), leftover: notLater,
		meaning: "control blocks that may stand in TIME_WAIT",
	},
	{
		name: MaxHashTableSize, typ: registry.DWORD, unit: "buckets", source: "Windows 2000 TCP/IP parameters",
		min: number(64), max: number(65536), standard: always(512), leftover: notLater,
		meaning: "size of the table of control blocks, a power of two",
		check: func(n uint32) string {
			if bits.OnesCount32(n) != 1 {
				return "not a power of two: what the system does with it is not documented"
			}
			return ""
		},
	},
	{
		name: TcpNumConnections, typ: registry.DWORD, unit: "connections", source: "Windows 2000 TCP/IP parameters",
		min: number(0), max: number(0xfffffe), standard: always(0xfffffe), leftover: notLater,
		meaning: "connections that may be open at the same time",
	},
	{
		name: StrictTimeWaitSeqCheck, typ: registry.DWORD, source: "tuning guides; no Microsoft article is known",
		min: number(0), max: number(1), standard: always(0), leftover: notLater,
		meaning: "with 1 a new connection may take the place of a TIME_WAIT only with a higher sequence number",
	},
}

// Documented returns what the articles say of a value by its name, in whatever
// case: its type, its bounds, its unit, its meaning and its source. It is false for
// a name that is not known.
func Documented(name string) (Value, bool) {
	for i := range definitions {
		if d := &definitions[i]; strings.EqualFold(d.name, name) {
			v := d.read(registry.Value{}, false, System{})
			v.Source = d.source // whatever the system
			return v, true
		}
	}
	return Value{}, false
}

// is2003 reports whether the system is one of release 5.2, or may be.
func is2003(s System) bool { return s.Release == "5.2" || s.Release == "" }

func standardTimeWait(s System) (*uint32, string) {
	if is2003(s) {
		return nil, "uncertain: 240 s (MSDN ms819739) or, on Server 2003, 120 s (TechNet cc757512)"
	}
	return number(timeWaitNT), ""
}

func standardFreeTcbs(s System) (*uint32, string) {
	switch {
	case s.Kind.server():
		return nil, "the default goes by memory: 2000 from 64 MB on, 1000 from 19 MB on, else 500"
	case s.Kind == Workstation:
		return nil, "the default goes by memory: 1000 from 64 MB on, 500 from 19 MB on, else 250"
	}
	return nil, "the default goes by memory, from 250 to 2000"
}

// read makes a Value of what was found, as a legacy system takes it.
func (d *definition) read(found registry.Value, present bool, s System) Value {
	v := Value{
		Name: d.name, Type: d.typ, State: Absent, Min: d.min, Max: d.max,
		Unit: d.unit, Meaning: d.meaning, Source: d.source,
	}
	why := ""
	if d.standard != nil {
		v.Default, why = d.standard(s)
	}
	v.Effective = v.Default
	if d.name == TcpTimedWaitDelay && is2003(s) {
		v.Source = "TechNet cc757512, MSDN ms819739"
	}
	if !present {
		v.Note = why
		return v
	}
	v.Type, v.State, v.Present = found.Type, Good, true
	switch {
	case d.typ == registry.MultiSZ && found.Type == registry.MultiSZ:
		lines, err := found.Strings()
		if err == nil {
			v.Lines, v.Effective = lines, nil
			if lines == nil {
				v.Lines = []string{}
			}
			return v
		}
	case d.typ == registry.DWORD:
		if n, err := found.Uint32(); err == nil && found.Type == registry.DWORD {
			v.Number = &n
			d.judge(&v, n)
			if v.State == OutOfRange && n < shortestTimeWait && d.name == TcpTimedWaitDelay && is2003(s) {
				v.Note = "below 30, the least by MSDN ms819739, while TechNet cc757512 lets it begin at 0: uncertain whether the system goes by it"
			}
			return v
		}
	}
	v.State, v.Text = WrongType, plain(found)
	v.Note = fmt.Sprintf("of type %s, where %s is documented: what the system does with it is not; that the default holds is likely but uncertain", found.Type, d.typ)
	if len(found.Data) != 4 && found.Type == d.typ && d.typ == registry.DWORD {
		v.Note = fmt.Sprintf("%d bytes long, where a REG_DWORD has 4: that the default holds is likely but uncertain", len(found.Data))
	}
	return v
}

// judge says whether a number is a documented one.
func (d *definition) judge(v *Value, n uint32) {
	v.Effective = &n
	switch {
	case d.min != nil && n < *d.min, d.max != nil && n > *d.max:
		v.State, v.Effective = OutOfRange, nil
		v.Note = fmt.Sprintf("outside %d to %d: what the system does with it is not documented", *d.min, *d.max)
	case d.check != nil && d.check(n) != "":
		v.State, v.Effective, v.Note = OutOfRange, nil, d.check(n)
	}
	if v.State == OutOfRange && d.name == MaxUserPort && n < defaultMaxUserPort {
		// Facts of the field, not of an article: the stack takes it for invalid.
		v.Effective = number(defaultMaxUserPort)
		v.Note = fmt.Sprintf("below %d, which is not documented: the system uses %d, it is believed; uncertain", defaultMaxUserPort, defaultMaxUserPort)
	}
}

// governsNot marks a value on a system that does not go by it, or is not known to.
func (d *definition) governsNot(v *Value) {
	v.Default, v.Effective = nil, nil
	if v.State == Absent {
		v.Note = "absent, as it should be: " + notLater
		if d.name == TcpTimedWaitDelay {
			v.Note = "uncertain: TIME_WAIT lasts 240 s (Microsoft) or 120 s (measured)"
		}
		return
	}
	if d.name == TcpTimedWaitDelay {
		// It may act, so that what is wrong with it stays worth saying.
		if v.Note != "" {
			v.Note += "; "
		}
		v.Note += d.leftover
		return
	}
	v.State, v.Note = Leftover, d.leftover
}

// plain writes a value of whatever type on one line.
func plain(v registry.Value) string {
	if s, err := v.Text(); err == nil {
		return shorten(s)
	}
	if list, err := v.Strings(); err == nil {
		return shorten(strings.Join(list, " "))
	}
	if n, err := v.Uint32(); err == nil {
		return fmt.Sprint(n)
	}
	return shorten(fmt.Sprintf("% x", v.Data[:min(len(v.Data), 40)]))
}
