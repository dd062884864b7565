package cli

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/internal/chart"
	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/record"
)

//go:embed report.html
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// incident is what the report is filled from.
type incident struct {
	Title, Headline, Level, About string
	Host, Kernel, Since, Until    string
	Samples                       int
	File, Version                 string
	Pictures                      []picture
	Timeline                      []timed
	Pools                         []incidentPool
	Others                        int
	Refused                       []incidentRefused
	Untraced                      string
	Findings                      []incidentFinding
	Changes                       bool
}

type picture struct {
	Caption string
	SVG     template.HTML // drawn by this program
}

type timed struct{ When, What, Class string }

type incidentPool struct {
	Name, Class, Peak, Left, Used, When, States string
	Refused                                     int
	Holders                                     []string
}

type incidentRefused struct {
	Count                                     int
	First, Last, Pool, Process, Lives, Reason string
}

type incidentFinding struct {
	Code, Severity, Title, When string
	Evidence                    []string
	Remedies                    []incidentRemedy
}

type incidentRemedy struct{ Text, Gain, Command, Hazard string }

// worstPictures is how many pools have a picture of their own.
const worstPictures = 4

// writeReport writes the story as one HTML file that needs no other.
func writeReport(w io.Writer, f *historyFlags, s *record.Story, sum *record.Summary) error {
	l, headline := storyHeadline(s)
	st := stampsOf(s)
	d := incident{
		Title: pictureTitle(s, sum), Headline: headline, Level: l.String(), About: f.about(),
		Host: cmp.Or(sum.Host, "an unnamed host"), Kernel: sum.Kernel,
		Since: s.Since.Format("2006-01-02 15:04:05 MST"), Until: s.Until.Format("2006-01-02 15:04:05 MST"),
		Samples: s.Samples, File: f.db, Version: thisVersion().Version, Others: s.Others, Changes: len(s.Changes) > 0,
		Untraced: strings.TrimPrefix(untraced(s), "; "),
	}
	if err := d.draw(s); err != nil {
		return err
	}
	classes := map[string]string{red: "critical", yellow: "warning", bold: "change", faint: "quiet"}
	for _, e := range timeline(s, st) {
		d.Timeline = append(d.Timeline, timed{e.when, e.text, classes[e.sgr]})
	}
	for i := range s.Pools {
		d.Pools = append(d.Pools, incidentPoolOf(&s.Pools[i], st))
	}
	list := sumRefusals(s)
	slices.SortStableFunc(list, func(a, b *refusalSum) int { return -cmp.Compare(a.count, b.count) })
	for _, r := range list {
		row := incidentRefused{Count: r.count, First: st.text(r.first), Last: st.text(r.last), Pool: poolName(r.key) + inNamespace(r.label), Process: "not known", Lives: cmp.Or(netns.Label(r.process.Cgroup), r.process.Cgroup)}
		if r.process.PID != 0 {
			row.Process = fmt.Sprintf("%s[%d]", clean(r.process.Command), r.process.PID)
		}
		row.Reason = "no port of the range was free"
		if r.reason == reasonTaken {
			row.Reason = "the port that was bound was in use to this destination"
		}
		d.Refused = append(d.Refused, row)
	}
	for i := range s.Findings {
		d.Findings = append(d.Findings, incidentFindingOf(&s.Findings[i], st))
	}
	return reportTemplate.Execute(w, &d)
}

// draw adds the pictures: all pools together, and the worst each for itself.
func (d *incident) draw(s *record.Story) error {
	add := func(caption string, pools []record.PoolStory) error {
		var b bytes.Buffer
		if err := chart.History(&b, chart.SVG, caption, curvesOf(pools)); err != nil {
			return err
		}
		d.Pictures = append(d.Pictures, picture{caption, template.HTML(b.String())}) //nolint:gosec // the chart escapes its texts
		return nil
	}
	if len(s.Pools) > 1 {
		if err := add("The fullest pools together", s.Pools); err != nil {
			return err
		}
	}
	for i := range s.Pools[:min(len(s.Pools), worstPictures)] {
		p := &s.Pools[i]
		if i > 0 && p.Refused == 0 && len(p.Spells) == 0 {
			break
		}
		if err := add(poolName(p.Key)+inNamespace(p.Label), s.Pools[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func incidentPoolOf(p *record.PoolStory, st stamps) incidentPool {
	out := incidentPool{Name: poolName(p.Key) + inNamespace(p.Label), Class: levelOK.String(), Refused: p.Refused, Peak: "–", Left: "–", Used: "–", When: "–"}
	if !p.PeakAt.IsZero() {
		out.Class = severity(&p.Peak, defaultWarn, defaultCrit).String()
		out.Peak = fmt.Sprintf("%d of %d", p.Peak.Held-p.Peak.Reusable, p.Peak.Capacity)
		out.Left, out.Used, out.When, out.States = left(&p.Peak), percent(p.Peak.Used()), st.text(p.PeakAt), states(&p.Peak)
	}
	if p.Refused > 0 {
		out.Class = levelCritical.String()
	}
	for _, o := range p.Peak.Owners {
		text := holder(o) + " " + strconv.Itoa(o.Ports)
		if l := netns.Label(o.Cgroup); l != "" {
			text += " (" + clean(l) + ")"
		}
		out.Holders = append(out.Holders, text)
	}
	return out
}

func incidentFindingOf(f *record.FindingAt, st stamps) incidentFinding {
	out := incidentFinding{Code: f.Code, Severity: f.Severity.String(), Title: f.Title, When: st.span(f.From, f.To, f.Open), Evidence: f.Evidence}
	for i := range f.Remedies {
		m := &f.Remedies[i]
		out.Remedies = append(out.Remedies, incidentRemedy{m.Text, m.Gain.String(), m.Command, m.Hazard})
	}
	return out
}
