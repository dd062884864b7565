package when

import (
	"strings"
	"testing"
	"time"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 9, 30, 0, 0, berlin) // a Wednesday
	for text, want := range map[string]string{
		"now":                       "2026-11-25 09:30:00",
		"3am":                       "2026-11-25 03:00:00",
		"3 AM":                      "2026-11-25 03:00:00",
		"3:15am":                    "2026-11-25 03:15:00",
		"12am":                      "2026-11-25 00:00:00",
		"12pm":                      "2026-11-24 12:00:00",
		"3pm":                       "2026-11-24 15:00:00", // yesterday's: today's is to come
		"11 p.m.":                   "2026-11-24 23:00:00",
		"noon":                      "2026-11-24 12:00:00",
		"midnight":                  "2026-11-25 00:00:00",
		"03:12":                     "2026-11-25 03:12:00",
		"3:12":                      "2026-11-25 03:12:00",
		"09:30":                     "2026-11-25 09:30:00",
		"09:31":                     "2026-11-24 09:31:00",
		"14:00:07":                  "2026-11-24 14:00:07",
		"today":                     "2026-11-25 00:00:00",
		"yesterday":                 "2026-11-24 00:00:00",
		"yesterday 14:00":           "2026-11-24 14:00:00",
		"Yesterday  at 2pm":         "2026-11-24 14:00:00",
		"today 3am":                 "2026-11-25 03:00:00",
		"monday noon":               "2026-11-23 12:00:00",
		"mon 03:12":                 "2026-11-23 03:12:00",
		"wednesday":                 "2026-11-25 00:00:00",
		"wednesday 10:00":           "2026-11-18 10:00:00",
		"thursday":                  "2026-11-19 00:00:00",
		"2h ago":                    "2026-11-25 07:30:00",
		"2h":                        "2026-11-25 07:30:00",
		"-90m":                      "2026-11-25 08:00:00",
		"1h30m ago":                 "2026-11-25 08:00:00",
		"90 minutes ago":            "2026-11-25 08:00:00",
		"1 hour and 30 minutes ago": "2026-11-25 08:00:00",
		"45s ago":                   "2026-11-25 09:29:15",
		"3 days ago":                "2026-11-22 09:30:00",
		"40d ago":                   "2026-10-16 09:30:00", // summer time: the same time of day
		"2 weeks ago":               "2026-11-11 09:30:00",
		"2026-11-23":                "2026-11-23 00:00:00",
		"2026-11-23 03:12":          "2026-11-23 03:12:00",
		"2026-11-23 03:12:44":       "2026-11-23 03:12:44",
		"2026-11-23T03:12:44":       "2026-11-23 03:12:44",
		"2026-11-23 3am":            "2026-11-23 03:00:00",
		"2026-11-23T03:12:44Z":      "2026-11-23 04:12:44",
		"2026-11-23T03:12:44-05:00": "2026-11-23 09:12:44",
		"2026-11-23t03:12:44.5z":    "2026-11-23 04:12:44",
		"@1795569164":               "2026-11-25 02:12:44",
	} {
		got, err := Parse(text, now)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if s := got.In(berlin).Format(time.DateTime); s != want {
			t.Errorf("%q is %s, want %s", text, s, want)
		}
	}
}

func TestWhatIsNoTimeIsRefused(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	for _, text := range []string{
		"", "soon", "3", "25:00", "24:01", "12:60", "13am", "0am", "3:5", "2026-13-01", "2026-11-23 25:00", "2026-02-30",
		"ago", "h ago", "2 ago", "2 fortnights ago", "-", "yesterday soon", "mo", "@", "@x", "2h ago please", "99999999999999999999h ago", "1:2:3:4", "١٢:٠٠",
	} {
		got, err := Parse(text, now)
		if err == nil {
			t.Errorf("%q was taken for %v", text, got)
		} else if !strings.Contains(err.Error(), "3am") {
			t.Errorf("%q: %v does not say what is accepted", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"3am", "yesterday 14:00", "2h ago", "2026-11-23T03:12:44Z", "mon noon", "@1"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := Parse(s, now); err == nil && got.IsZero() && !strings.Contains(s, "0001") {
			t.Errorf("%q is no time at all", s)
		}
	})
}
