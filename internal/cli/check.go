package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

const checkLong = `Print on one screen whether destinations are running out of source ports: the
verdict, the tightest pools with who holds them, the ports that are out of reach
for every destination, and what makes connects slow or uncertain. On Windows it
looks into the event log as well.

--events judges an event log instead, which was exported on any Windows since Vista
with: wevtutil qe System /f:xml > FILE

With --target it judges a Windows system by its settings alone: what Microsoft's
articles say of each value, and how much of the ephemeral range is reserved or
excluded. Default settings are no fault; settings that do not do what whoever set
them believes are a warning.

The exit status follows the convention of monitoring plugins.

EXIT STATUS
  0   every pool is below --warn; of a target, nothing is wrong with its settings
  1   a pool is at or above --warn percent held; of a target, a value is out of
      range, of a wrong type, not read or ignored there, or --warn percent of the
      range are reserved or excluded
  2   a pool is at or above --crit percent held, or has no port left; of a target,
      --crit percent of the range are reserved or excluded, or all of it
  3   could not be measured or read
  64  wrong usage`

// screenPools is how many pools check shows.
const screenPools = 8

type checkFlags struct {
	warn, crit int
	events     string
	sample     time.Duration
}

func (a *app) checkCommand() *cobra.Command {
	f := checkFlags{}
	var where targetFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Say on one screen whether ports are running out (the default)",
		Long:  checkLong,
		Example: `  portroom
  portroom check --warn 50 --crit 80
  portroom check --sample 2s
  portroom check --all-namespaces --json
  portroom check --target hive:/mnt/WINNT/system32/config/system`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.warn < 0 || f.crit > 100 || f.warn > f.crit {
				return usagef("--warn %d --crit %d: want percentages with 0 ≤ warn ≤ crit ≤ 100", f.warn, f.crit)
			}
			t, err := where.parse(a)
			if err != nil {
				return err
			}
			if err := f.sampled(t); err != nil {
				return err
			}
			if f.events != "" {
				if a.netns != "" || a.allNamespaces || t.Kind != target.Local {
					return usagef("--events reads a file; it does not go with --target, --netns or --all-namespaces")
				}
				return a.checkEvents(f.events)
			}
			if t.Kind != target.Local {
				return a.checkTarget(cmd.Context(), &where, t, f)
			}
			first, err := a.sample(cmd.Context(), f.sample)
			if err != nil {
				return err
			}
			var reports []*report
			var events *eventsJSON
			err = a.survey(cmd.Context(), survey.Options{Owners: true, Visit: first.visit()}, func(v *survey.View) error {
				r := assess(v, f)
				first.forecast(r, v)
				events = liveEvents(cmd.Context(), r)
				reports = append(reports, r)
				return nil
			})
			if err != nil {
				return err
			}
			worst := levelOK
			for _, r := range reports {
				worst = max(worst, r.level)
			}
			if err := a.printCheck(reports, worst, events); err != nil {
				return err
			}
			if worst != levelOK {
				return statusError(worst)
			}
			return nil
		},
	}
	where.add(c)
	c.Flags().DurationVar(&f.sample, "sample", 0, "measure twice, this `time` apart, and say when pools will be full")
	c.Flags().IntVar(&f.warn, "warn", defaultWarn, "warn when a pool is held to this `percent`")
	c.Flags().StringVar(&f.events, "events", "", "judge this `file` instead of the host: what wevtutil qe System /f:xml printed on a Windows")
	c.Flags().IntVar(&f.crit, "crit", defaultCrit, "critical when a pool is held to this `percent`")
	return c
}

// A report is what check says of one namespace, the view let go.
type report struct {
	level   level
	verdict string
	label   string
	ports   string // the line about the range
	blocked []string
	notes   []note
	limited string
	top     []shown
	pools   int

	json checkNamespaceJSON
}

// shown is one row of the table.
type shown struct {
	level level
	pool  pool.Pool
}

// note is a remark with a stable code.
type note struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

type checkJSON struct {
	Status     string               `json:"status"`
	Namespaces []checkNamespaceJSON `json:"namespaces"`
	Events     *eventsJSON          `json:"events,omitempty"`
}

type checkNamespaceJSON struct {
	Netns   uint64            `json:"netns"`
	Label   string            `json:"label"`
	Status  string            `json:"status"`
	Verdict string            `json:"verdict"`
	Range   rangeJSON         `json:"range"`
	Ranges  []familyRangeJSON `json:"ranges,omitempty"`
	Blocked blockedJSON       `json:"blocked"`
	Count   int               `json:"pool_count"`
	Pools   []poolJSON        `json:"pools"`
	Notes   []note            `json:"notes"`
	Limited string            `json:"limited"`
}

// assess judges one namespace.
func assess(v *survey.View, f checkFlags) *report {
	pools := v.Pools()
	r := &report{label: v.Namespace.Label, pools: len(pools), limited: limitText(v)}
	var bad []*pool.Pool
	for i := range pools {
		p := &pools[i]
		l := severity(p, f.warn, f.crit)
		if l > r.level {
			r.level = l
		}
		if l != levelOK {
			bad = append(bad, p)
		}
	}
	blocked := v.Table.Blocked()
	capacity := v.Range(socket.TCP).Len() - blocked.Total
	if capacity <= 0 {
		r.level = levelCritical
	}
	r.verdict = verdict(bad, pools, capacity, r.level, f)
	r.ports = rangeLine(v.Range(socket.TCP), capacity, blocked.Total)
	r.blocked = blockedLines(v, blocked)
	if v.Hostwide() {
		r.ports = hostwideLine(v.Range(socket.TCP), capacity, blocked.Total)
		r.blocked = append(r.blocked, otherRanges(v)...)
	}
	r.notes = notes(v, pools, blocked)
	for i := range pools[:min(len(pools), screenPools)] {
		r.top = append(r.top, shown{severity(&pools[i], f.warn, f.crit), pools[i]})
	}
	r.json = checkNamespaceJSON{
		Netns: v.Namespace.ID, Label: v.Namespace.Label, Status: r.level.String(), Verdict: r.verdict,
		Range: jsonRange(v, socket.TCP), Ranges: jsonFamilyRanges(v), Blocked: jsonBlocked(v), Count: len(pools), Pools: []poolJSON{}, Notes: r.notes, Limited: r.limited,
	}
	for i := range r.top {
		r.json.Pools = append(r.json.Pools, jsonPool(v, &r.top[i].pool))
	}
	return r
}

// verdict is the sentence that a person reads first.
func verdict(bad []*pool.Pool, pools []pool.Pool, capacity int, l level, f checkFlags) string {
	switch {
	case capacity <= 0:
		return "no source port is left for any destination: every port of the range is blocked"
	case l == levelOK && len(pools) == 0:
		return fmt.Sprintf("no connection holds an ephemeral port; %d are free for every destination", capacity)
	case l == levelOK:
		p := &pools[0]
		return fmt.Sprintf("no pool is held to %d%%; tightest is %s with %s left", f.warn, poolName(p.Key), left(p))
	}
	p := bad[0]
	s := fmt.Sprintf("%s has %s left, %d of %d held", poolName(p.Key), left(p), p.Held-p.Reusable, p.Capacity)
	if p.HeadroomMax == 0 {
		s = fmt.Sprintf("%s has no port left, %d of %d held", poolName(p.Key), p.Held-p.Reusable, p.Capacity)
		if p.Held == 0 {
			s = fmt.Sprintf("%s has no port left", poolName(p.Key))
		}
	}
	if n := len(bad) - 1; n > 0 {
		s += fmt.Sprintf("; %s beyond %d%% as well", count(n, "more pool"), f.warn)
	}
	return s
}

func rangeLine(r port.Range, capacity, blocked int) string {
	s := fmt.Sprintf("Range %s: %s, %d for each destination", r, count(r.Len(), "port"), capacity)
	if blocked == 0 {
		return s + ", none blocked"
	}
	return fmt.Sprintf("%s, %d blocked for everyone", s, blocked)
}

// boundsLine says which numbers are bounds and why.
func boundsLine(hostwide bool, why string) string {
	if hostwide {
		return "numbers with ≤ are upper bounds: " + why
	}
	return "numbers with ≥ are lower bounds: " + why
}

// blockedLines name who blocks ports for everyone, the largest first.
func blockedLines(v *survey.View, b pool.Blocked) []string {
	var out []string
	if n := b.Kinds[pool.Reserved]; n > 0 {
		what := "reserved (ip_local_reserved_ports)"
		if v.Hostwide() {
			what = "excluded (netsh interface ipv4 show excludedportrange protocol=tcp)"
			if v.Windows.System.Era == nt.Legacy {
				what = "reserved (ReservedPorts)"
			}
		}
		out = append(out, fmt.Sprintf("%d %s", n, what))
	}
	listed := make(map[pool.Kind]int)
	const perKind = 3
	for _, by := range b.By {
		if by.Kind == pool.OutOfReach {
			continue
		}
		if listed[by.Kind]++; listed[by.Kind] > perKind {
			continue
		}
		who := "nobody known"
		if by.Owner != socket.NoOwner {
			o := v.Owners.At(by.Owner)
			who = fmt.Sprintf("%s[%d]", clean(o.Command), o.PID)
		} else if by.Kind == pool.BoundFirst {
			who = "TIME_WAIT or another user's process"
		}
		out = append(out, fmt.Sprintf("%d %s by %s", by.Ports, kindWords[by.Kind], who))
	}
	for k, n := range listed {
		if n > perKind {
			out = append(out, fmt.Sprintf("and %s %s", count(n-perKind, "process"), kindWords[k]))
		}
	}
	if n := b.Kinds[pool.Leftover]; n > 0 {
		out = append(out, fmt.Sprintf("%d still closed by connections that a bound socket left behind", n))
	}
	if n := b.Kinds[pool.OutOfReach]; n > 0 {
		out = append(out, "1 never reached: in a range of three ports connect() visits two")
	}
	return out
}

var kindWords = map[pool.Kind]string{
	pool.Listening:  "listening",
	pool.BoundIdle:  "bound without a connection",
	pool.BoundFirst: "bound before connecting",
}

// notes are the remarks on what makes connects slow, uncertain or fail.
func notes(v *survey.View, pools []pool.Pool, b pool.Blocked) []note {
	out := []note{}
	slow, first := 0, (*pool.Pool)(nil)
	binds := make(map[string]bool)
	for i := range pools {
		p := &pools[i]
		if p.PastKnee() {
			if slow++; first == nil {
				first = p
			}
		}
		src := p.Key.Src.String()
		if p.Key.Proto == socket.TCP && b.Kinds[pool.BoundFirst]+b.Kinds[pool.BoundIdle] > 0 && p.BindHeadroom == 0 && !binds[src] {
			binds[src] = true
			out = append(out, note{"bind-exhausted", fmt.Sprintf("bind(%s, 0) finds no port: programs that bind before they connect fail with EADDRINUSE", src)})
		}
	}
	if slow > 0 {
		s := fmt.Sprintf("%s is past its knee of %d ports: connects there have become slow, each searches half of the range first", poolName(first.Key), first.Knee)
		if slow > 1 {
			s = fmt.Sprintf("%d pools are past their knee (first %s, %d ports): connects there have become slow, each searches half of the range first", slow, poolName(first.Key), first.Knee)
		}
		out = append(out, note{"past-knee", s})
	}
	if r := v.Range(socket.TCP); !v.Hostwide() && r.Odd() && r.Len() > 1 {
		out = append(out, note{"odd-range", fmt.Sprintf(
			"the range %s has an odd number of ports (both ends are %s): connect() may leave out one end, so numbers are bounds one apart", r, parity(r.First))})
	}
	if n := b.Kinds[pool.BoundFirst]; n > 0 {
		out = append(out, note{"bound-before-connect", fmt.Sprintf(
			"%s bound before connecting, which takes them from every destination; IP_BIND_ADDRESS_NO_PORT would not", count(n, "port"))})
	}
	if v.Limited != nil {
		out = append(out, note{"limited", boundsLine(v.Hostwide(), v.Limited.Error())})
	}
	return out
}

func parity(p uint16) string {
	if p%2 == 0 {
		return "even"
	}
	return "odd"
}

func (a *app) printCheck(reports []*report, worst level, events *eventsJSON) error {
	if a.json {
		out := checkJSON{Status: worst.String(), Namespaces: []checkNamespaceJSON{}, Events: events}
		for _, r := range reports {
			out.Namespaces = append(out.Namespaces, r.json)
		}
		return printJSON(a.stdout, out)
	}
	if len(reports) == 1 {
		return a.printReport(reports[0], "")
	}
	// Many namespaces: all that are in trouble, and one line for the rest.
	fine := 0
	for _, r := range reports {
		if r.level == levelOK {
			fine++
			continue
		}
		label := r.label
		if label == "" {
			label = "this namespace"
		}
		if err := a.printReport(r, label); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(a.stdout); err != nil {
			return err
		}
	}
	w := &lines{a: a}
	pools := 0
	for _, r := range reports {
		pools += r.pools
	}
	if fine == len(reports) {
		w.lead(green, "OK  ", fmt.Sprintf("%s, %s: none is running out of ports", count(len(reports), "namespace"), count(pools, "pool")))
	} else {
		w.add("", "%d of %s fine", fine, count(len(reports), "namespace"))
	}
	for _, r := range reports {
		if r.limited != "" {
			w.add(faint, "%s", boundsLine(false, r.limited))
			break
		}
	}
	return w.flush()
}

func (a *app) printReport(r *report, label string) error {
	w := &lines{a: a}
	verdict := r.verdict
	if label != "" {
		verdict = clean(label) + ": " + verdict
	}
	w.lead(r.level.sgr(), strings.ToUpper(r.level.String())+"  ", verdict)
	quiet := r.level == levelOK && len(r.notes) == 0
	if len(r.top) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
		top := r.top
		if quiet {
			top = top[:min(len(top), 3)]
		}
		if _, err := fmt.Fprintln(a.stdout); err != nil {
			return err
		}
		if err := a.writeTable(a.stdout, poolTable(top)); err != nil {
			return err
		}
		if n := r.pools - len(top); n > 0 {
			w.add(faint, "… and %s (portroom pools shows all)", count(n, "more pool"))
		}
		w.text = append(w.text, "")
	}
	w.add("", "%s", r.ports)
	for _, b := range r.blocked {
		w.add("", "  %s", b)
	}
	for _, n := range r.notes {
		w.lead(yellow, "! ", n.Text)
	}
	return w.flush()
}

// poolTable is the table of check and pools.
func poolTable(list []shown) *table {
	t := &table{
		head:  []string{"HELD", "OF", "USED", "LEFT", "TIME_WAIT", "CEILING", "SOURCE", "DESTINATION", "TOP HOLDER"},
		right: map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true},
		drop:  []string{"OF", "CEILING", "USED", "TIME_WAIT", "SOURCE", "TOP HOLDER"},
	}
	for _, s := range list {
		p := &s.pool
		tw := "-"
		total := 0
		for _, n := range p.States {
			total += n
		}
		if n := p.States[socket.TimeWait]; n > 0 {
			tw = percent(float64(n) / float64(total))
		}
		who := "-"
		if len(p.Owners) > 0 {
			who = fmt.Sprintf("%s %d", holder(p.Owners[0]), p.Owners[0].Ports)
		}
		sgr := ""
		if s.level != levelOK {
			sgr = s.level.sgr()
		}
		dst := dstText(p.Key)
		if !p.Key.Dst.IsValid() {
			dst = p.Key.Proto.String()
		}
		t.add(sgr, strconv.Itoa(p.Held-p.Reusable), strconv.Itoa(p.Capacity), percent(p.Used()), left(p), tw, ceiling(p), p.Key.Src.String(), dst, who)
	}
	return t
}
