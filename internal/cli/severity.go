package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/portroom/portroom/pool"
)

// The thresholds of check in percent of a pool's capacity.
const (
	defaultWarn = 70
	defaultCrit = 90
)

// level is how bad something is; the numbers are the exit status of check.
type level int

const (
	levelOK       level = exitOK
	levelWarning  level = exitWarning
	levelCritical level = exitCritical
)

func (l level) String() string {
	return [...]string{"ok", "warning", "critical"}[l]
}

func upper(l level) string { return strings.ToUpper(l.String()) }

func (l level) sgr() string {
	return [...]string{green, yellow, red}[l]
}

// severity judges a pool by the share of its capacity that is used. A pool that
// grants nothing more is critical whatever the thresholds.
func severity(p *pool.Pool, warn, crit int) level {
	used := p.Used() * 100
	if !p.Exact() {
		// Bounds: judge by what is certainly taken, or every unprivileged run on a
		// busy host would be an alarm.
		used = 100
		if p.Capacity > 0 {
			used = 100 * (1 - float64(p.HeadroomMax)/float64(p.Capacity))
		}
	}
	switch {
	case p.HeadroomMax == 0 || used >= float64(crit):
		return levelCritical
	case used >= float64(warn):
		return levelWarning
	}
	return levelOK
}

// lines gathers lines of text and prints them wrapped to the terminal.
type lines struct {
	a    *app
	text []string
}

func (l *lines) add(sgr, format string, args ...any) {
	l.text = append(l.text, l.a.paint(sgr, l.a.wrap(0, fmt.Sprintf(format, args...), "  ")))
}

// lead adds a line that begins with a word in colour.
func (l *lines) lead(sgr, word, text string) {
	l.text = append(l.text, l.a.paint(sgr, word)+l.a.wrap(utf8.RuneCountInString(word), text, "  "))
}

func (l *lines) flush() error {
	if len(l.text) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(l.a.stdout, strings.Join(l.text, "\n"))
	l.text = nil
	return err
}
