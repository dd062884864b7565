package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/socket"
)

// The settings of a Windows system as JSON. What is not known is null.
type ntSettingsJSON struct {
	Target     string          `json:"target"`
	System     ntSystemJSON    `json:"system"`
	ControlSet *int            `json:"control_set"`
	Ephemeral  any             `json:"ephemeral"` // ntRangeJSON, []ntPoolJSON or null
	Ceiling    *boundsJSON     `json:"ceiling_per_second"`
	TimeWait   *secondsJSON    `json:"time_wait_seconds"`
	Excluded   []excludedJSON  `json:"excluded"`
	AutoReuse  *rangeJSON      `json:"auto_reuse"`
	Pending    *bool           `json:"restart_pending"`
	Settings   []ntSettingJSON `json:"settings"`
	Notes      []string        `json:"notes"`
}

type ntSystemJSON struct {
	Product     string  `json:"product"`
	Release     *string `json:"release"`
	Build       *int    `json:"build"`
	ServicePack *int    `json:"service_pack"`
	Arch        *string `json:"arch"`
	Legacy      *bool   `json:"legacy"`
}

type ntRangeJSON struct {
	First    uint16 `json:"first"`
	Last     uint16 `json:"last"`
	Count    int    `json:"count"`
	Reserved int    `json:"reserved"`
	Exact    bool   `json:"exact"`
}

type ntPoolJSON struct {
	Proto    string      `json:"proto"`
	Family   string      `json:"family"`
	First    uint16      `json:"first"`
	Last     uint16      `json:"last"`
	Count    int         `json:"count"`
	Excluded int         `json:"excluded"`
	Exact    bool        `json:"exact"`
	Ceiling  *boundsJSON `json:"ceiling_per_second"`
}

type boundsJSON struct {
	Low  float64  `json:"low"`
	High *float64 `json:"high"`
}

type secondsJSON struct {
	Low  int `json:"low"`
	High int `json:"high"`
}

type excludedJSON struct {
	Proto        string `json:"proto"`
	Family       string `json:"family"`
	First        uint16 `json:"first"`
	Last         uint16 `json:"last"`
	Administered bool   `json:"administered"`
	Exact        bool   `json:"exact"`
}

type ntSettingJSON struct {
	Name      string  `json:"name"`
	Type      string  `json:"type"`
	Value     any     `json:"value"` // a number, a text, an array of texts, or null
	Default   *uint32 `json:"default"`
	Effective *uint32 `json:"effective"`
	Min       *uint32 `json:"min"`
	Max       *uint32 `json:"max"`
	Unit      string  `json:"unit"`
	Source    string  `json:"source"`
	Note      string  `json:"note"`
	State     string  `json:"state"`
	Meaning   string  `json:"meaning"`
}

// known returns a pointer to v, nil when v is what stands for "not known".
func known[T comparable](v, unknown T) *T {
	if v == unknown {
		return nil
	}
	return &v
}

func jsonSystem(s *nt.System) ntSystemJSON {
	j := ntSystemJSON{
		Product: s.Product, Release: known(s.Release, ""), Build: known(s.Build, -1),
		ServicePack: known(s.ServicePack, -1), Arch: known(s.Arch, ""),
	}
	if s.Era != nt.UnknownEra {
		legacy := s.Era == nt.Legacy
		j.Legacy = &legacy
	}
	return j
}

func jsonBounds(r *nt.Range) *boundsJSON {
	if r.Proto == socket.UDP {
		return nil
	}
	return &boundsJSON{round1(r.Low), ceilingHigh(r)}
}

// ceilingHigh is the upper bound, nil when none is known: ports that are free the
// moment they are closed have none.
func ceilingHigh(r *nt.Range) *float64 {
	if r.High == 0 && r.Low > 0 {
		return nil
	}
	high := round1(r.High)
	return &high
}

func jsonNTSettings(t target.Target, s *nt.Settings) ntSettingsJSON {
	j := ntSettingsJSON{
		Target: t.String(), System: jsonSystem(&s.System), ControlSet: known(s.ControlSet.Number, 0),
		Excluded: []excludedJSON{}, Pending: s.RestartPending, Settings: []ntSettingJSON{}, Notes: []string{},
	}
	j.Ephemeral, j.Ceiling = jsonRanges(s)
	if s.TimeWaitHigh > 0 {
		j.TimeWait = &secondsJSON{s.TimeWaitLow, s.TimeWaitHigh}
	}
	for _, e := range s.Excluded {
		j.Excluded = append(j.Excluded, excludedJSON{e.Proto.String(), e.Family.String(), e.First, e.Last, e.Administered, s.ExcludedExact})
	}
	if s.AutoReuse != nil {
		j.AutoReuse = &rangeJSON{}
		if r, err := s.AutoReuse.Range(); err == nil {
			j.AutoReuse = &rangeJSON{r.First, r.Last, r.Len()}
		}
	}
	for i := range s.Values {
		v := &s.Values[i]
		j.Settings = append(j.Settings, ntSettingJSON{
			Name: v.Name, Type: v.Type.String(), Value: jsonValue(v), Default: v.Default, Effective: v.Effective, Min: v.Min, Max: v.Max,
			Unit: v.Unit, Source: v.Source, Note: v.Note, State: string(v.State), Meaning: v.Meaning,
		})
	}
	j.Notes = append(j.Notes, s.Notes...)
	return j
}

// jsonRanges is the ephemeral range of a legacy system as an object, those of a
// later one as an array, and the ceiling of the first.
func jsonRanges(s *nt.Settings) (any, *boundsJSON) {
	if len(s.Ranges) == 0 {
		return nil, nil
	}
	first := &s.Ranges[0]
	if s.System.Era == nt.Legacy {
		return ntRangeJSON{first.First, first.Last, first.Len(), first.Taken, first.Exact}, jsonBounds(first)
	}
	pools := []ntPoolJSON{}
	for i := range s.Ranges {
		r := &s.Ranges[i]
		pools = append(pools, ntPoolJSON{
			Proto: r.Proto.String(), Family: r.Family.String(), First: r.First, Last: r.Last, Count: r.Len(),
			Excluded: r.Taken, Exact: r.Exact, Ceiling: jsonBounds(r),
		})
	}
	return pools, jsonBounds(first)
}

func jsonValue(v *nt.Value) any {
	switch {
	case !v.Present:
		return nil
	case v.Number != nil:
		return *v.Number
	case v.Lines != nil:
		return v.Lines
	}
	return v.Text
}

func (a *app) printNTSettings(t target.Target, s *nt.Settings) error {
	if a.json {
		return printJSON(a.stdout, jsonNTSettings(t, s))
	}
	w := &lines{a: a}
	w.add(bold, "%s", systemLine(s))
	for _, l := range rangeLines(s) {
		w.add("", "%s", l)
	}
	if err := w.flush(); err != nil {
		return err
	}
	tab := &table{head: []string{"SETTING", "VALUE", "DEFAULT", "VALID", "SOURCE", "MEANING"}, drop: []string{"SOURCE", "VALID"}}
	for i := range s.Values {
		v := &s.Values[i]
		sgr := ""
		switch v.State {
		case nt.Good:
			if v.Default == nil || v.Number == nil || *v.Number != *v.Default {
				sgr = bold
			}
		case nt.OutOfRange, nt.WrongType, nt.Malformed, nt.Leftover:
			sgr = yellow
		}
		tab.add(sgr, v.Name, valueText(v), numberText(v.Default), validText(v), v.Source, v.Meaning)
	}
	if err := a.writeTable(a.stdout, tab); err != nil {
		return err
	}
	for i := range s.Values {
		if v := &s.Values[i]; v.Note != "" && v.State == nt.Absent {
			w.lead(faint, "  ", v.Name+": "+clean(v.Note))
		} else if v.Note != "" {
			w.lead(yellow, "! ", v.Name+": "+clean(v.Note))
		}
	}
	if s.RestartPending != nil && *s.RestartPending {
		w.lead(yellow, "! ", "changed after the last boot: the values act from the next one on")
	}
	for _, n := range s.Notes {
		w.lead(faint, "  ", clean(n))
	}
	return w.flush()
}

// systemLine names the system and where the settings were found.
func systemLine(s *nt.Settings) string {
	var parts []string
	if y := &s.System; y.Release != "" {
		release := y.Release
		if y.Build >= 0 {
			release += " build " + strconv.Itoa(y.Build)
		}
		parts = append(parts, release)
	}
	if n := s.System.ServicePack; n > 0 {
		parts = append(parts, "Service Pack "+strconv.Itoa(n))
	}
	if s.System.Arch != "" {
		parts = append(parts, s.System.Arch)
	}
	parts = append(parts, s.ControlSet.Key)
	return clean(fmt.Sprintf("%s (%s)", s.System.Product, strings.Join(parts, ", ")))
}

// rangeLines say which ports are ephemeral. Ranges that are alike share a line.
func rangeLines(s *nt.Settings) []string {
	var out []string
	wait := fmt.Sprintf("%d s", s.TimeWaitHigh)
	if s.TimeWaitLow != s.TimeWaitHigh {
		wait = fmt.Sprintf("%d to %d s", s.TimeWaitLow, s.TimeWaitHigh)
	}
	for i := 0; i < len(s.Ranges); i++ {
		r := s.Ranges[i]
		who, taken := "", "reserved"
		if r.Proto != 0 {
			who, taken = fmt.Sprintf("%s over %s: ", strings.ToUpper(r.Proto.String()), ipName(r.Family)), "excluded"
			if i+1 < len(s.Ranges) && sameRange(r, s.Ranges[i+1]) {
				who = strings.ToUpper(r.Proto.String()) + " over IPv4 and IPv6 each: "
				i++
			}
		}
		l := fmt.Sprintf("%s%s are ephemeral (%s), %d of them %s", who, count(r.Len(), "port"), r.Range, r.Taken, taken)
		if !r.Exact {
			l += ", as far as is known"
		}
		if r.Proto != socket.UDP {
			l += fmt.Sprintf("; %s when this side closes first (TIME_WAIT %s)", boundsText(&r), wait)
		}
		out = append(out, l)
	}
	return out
}

func sameRange(a, b nt.Range) bool {
	return a.Proto == b.Proto && a.Range == b.Range && a.Taken == b.Taken && a.Exact == b.Exact
}

func ipName(f nt.Family) string { return "IPv" + strconv.Itoa(int(f)) }

func boundsText(r *nt.Range) string {
	high := ceilingHigh(r)
	switch {
	case high == nil:
		return rate(r.Low) + " or more"
	case math.Abs(*high-round1(r.Low)) < 0.05:
		return rate(r.Low)
	}
	return rate(r.Low) + " to " + rate(*high)
}

func valueText(v *nt.Value) string {
	switch {
	case !v.Present:
		return "(absent)"
	case v.Number != nil:
		return strconv.FormatUint(uint64(*v.Number), 10)
	case len(v.Lines) > 0:
		return clean(strings.Join(v.Lines, " "))
	case v.Text == "":
		return "(empty)"
	}
	return clean(v.Text)
}

func numberText(n *uint32) string {
	if n == nil {
		return ""
	}
	return strconv.FormatUint(uint64(*n), 10)
}

func validText(v *nt.Value) string {
	if v.Min == nil || v.Max == nil {
		return ""
	}
	return fmt.Sprintf("%d-%d", *v.Min, *v.Max)
}
