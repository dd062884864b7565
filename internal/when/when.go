// Package when reads times as people write them at night: 3am, yesterday 14:00,
// 2h ago, monday noon, 2026-11-23 03:12, or RFC 3339.
package when

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Accepted says in a few words what Parse takes, for help and errors.
const Accepted = `3am, 14:30, yesterday 14:00, monday noon, 2h ago, 2026-11-23 03:12, or RFC 3339`

// Parse reads a time. What has no date is the last such time before now; what has no
// zone is in that of now. A day alone is its beginning.
func Parse(s string, now time.Time) (time.Time, error) {
	text := strings.ToLower(strings.Join(strings.Fields(s), " "))
	for _, read := range []func(string, time.Time) (time.Time, bool){absolute, ago, clock, day} {
		if t, ok := read(text, now); ok {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: want one such as %s", s, Accepted)
}

// absolute reads a full date.
func absolute(s string, now time.Time) (time.Time, bool) {
	if seconds, ok := strings.CutPrefix(s, "@"); ok {
		n, err := strconv.ParseInt(seconds, 10, 40)
		return time.Unix(n, 0).In(now.Location()), err == nil
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(s)); err == nil {
		return t, true
	}
	date, rest := s, ""
	if i := strings.IndexAny(s, " t"); i > 0 {
		date, rest = s[:i], s[i+1:]
	}
	d, err := time.ParseInLocation(time.DateOnly, date, now.Location())
	if err != nil {
		return time.Time{}, false
	}
	if rest == "" {
		return d, true
	}
	return at(d, rest)
}

// ago reads a length of time before now: 2h ago, -90m, 3 days ago, 2h.
func ago(s string, now time.Time) (time.Time, bool) {
	if s == "now" {
		return now, true
	}
	text, _ := strings.CutSuffix(s, " ago")
	text, _ = strings.CutPrefix(text, "-")
	text = strings.ReplaceAll(strings.ReplaceAll(text, " and ", " "), ", ", " ")
	t, found := now, false
	for text != "" {
		digits := 0
		for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(text[:digits], 10, 32)
		if err != nil {
			return time.Time{}, false
		}
		text = strings.TrimLeft(text[digits:], " ")
		letters := 0
		for letters < len(text) && 'a' <= text[letters] && text[letters] <= 'z' {
			letters++
		}
		unit := text[:letters]
		text = strings.TrimLeft(text[letters:], " ")
		switch u := units[strings.TrimSuffix(unit, "s")]; {
		case unit == "s":
			t = t.Add(-time.Duration(n) * time.Second)
		case u.days > 0:
			t = t.AddDate(0, 0, -int(n)*u.days) // the same time of day, also if the clocks changed
		case u.length > 0:
			t = t.Add(-time.Duration(n) * u.length)
		default:
			return time.Time{}, false
		}
		found = true
	}
	return t, found
}

var units = map[string]struct {
	days   int
	length time.Duration
}{
	"sec": {length: time.Second}, "second": {length: time.Second},
	"m": {length: time.Minute}, "min": {length: time.Minute}, "minute": {length: time.Minute},
	"h": {length: time.Hour}, "hr": {length: time.Hour}, "hour": {length: time.Hour},
	"d": {days: 1}, "day": {days: 1}, "w": {days: 7}, "week": {days: 7},
}

// clock reads a time of day alone: the last one before now.
func clock(s string, now time.Time) (time.Time, bool) {
	t, ok := at(midnight(now, 0), s)
	if ok && t.After(now) {
		t, ok = at(midnight(now, -1), s)
	}
	return t, ok
}

// day reads the name of a day, with a time of day or without.
func day(s string, now time.Time) (time.Time, bool) {
	name, rest, _ := strings.Cut(s, " ")
	var back int
	switch name {
	case "today":
	case "yesterday":
		back = 1
	default:
		weekday := -1
		for d := time.Sunday; d <= time.Saturday; d++ {
			if full := strings.ToLower(d.String()); len(name) >= 3 && strings.HasPrefix(full, name) {
				weekday = int(d)
			}
		}
		if weekday < 0 {
			return time.Time{}, false
		}
		back = (int(now.Weekday()) - weekday + 7) % 7
	}
	rest = strings.TrimPrefix(rest, "at ")
	read := func(back int) (time.Time, bool) {
		d := midnight(now, -back)
		if rest == "" {
			return d, true
		}
		return at(d, rest)
	}
	t, ok := read(back)
	if ok && t.After(now) && name != "today" && name != "yesterday" {
		t, ok = read(back + 7) // on a monday, "monday 14:00" before that time is last week's
	}
	return t, ok
}

// midnight returns the beginning of a day so many days from now.
func midnight(now time.Time, days int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location())
}

// at reads a time of day: 14:30, 14:30:05, 3am, 3:15 pm, noon, midnight.
func at(d time.Time, s string) (time.Time, bool) {
	switch s {
	case "noon":
		s = "12:00"
	case "midnight":
		s = "00:00"
	}
	afternoon, half := false, false
	for _, suffix := range []string{"am", "pm", "a.m.", "p.m."} {
		if text, ok := strings.CutSuffix(s, suffix); ok {
			s, half, afternoon = strings.TrimSpace(text), true, suffix[0] == 'p'
			break
		}
	}
	parts := strings.Split(s, ":")
	if len(parts) > 3 || len(parts) == 1 && !half {
		return time.Time{}, false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 2 || i > 0 && (v > 59 || len(p) != 2) {
			return time.Time{}, false
		}
		n[i] = int(v)
	}
	switch {
	case half && (n[0] < 1 || n[0] > 12) || n[0] > 24 || n[0] == 24 && n[1]+n[2] > 0:
		return time.Time{}, false
	case half && n[0] == 12:
		n[0] = 0
	}
	if afternoon {
		n[0] += 12
	}
	return time.Date(d.Year(), d.Month(), d.Day(), n[0], n[1], n[2], 0, d.Location()), true
}
