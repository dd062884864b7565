package sysctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/internal/claim"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/remedy"
)

// UnprotectedPorts is the risk that a server finds its port taken.
const UnprotectedPorts = "unprotected-ports"

// FewerPorts is the risk that connects fail which succeed now.
const FewerPorts = "fewer-ports"

// Protect completes assignments so that no connect() is given a port that belongs
// to somebody: what the new part of the range takes in is reserved in the same
// plan. Where a list of reserved ports was given by hand, that is left as it is,
// and what it leaves open is a risk. The assignments come back in the order in
// which they are to be carried out.
func (f *Facts) Protect(set []Assignment) (out []Assignment, notes []string, risks []remedy.Risk, err error) {
	next := *f.Settings
	if err := Suppose(&next, set); err != nil {
		return nil, nil, nil, err
	}
	out = slices.Clone(set)
	at := slices.IndexFunc(out, func(a Assignment) bool { return a.Name == Reserved })
	byHand := at >= 0 && out[at].Remedy == ByHand

	// What the new part of the range takes in of other people's ports, and what
	// loses its reservation.
	open := finding.Exposed(f.Settings, &next, f.Claims)
	if open.Len() > 0 && byHand {
		risk := remedy.Risk{Name: UnprotectedPorts, Text: fmt.Sprintf(
			"connects may be given ports that belong to others: %s; the list would have to hold %s", f.Claims.In(&open), open.String())}
		if f.SSH != 0 && open.Contains(f.SSH) {
			risk.Text += fmt.Sprintf("; %d is the port of the SSH connection that you use", f.SSH)
		}
		risks = append(risks, risk)
	} else if open.Len() > 0 {
		reserved := next.Reserved
		reserved.Union(&open)
		why := "the new part of the range takes in " + f.Claims.In(&open).String()
		if at < 0 {
			at = len(out)
			out = append(out, Assignment{Name: Reserved, Remedy: cmp.Or(remedyOf(out, Range), ByHand)})
		} else {
			why = out[at].Why + "; " + why
		}
		out[at].Value, out[at].Why = reserved.String(), why
		next.Reserved = reserved
	}
	notes = append(notes, f.notes(&open, next.Range)...)

	// A reservation is in force before the range that needs it, and is given up
	// after it.
	lost := f.Settings.Reserved
	lost.Subtract(&next.Reserved)
	first, last := Reserved, Range
	if lost.Len() > 0 {
		first, last = last, first
	}
	rank := func(a Assignment) int {
		switch a.Name {
		case first:
			return 0
		case last:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b Assignment) int { return cmp.Compare(rank(a), rank(b)) })
	return out, notes, risks, nil
}

func remedyOf(set []Assignment, name string) string {
	for _, a := range set {
		if a.Name == name {
			return a.Remedy
		}
	}
	return ""
}

// notes are what a person should know of the new range.
func (f *Facts) notes(reserved *port.Set, r port.Range) []string {
	var notes []string
	var idle claim.Claims
	for _, c := range f.Claims.In(reserved) {
		if c.Kind == claim.Configured {
			idle = append(idle, c)
		}
	}
	if len(idle) > 0 {
		notes = append(notes, "configured, and not running now: "+idle.String())
	}
	if r != f.Settings.Range {
		if r.Odd() && r.Len() > 1 {
			notes = append(notes, fmt.Sprintf("the range %s has an odd number of ports, so connect() may leave out one end: ends of different parity are better", r))
		}
		if r.First < f.Settings.Range.First || r.Last > f.Settings.Range.Last {
			notes = append(notes, "a server that is started later on a port in the new part of the range may find it taken, unless it is reserved: firewall rules and servers that nobody runs now cannot be seen")
		}
	}
	return notes
}

// Title says in a few words what a plan sets.
func Title(set []Assignment) string {
	var parts []string
	for _, a := range set {
		parts = append(parts, a.Name+"="+short(a.Value))
	}
	return strings.Join(parts, ", ")
}

// short shortens a list for a title.
func short(s string) string {
	const most = 40
	if len(s) <= most {
		return strings.ReplaceAll(s, " ", "-")
	}
	return s[:strings.LastIndexByte(s[:most], ',')+1] + "…"
}
