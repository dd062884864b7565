package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/when"
	"github.com/portroom/portroom/record"
)

const historyLong = `Print what portroom record recorded: which pools ran full and when, who held them, the
connects that were refused, what was set to another value, and when nothing was
recorded. Without --since it is about the last 24 hours of the record.

--at prints the check of a moment. --refusals prints who was refused. --report writes
one HTML file that needs nothing else: what happened, when, who, the evidence, curves,
and what helps.

Times are read as ` + when.Accepted + `. What has no date is the
last such time, what has no zone is local.

EXIT STATUS
  0   printed
  3   the record cannot be read, or has nothing about that time
  64  wrong usage`

type historyFlags struct {
	db               string
	since, until, at string
	to, from, proto  string
	refusals         bool
	top              int
	svg, png, report string
	query            record.Query
	now, moment      time.Time
	sinceGiven       bool
}

func (a *app) historyCommand() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use:   "history",
		Short: "Print what was recorded",
		Long:  historyLong,
		Example: `  portroom history --since 3am
  portroom history --since yesterday --to 10.0.0.5:443 --png night.png
  portroom history --at '2026-11-23 03:12'
  portroom history --refusals --since '2h ago' --json
  portroom history --since 2am --until 4am --report incident.html`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.now = time.Now()
			f.sinceGiven = cmd.Flags().Changed("since")
			if err := f.parse(a.netns); err != nil {
				return err
			}
			return a.history(&f)
		},
	}
	c.Flags().StringVar(&f.db, "db", defaultRecord(), "the `file` that portroom record wrote")
	c.Flags().StringVar(&f.since, "since", "", "what happened from this `time` on")
	c.Flags().StringVar(&f.until, "until", "", "what happened until this `time`")
	c.Flags().StringVar(&f.at, "at", "", "the check of this `time`")
	c.Flags().StringVar(&f.to, "to", "", "only this `destination`: ADDRESS:PORT or ADDRESS")
	c.Flags().StringVar(&f.from, "from", "", "only this source `address`")
	c.Flags().StringVar(&f.proto, "proto", "", "only this `protocol`: tcp or udp")
	c.Flags().BoolVar(&f.refusals, "refusals", false, "print who was refused")
	c.Flags().IntVar(&f.top, "top", 0, "print `N` pools: those with refused connects first, then the fullest; 0 for 8, in JSON for 20")
	c.Flags().StringVar(&f.svg, "svg", "", "draw the curves into this SVG `file`")
	c.Flags().StringVar(&f.png, "png", "", "draw the curves into this PNG `file`")
	c.Flags().StringVar(&f.report, "report", "", "write an incident report into this HTML `file`")
	_ = c.RegisterFlagCompletionFunc("proto", cobra.FixedCompletions([]string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// parse reads the flags into a query.
func (f *historyFlags) parse(netns string) (err error) {
	if f.at != "" {
		if f.since != "" || f.until != "" || f.refusals || f.svg != "" || f.png != "" || f.report != "" {
			return usagef("--at prints one moment: it does not go with --since, --until, --refusals, --svg, --png or --report")
		}
		if f.moment, err = when.Parse(f.at, f.now); err != nil {
			return usagef("--at %w", err)
		}
	}
	if f.refusals && (f.svg != "" || f.png != "" || f.report != "") {
		return usagef("--refusals prints a list: it does not go with --svg, --png or --report")
	}
	if f.top < 0 {
		return usagef("--top %d counts pools: want 0 or more", f.top)
	}
	q := &f.query
	if f.since != "" {
		if q.Since, err = when.Parse(f.since, f.now); err != nil {
			return usagef("--since %w", err)
		}
	}
	if f.until != "" {
		if q.Until, err = when.Parse(f.until, f.now); err != nil {
			return usagef("--until %w", err)
		}
		if f.since != "" && !q.Until.After(q.Since) {
			return usagef("--until %s is not after --since %s: they are %s and %s", f.until, f.since, q.Until.Format(time.DateTime), q.Since.Format(time.DateTime))
		}
	}
	if f.to != "" {
		if q.Dst, q.DstPort, err = parseTo(f.to); err != nil {
			return err
		}
	}
	if f.from != "" {
		if q.Src, err = netip.ParseAddr(strings.Trim(f.from, "[]")); err != nil {
			return usagef("--from %q is no address: want one such as 10.0.0.1 or 2001:db8::1", f.from)
		}
		q.Src = q.Src.Unmap()
	}
	if f.proto != "" {
		if q.Proto, err = parseProto(f.proto); err != nil {
			return err
		}
	}
	q.Netns, q.Label = recordedNetns(netns)
	return nil
}

// parseTo reads a destination with or without a port.
func parseTo(s string) (netip.Addr, uint16, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap(), 0, nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}, 0, usagef("--to %q is no destination: want ADDRESS:PORT such as 10.0.0.5:443 or [2001:db8::7]:443, or an address alone", s)
	}
	return ap.Addr().Unmap(), ap.Port(), nil
}

// recordedNetns reads --netns for the past: a namespace that is there now, the inode
// number of one that was, or else the label that it had.
func recordedNetns(spec string) (inode uint64, label string) {
	if spec == "" {
		return 0, ""
	}
	if ns, err := netns.Find(spec); err == nil {
		return ns.ID, ""
	}
	if n, err := strconv.ParseUint(spec, 10, 64); err == nil {
		return n, ""
	}
	return 0, spec
}

// history reads the record and prints what is asked for.
func (a *app) history(f *historyFlags) (err error) {
	r, err := record.Open(f.db)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no record %s: portroom record makes one", f.db)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	sum, err := r.Summary()
	if err != nil {
		return err
	}
	if sum.Samples == 0 {
		return fmt.Errorf("the record %s has no sample yet", f.db)
	}
	if f.at != "" {
		return a.historyAt(f, r, &sum)
	}
	q := &f.query
	if !f.sinceGiven {
		end := sum.Last
		if !q.Until.IsZero() {
			end = q.Until
		}
		q.Since = end.Add(-24 * time.Hour)
	}
	if q.Top = f.top; q.Top == 0 && !f.refusals {
		q.Top = screenPools
		if a.json {
			q.Top = jsonPools
		}
	}
	if a.json || f.svg != "" || f.png != "" || f.report != "" {
		q.Points = curvePoints
	} else if !f.refusals {
		q.Points = sparkPoints
	}
	story, err := r.Story(*q)
	if err != nil {
		return err
	}
	if story.Samples == 0 {
		return fmt.Errorf("nothing was recorded %s; the record goes from %s to %s", f.asked(),
			sum.First.Format(time.DateTime), sum.Last.Format(time.DateTime))
	}
	if err := a.writeFiles(f, story, &sum); err != nil {
		return err
	}
	switch {
	case f.refusals && a.json:
		return a.printRefusalsJSON(story)
	case f.refusals:
		return a.printRefused(story)
	case a.json:
		return printJSON(a.stdout, jsonHistory(f.db, &sum, story))
	}
	return a.printStory(f, story, &sum)
}

// The pools and points that are shown: in JSON, in pictures, and as a line of blocks.
const (
	jsonPools   = 20
	curvePoints = 480
	sparkPoints = 60
)

// asked writes the time in question.
func (f *historyFlags) asked() string {
	q := &f.query
	switch {
	case q.Until.IsZero():
		return "since " + q.Since.Format(time.DateTime)
	case !f.sinceGiven:
		return "until " + q.Until.Format(time.DateTime)
	}
	return "between " + q.Since.Format(time.DateTime) + " and " + q.Until.Format(time.DateTime)
}

// about writes what a story is restricted to, "" for nothing.
func (f *historyFlags) about() string {
	var parts []string
	if q := &f.query; q.Proto != 0 {
		parts = append(parts, q.Proto.String())
	}
	if f.from != "" {
		parts = append(parts, "from "+f.from)
	}
	if f.to != "" {
		parts = append(parts, "to "+f.to)
	}
	if q := &f.query; q.Label != "" || q.Netns != 0 {
		parts = append(parts, "in namespace "+cmpLabel(q))
	}
	return strings.Join(parts, " ")
}

func cmpLabel(q *record.Query) string {
	if q.Label != "" {
		return q.Label
	}
	return strconv.FormatUint(q.Netns, 10)
}
