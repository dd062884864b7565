package errtext

import (
	"regexp"
	"strings"
	"time"
)

// stamps are the forms of time that logs begin their lines with, or have near the
// beginning, in the order in which they are tried.
var stamps = []struct {
	pattern *regexp.Regexp
	layouts []string
}{
	// 2024-02-01T02:45:04.123Z, 2018-09-29 23:34:57,880 (RFC 3339, Java, Python,
	// time="…" of logfmt)
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d`), []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}},
	// 2018/09/29 23:34:57 (Go, nginx)
	{regexp.MustCompile(`\b\d{4}/\d\d/\d\d \d\d:\d\d:\d\d`), []string{"2006/01/02 15:04:05"}},
	// 29/Sep/2018:23:34:57 (access logs)
	{regexp.MustCompile(`\b\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d`), []string{"02/Jan/2006:15:04:05"}},
	// Thu Apr 02 02:32:19.328709 2020 (Apache)
	{regexp.MustCompile(`\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}`), []string{"Mon Jan _2 15:04:05 2006", "Mon Jan 02 15:04:05 2006"}},
	// 12/2/2013 11:52:26 AM (Windows event viewer, US)
	{regexp.MustCompile(`\b\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d:\d\d [AP]M`), []string{"1/2/2006 3:04:05 PM"}},
	// 13 Oct 2023 05:36:18 (Redis)
	{regexp.MustCompile(`\b\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d`), []string{"02 Jan 2006 15:04:05"}},
	// Feb 23 16:44:36 (syslog: no year)
	{regexp.MustCompile(`\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d`), []string{"Jan _2 15:04:05", "Jan 02 15:04:05"}},
	// 20180225185705: (some Java programs)
	{regexp.MustCompile(`^\d{14}\b`), []string{"20060102150405"}},
}

// stampWithin is how far into a line a time may begin.
const stampWithin = 200

// When finds the time of a line, to the second and without zone; "" when it has
// none. A time without a year is returned without one.
func When(line string) string {
	if len(line) > stampWithin {
		line = line[:stampWithin]
	}
	for _, s := range stamps {
		text := s.pattern.FindString(line)
		if text == "" {
			continue
		}
		for _, layout := range s.layouts {
			t, err := time.Parse(layout, text)
			if err != nil {
				continue
			}
			if t.Year() == 0 {
				return t.Format("Jan _2 15:04:05")
			}
			return t.Format(time.DateTime)
		}
	}
	return ""
}

// Readable makes the beginning of a line from outside fit to be shown: at most so
// many bytes, no control characters, valid UTF-8.
func Readable(line string, most int) string {
	cutOff := len(line) > most
	if cutOff {
		line = line[:most]
	}
	line = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
	if cutOff {
		line += "…"
	}
	return strings.TrimSpace(line)
}
