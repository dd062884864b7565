package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
)

const poolsLong = `Print every pool that has a socket in the ephemeral range, tightest first. A pool is
the source ports that connections from one address to one destination can draw
from; for UDP, from one local address to anywhere.

--by sums up the ports held: by destination, process, control group or source
address. TIME_WAIT entries have no process; they are shown as such.

EXIT STATUS
  0   printed
  3   could not be measured
  64  wrong usage`

type poolsFlags struct {
	top, minHeld int
	by, proto    string
}

func (a *app) poolsCommand() *cobra.Command {
	var f poolsFlags
	c := &cobra.Command{
		Use:   "pools",
		Short: "Print every pool, tightest first",
		Long:  poolsLong,
		Example: `  portroom pools --top 20
  portroom pools --by process
  portroom pools --json --all-namespaces | jq '.[] | select(.headroom < 1000)'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.top < 0 || f.minHeld < 0 {
				return usagef("--top and --min-held count pools and ports: want 0 or more")
			}
			switch f.by {
			case "", byDestination, byProcess, byCgroup, bySource:
			default:
				return usagef("--by %q: want destination, process, cgroup or source", f.by)
			}
			if f.proto != "" {
				if _, err := parseProto(f.proto); err != nil {
					return err
				}
			}
			return a.pools(cmd, f)
		},
	}
	c.Flags().IntVar(&f.top, "top", 0, "print the tightest `N` only")
	c.Flags().IntVar(&f.minHeld, "min-held", 0, "leave out pools that hold fewer than `N` ports")
	c.Flags().StringVar(&f.by, "by", "", "sum up by `what`: destination, process, cgroup or source")
	c.Flags().StringVar(&f.proto, "proto", "", "only this `protocol`: tcp or udp")
	_ = c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{byDestination, byProcess, byCgroup, bySource}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("proto", cobra.FixedCompletions([]string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// located is a pool with the namespace it is in.
type located struct {
	shown
	label string
	json  func() poolJSON
}

func (a *app) pools(cmd *cobra.Command, f poolsFlags) error {
	var all []located
	limited, hostwide := "", false
	err := a.survey(cmd.Context(), survey.Options{Owners: true}, func(v *survey.View) error {
		limited, hostwide = limitText(v), v.Hostwide()
		for _, p := range v.Pools() {
			if p.Held < f.minHeld || f.proto != "" && p.Key.Proto.String() != f.proto {
				continue
			}
			l := located{shown: shown{severity(&p, defaultWarn, defaultCrit), p}, label: v.Namespace.Label}
			l.json = func() poolJSON { return jsonPool(v, &p) }
			all = append(all, l)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b located) int { return pool.Tighter(a.pool, b.pool) })
	if f.by != "" {
		return a.printGroups(group(all, f.by), f)
	}
	more := 0
	if f.top > 0 && len(all) > f.top {
		more = len(all) - f.top
		all = all[:f.top]
	}
	if a.json {
		return printJSONArray(a.stdout, len(all), func(i int) any { return all[i].json() })
	}
	if limited != "" {
		limited = boundsLine(hostwide, limited)
	}
	return a.printPools(all, more, limited)
}

// printJSONArray writes an array element by element: thousands of pools need
// not stand in memory twice.
func printJSONArray(w io.Writer, n int, at func(int) any) error {
	if n == 0 {
		_, err := io.WriteString(w, "[]\n")
		return err
	}
	open := "[\n  "
	for i := range n {
		text, err := json.MarshalIndent(at(i), "  ", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", open, text); err != nil {
			return err
		}
		open = ",\n  "
	}
	_, err := io.WriteString(w, "\n]\n")
	return err
}

func (a *app) printPools(all []located, more int, limited string) error {
	w := &lines{a: a}
	if len(all) == 0 {
		w.add("", "no pool has a socket in the ephemeral range")
		return w.flush()
	}
	list := make([]shown, len(all))
	for i, l := range all {
		list[i] = l.shown
	}
	t := poolTable(list)
	if a.allNamespaces {
		t.head = slices.Insert(t.head, len(t.head)-1, "NAMESPACE")
		for i := range t.rows {
			label := clean(all[i].label)
			if label == "" {
				label = "(own)"
			}
			t.rows[i] = slices.Insert(t.rows[i], len(t.rows[i])-1, label)
		}
	}
	if err := a.writeTable(a.stdout, t); err != nil {
		return err
	}
	if more > 0 {
		w.add(faint, "… and %s", count(more, "more pool"))
	}
	if limited != "" {
		w.add(faint, "%s", limited)
	}
	return w.flush()
}

// What pools can be summed up by.
const (
	byDestination = "destination"
	byProcess     = "process"
	byCgroup      = "cgroup"
	bySource      = "source"
)

// A sum is the ports held by one destination, process, control group or source.
type sum struct {
	Name     string     `json:"name"`
	PID      int        `json:"pid,omitempty"`
	Command  string     `json:"command,omitempty"`
	Cgroup   string     `json:"cgroup,omitempty"`
	Ports    int        `json:"ports"`
	Pools    int        `json:"pools"`
	Headroom *int       `json:"headroom,omitempty"` // together, where pools do not overlap
	Exact    *bool      `json:"exact,omitempty"`
	Tightest tightestOf `json:"tightest"`
}

// tightestOf is the tightest pool that a sum has a part in.
type tightestOf struct {
	Src      string `json:"src"`
	Dst      string `json:"dst"`
	Headroom int    `json:"headroom"`
	Capacity int    `json:"capacity"`
}

// noOwner is what sockets without a process are listed under.
const noOwner = "(no process: TIME_WAIT, orphans, other users)"

// group sums up pools, which come tightest first.
func group(all []located, by string) []sum {
	sums := make(map[string]*sum)
	var order []*sum
	part := func(l *located, name string, ports int) *sum {
		s := sums[name]
		if s == nil {
			p := &l.pool
			s = &sum{Name: name, Tightest: tightestOf{p.Key.Src.String(), dstText(p.Key), p.Headroom, p.Capacity}}
			sums[name] = s
			order = append(order, s)
		}
		s.Ports += ports
		s.Pools++
		return s
	}
	for i := range all {
		l := &all[i]
		p := &l.pool
		switch by {
		case byDestination, bySource:
			name := p.Key.Src.String()
			if by == byDestination {
				name = p.Key.Proto.String() + " " + dstText(p.Key)
			}
			s := part(l, name, p.Held)
			if by == byDestination && p.Key.Dst.IsValid() {
				if s.Headroom == nil {
					s.Headroom, s.Exact = new(int), new(bool)
					*s.Exact = true
				}
				*s.Headroom += p.Headroom
				*s.Exact = *s.Exact && p.Exact()
			}
		default:
			rest := 0
			for _, n := range p.States {
				rest += n
			}
			groups := make(map[string]int) // processes of one pool in one control group
			for _, o := range p.Owners {
				rest -= o.Ports
				if by == byCgroup {
					groups[cmp.Or(o.Cgroup, "(unknown)")] += o.Ports
					continue
				}
				s := part(l, strconv.Itoa(o.PID), o.Ports)
				s.Name, s.PID, s.Command, s.Cgroup = o.Command, o.PID, o.Command, o.Cgroup
			}
			for name, n := range groups {
				part(l, name, n).Cgroup = name
			}
			if rest > 0 {
				part(l, noOwner, rest)
			}
		}
	}
	out := make([]sum, len(order))
	for i, s := range order {
		out[i] = *s
	}
	slices.SortStableFunc(out, func(a, b sum) int {
		return cmp.Or(-cmp.Compare(a.Ports, b.Ports), cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID))
	})
	return out
}

func (a *app) printGroups(sums []sum, f poolsFlags) error {
	more := 0
	if f.top > 0 && len(sums) > f.top {
		more = len(sums) - f.top
		sums = sums[:f.top]
	}
	if a.json {
		return printJSONArray(a.stdout, len(sums), func(i int) any { return sums[i] })
	}
	if len(sums) == 0 {
		return a.printPools(nil, 0, "")
	}
	t := &table{head: []string{"HELD", "POOLS"}, right: map[int]bool{0: true, 1: true}}
	switch f.by {
	case byProcess:
		t.head = append(t.head, "PID", "PROCESS", "TIGHTEST POOL", "CGROUP")
		t.right[2] = true
	case byDestination:
		t.head = append(t.head, "LEFT", "DESTINATION", "TIGHTEST SOURCE")
		t.right[2] = true
	default:
		t.head = append(t.head, map[string]string{byCgroup: "CGROUP", bySource: "SOURCE"}[f.by], "TIGHTEST POOL")
	}
	for _, s := range sums {
		row := []string{strconv.Itoa(s.Ports), strconv.Itoa(s.Pools)}
		tight := fmt.Sprintf("%s → %s (%d of %d left)", s.Tightest.Src, s.Tightest.Dst, s.Tightest.Headroom, s.Tightest.Capacity)
		switch f.by {
		case byProcess:
			pid := "-"
			if s.PID != 0 {
				pid = strconv.Itoa(s.PID)
			}
			row = append(row, pid, clean(s.Name), tight, s.Cgroup)
		case byDestination:
			l := "-"
			if s.Headroom != nil {
				l = strconv.Itoa(*s.Headroom)
				if !*s.Exact {
					l = "≥ " + l
				}
			}
			row = append(row, l, s.Name, fmt.Sprintf("%s (%d of %d left)", s.Tightest.Src, s.Tightest.Headroom, s.Tightest.Capacity))
		default:
			row = append(row, s.Name, tight)
		}
		t.add("", row...)
	}
	if err := a.writeTable(a.stdout, t); err != nil {
		return err
	}
	w := &lines{a: a}
	if more > 0 {
		w.add(faint, "… and %d more", more)
	}
	return w.flush()
}
