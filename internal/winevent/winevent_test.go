package winevent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

func fixture(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/system.xml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func utf16Of(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func kind(id int) Kind { k, _ := KindOf(id); return k }

func TestWhatWevtutilPrintsIsSummedUp(t *testing.T) {
	text := fixture(t)
	want := &Log{Total: 5, Counts: []Count{
		{kind(4227), 2, at("2026-03-03T22:00:00Z"), at("2026-03-04T03:12:09.4482913Z")},
		{kind(4231), 1, at("2026-03-04T03:15:30.1Z"), at("2026-03-04T03:15:30.1Z")},
	}}
	for name, in := range map[string]string{
		"UTF-8":                         text,
		"UTF-8 with a byte order mark":  "\ufeff" + text,
		"with Windows' ends of lines":   strings.ReplaceAll(text, "\n", "\r\n"),
		"without ends of lines":         strings.ReplaceAll(text, "\n", ""),
		"UTF-16 as PowerShell saves it": utf16Of(binary.LittleEndian, "\ufeff"+text),
		"UTF-16 without a mark":         utf16Of(binary.LittleEndian, text),
		"big-endian UTF-16":             utf16Of(binary.BigEndian, "\ufeff"+text),
		"big-endian without a mark":     utf16Of(binary.BigEndian, text),
		"with a root and a declaration": "<?xml version='1.0' encoding='utf-16' standalone='yes'?>\n<Events>" + text + "</Events>",
		"an 8-bit code page":            strings.ReplaceAll(text, "Windows Update", "Windows \x81pdate \x01"),
		"attributes in double quotes":   strings.ReplaceAll(text, "'", `"`),
		"with a prefix":                 strings.NewReplacer("<Event ", "<e:Event xmlns:e='x' ", "</Event>", "</e:Event>").Replace(text),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestAnEventIsReadInFull(t *testing.T) {
	var got []Event
	total, err := Each(strings.NewReader(fixture(t)), func(e *Event) error {
		c := *e
		c.Parameters = append([]string(nil), e.Parameters...)
		got = append(got, c)
		return nil
	})
	if err != nil || total != 5 {
		t.Fatalf("%d events: %v", total, err)
	}
	want := Event{ID: 4231, Time: at("2026-03-04T03:15:30.1Z"), Record: 88116, Computer: "web1.example.com", Parameters: []string{"", "TCP"}}
	if d := cmp.Diff(want, got[1]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	stop := errors.New("enough")
	if n, err := Each(strings.NewReader(fixture(t)), func(*Event) error { return stop }); n != 1 || !errors.Is(err, stop) {
		t.Errorf("stopped after %d: %v", n, err)
	}
}

// What an entry lacks is left out; the entry still counts.
func TestAnOddEventStillCounts(t *testing.T) {
	for name, in := range map[string]string{
		"no time":       `<Event><System><Provider Name='TCPIP'/><EventID>4227</EventID></System></Event>`,
		"a broken time": `<Event><System><Provider Name='Tcpip'/><EventID>4227</EventID><TimeCreated SystemTime='yesterday'/></System></Event>`,
		"a broken record": `<Event><System><Provider EventSourceName='Tcpip'/><EventID> 4227 </EventID><EventRecordID>x</EventRecordID>` +
			`</System></Event>`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&Log{Total: 1, Counts: []Count{{Kind: kind(4227), Count: 1}}}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	for name, in := range map[string]string{
		"nothing":              "",
		"blanks":               " \r\n",
		"a root and no event":  "<Events></Events>",
		"another number":       `<Event><System><Provider Name='Tcpip'/><EventID>4199</EventID></System></Event>`,
		"a number elsewhere":   `<Event><System><Provider Name='Tcpip'/></System><EventData><EventID>4227</EventID></EventData></Event>`,
		"a number that is not": `<Event><System><Provider Name='Tcpip'/><EventID>4227x</EventID></System></Event>`,
	} {
		t.Run("not "+name, func(t *testing.T) {
			got, err := Read(strings.NewReader(in))
			if name == "a root and no event" {
				if err == nil || !strings.Contains(err.Error(), "<Events>") {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if err != nil || len(got.Counts) != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAFileThatIsNoExportIsAnErrorThatSaysSo(t *testing.T) {
	event := fixture(t)[:strings.IndexByte(fixture(t), '\n')]
	for name, c := range map[string]struct{ in, want string }{
		"the log itself":     {"ElfFile\x00\x00\x00\x00\x00", "export it with wevtutil"},
		"text":               {"Event[0]:\n  Log Name: System\n", "want what wevtutil qe System /f:xml prints"},
		"another document":   {"<html><body>x</body></html>", "there is no event in it, but <html>"},
		"cut off":            {event[:300], "unexpected EOF"},
		"cut off in between": {"<Events>" + event, "after 1 events"},
		"wrong nesting":      {"<Event><System></Event>", "after 0 events, at byte"},
		"an endless text":    {"<Event><Data>" + strings.Repeat("x", 2<<20), "an event is longer than 1048576 bytes"},
		"an endless name":    {"<Event><" + strings.Repeat("x", 2<<20), "an event is longer than 1048576 bytes"},
		"an endless prolog":  {strings.Repeat(" ", 2<<20) + event, "an event is longer than 1048576 bytes"},
		"too deep":           {"<Event>" + strings.Repeat("<a>", 100), "nested too deeply"},
		"too deep outside":   {strings.Repeat("<a>", 100), "nested too deeply"},
		"an entity":          {"<!DOCTYPE x [<!ENTITY a 'b'>]><Event><Data>&a;</Data></Event>", "after 0 events"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v: want an error with %q", got, err, c.want)
			}
		})
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none.xml")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A log of many events is read in constant memory, one event at a time.
func TestManyEventsAreCounted(t *testing.T) {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "<Event><System><Provider Name='Tcpip'/><EventID>4231</EventID><EventRecordID>%d</EventRecordID></System></Event>\n", i)
	}
	l, err := Read(strings.NewReader(b.String()))
	if err != nil || l.Counts[0].Count != 20000 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestEveryKindSaysWhatItMeans(t *testing.T) {
	for i, k := range Kinds {
		if k.Title == "" || k.Meaning == "" || k.Since == "" || i > 0 && Kinds[i-1].ID >= k.ID {
			t.Errorf("%+v", k)
		}
	}
	if _, ok := KindOf(1); ok {
		t.Error("1 is no event about ports")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(fixture(f)))
	f.Add([]byte(utf16Of(binary.LittleEndian, "\ufeff"+fixture(f))))
	f.Add([]byte("<Events><Event><System><EventID>4231</EventID></System></Event>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Read(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		n := 0
		for _, c := range l.Counts {
			n += c.Count
			if c.First.After(c.Last) {
				t.Errorf("%+v", c)
			}
		}
		if n > l.Total {
			t.Errorf("%d of %d events", n, l.Total)
		}
	})
}
