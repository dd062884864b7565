package record

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// began is when the tests' samples begin.
var began = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// someRange has 28,232 ports.
var someRange = port.Range{First: 32768, Last: 60999}

// aPool returns a pool of which so many ports are held.
func aPool(dst string, held int) pool.Pool {
	c := someRange.Len()
	p := pool.Pool{
		Key:   pool.Key{Proto: socket.TCP, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddrPort(dst)},
		Range: c, Capacity: c, Held: held, Headroom: c - held, HeadroomMax: c - held, BindHeadroom: c - held, BindHeadroomMax: c - held,
		Knee: c / 2, CeilingPerSecond: 470.5,
	}
	p.States[socket.Established], p.States[socket.TimeWait] = held/2, held-held/2
	return p
}

// aSample returns a sample of one namespace, taken so long after the beginning.
func aSample(after time.Duration, pools ...pool.Pool) *Sample {
	sortPools(pools)
	return &Sample{
		Time: began.Add(after), Interval: time.Second, Took: 3 * time.Millisecond,
		Namespaces: []Namespace{{
			ID: 4026531840, Range: someRange, Status: "ok", Verdict: "all is well", Pools: pools, Holders: true,
			Blocked: Blocked{Kinds: map[string]int{}, By: []Blocker{}},
		}},
	}
}

func create(t *testing.T, opt Options) (*Recorder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.db")
	r, err := Create(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.conn != nil {
			_ = r.Close() // closed by the test as a rule
		}
	})
	return r, path
}

func appendAll(t *testing.T, r *Recorder, list ...*Sample) {
	t.Helper()
	for i, s := range list {
		if err := r.Append(s); err != nil {
			t.Fatalf("sample %d: %v", i, err)
		}
	}
}

func openRecord(t *testing.T, path string) *Record {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// same compares pools as a record keeps them.
func same(want, got []pool.Pool) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty())
}

func TestAMomentIsWhatTheLastSampleBeforeItSaid(t *testing.T) {
	r, path := create(t, Options{})
	full := aPool("10.0.0.5:443", 28232)
	full.Owners = []pool.Owner{{PID: 812, Command: "nginx", Cgroup: "/system.slice/nginx.service", Ports: 20000}, {PID: 9, Command: "curl", Ports: 3}}
	bounded := aPool("[2001:db8::7]:443", 3)
	bounded.Key.Src = netip.MustParseAddr("2001:db8::1")
	bounded.Headroom -= 7
	bounded.Inexact = []pool.Reason{pool.NoBuckets, pool.OddRange}
	udp := pool.Pool{Key: pool.Key{Proto: socket.UDP, Src: netip.IPv4Unspecified()}, Range: 28232, Capacity: 28232, Headroom: 28232, HeadroomMax: 28232, BindHeadroom: 28232, BindHeadroomMax: 28232}
	var bad *Sample // the one with a finding
	states := [][]pool.Pool{
		{aPool("10.0.0.5:443", 5)},
		{aPool("10.0.0.5:443", 6), bounded},
		{full, bounded, udp},
		{bounded},
		nil,
		{aPool("10.0.0.5:443", 1)},
	}
	for i, pools := range states {
		s := aSample(time.Duration(i)*time.Second, slices.Clone(pools)...)
		s.Namespaces[0].Settings = []Setting{{"ip_local_port_range", fmt.Sprintf("%d 60999", 32768+i/3)}, {"tcp_tw_reuse", "2"}}
		s.Namespaces[0].Judged = true
		if i == 2 {
			bad = s
			s.Namespaces[0].Status = "critical"
			s.Namespaces[0].Findings = []finding.Finding{{Code: "PR101", Name: "pool-exhausted", Severity: finding.Critical, Title: "no port is left", Evidence: []string{"28232 of 28232 held"},
				Remedies: []finding.Remedy{{ID: "widen-range", Text: "widen the range", Sets: []finding.Assignment{{Name: "ip_local_port_range", Value: "1024-65535"}},
					Gain: finding.Gain{From: finding.Room{Capacity: 28232, CeilingPerSecond: 470.5}, To: finding.Room{Capacity: 64512}}}}}}
		}
		appendAll(t, r, s)
	}
	rec := openRecord(t, path) // while it is written
	for i, want := range states {
		m, err := rec.At(began.Add(time.Duration(i)*time.Second + 300*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Namespaces) != 1 || !m.Time.Equal(began.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("%d: %+v", i, m)
		}
		n := m.Namespaces[0]
		sortPools(want)
		if d := same(want, n.Pools); d != "" {
			t.Errorf("%d (-want +got):\n%s", i, d)
		}
		if got := len(n.Findings); (got == 1) != (i == 2) {
			t.Errorf("%d: %d findings", i, got)
		}
		if i == 2 && (n.Status != "critical" || !reflect.DeepEqual(n.Findings, bad.Namespaces[0].Findings)) {
			t.Errorf("%+v", n)
		}
		if want := fmt.Sprintf("%d 60999", 32768+i/3); n.Settings[0].Value != want {
			t.Errorf("%d: %s, want %s", i, n.Settings[0].Value, want)
		}
	}
	if _, err := rec.At(began.Add(-time.Second)); !errors.Is(err, ErrNoSample) {
		t.Errorf("before the first sample: %v", err)
	}
}

func TestWhatDoesNotChangeIsNotWritten(t *testing.T) {
	r, _ := create(t, Options{})
	for i := range 100 {
		appendAll(t, r, aSample(time.Duration(i)*time.Second, aPool("10.0.0.5:443", 5), aPool("10.0.0.6:443", 7)))
	}
	if n, err := r.number("SELECT count(*) FROM pool_sample"); n != 2 || err != nil {
		t.Errorf("%d rows, %v: want 2", n, err)
	}
	if n, err := r.number("SELECT count(*) FROM sample"); n != 100 || err != nil {
		t.Errorf("%d samples, %v", n, err)
	}
}

// With many pools a change waits unless it is large, but never for more than a
// minute, and never one to or from the end of a pool.
func TestWithManyPoolsSmallChangesWait(t *testing.T) {
	many := func(held func(i int) int) []pool.Pool {
		var list []pool.Pool
		for i := range ExactPools + 50 {
			if n := held(i); n > 0 {
				list = append(list, aPool(fmt.Sprintf("10.1.%d.%d:443", i/250, i%250), n))
			}
		}
		return list
	}
	r, path := create(t, Options{})
	appendAll(t, r, aSample(0, many(func(int) int { return 10 })...))
	rows := func() int64 {
		n, err := r.number("SELECT count(*) FROM pool_sample")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := rows()
	appendAll(t, r, aSample(time.Second, many(func(i int) int { return 11 })...))
	if n := rows(); n != first {
		t.Errorf("%d rows were written for a change by one port", n-first)
	}
	appendAll(t, r, aSample(2*time.Second, many(func(i int) int {
		switch i {
		case 3:
			return 10 + 28232/256
		case 4:
			return 28232
		case 5:
			return 0
		}
		return 11
	})...))
	if n := rows(); n != first+3 {
		t.Errorf("%d rows were written for one large change, a pool that was full, and one that was empty", n-first)
	}
	appendAll(t, r, aSample(62*time.Second, many(func(i int) int { return 11 })...))
	m, err := openRecord(t, path).At(began.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Namespaces[0].Pools {
		if p.Held != 11 && p.Key.Dst.String() != "10.1.0.5:443" { // which is new: it waits
			t.Errorf("after a minute %v is told to hold %d", p.Key.Dst, p.Held)
		}
	}
}

func TestTheTightestPoolsAreKeptAndTheOthersSummedUp(t *testing.T) {
	r, path := create(t, Options{MaxSize: LeastSize})
	most := r.bounds.poolsOf(1)
	var pools []pool.Pool
	for i := range most + 100 {
		pools = append(pools, aPool(fmt.Sprintf("10.%d.%d.%d:443", 1+i/62500, i/250%250, i%250), 1+i%7))
	}
	appendAll(t, r, aSample(0, pools...))
	m, err := openRecord(t, path).At(began)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Namespaces[0].Pools); n != most {
		t.Errorf("%d pools are kept, want %d", n, most)
	}
	others, err := r.number("SELECT others FROM netns_sample")
	if others != 100 || err != nil {
		t.Errorf("%d others, %v", others, err)
	}
	if held, _ := r.number("SELECT held FROM netns_sample"); held != 100 {
		t.Errorf("the others hold %d, want 100: one each", held)
	}
}

func TestASecondRecorderIsRefused(t *testing.T) {
	_, path := create(t, Options{})
	_, err := Create(path, Options{})
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Fatalf("%v", err)
	}
	if want := fmt.Sprintf("%s is being written by another recorder, process %d", path, os.Getpid()); err.Error() != want {
		t.Errorf("%q", err)
	}
}

func TestARecordGoesOnWhereItEnded(t *testing.T) {
	r, path := create(t, Options{})
	s := aSample(0, aPool("10.0.0.5:443", 5), aPool("10.0.0.6:443", 5))
	s.Namespaces[0].Settings = []Setting{{"tcp_tw_reuse", "2"}}
	appendAll(t, r, s)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.conn = nil
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there: %v", err)
	}
	r2, err := Create(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Close()
	s = aSample(time.Hour, aPool("10.0.0.5:443", 9))
	s.Namespaces[0].Settings = []Setting{{"tcp_tw_reuse", "1"}}
	appendAll(t, r2, s)
	rec := openRecord(t, path)
	m, err := rec.At(began.Add(2 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if d := same([]pool.Pool{aPool("10.0.0.5:443", 9)}, m.Namespaces[0].Pools); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	story, err := rec.Story(Query{})
	if err != nil {
		t.Fatal(err)
	}
	if len(story.Gaps) != 1 || story.Gaps[0].To.Sub(story.Gaps[0].From) != time.Hour {
		t.Errorf("gaps %v", story.Gaps)
	}
	if len(story.Changes) != 1 || story.Changes[0].Before != "2" || story.Changes[0].Value != "1" {
		t.Errorf("a setting that changed while nobody recorded: %+v", story.Changes)
	}
}

func TestTheClockMayBeSetBack(t *testing.T) {
	r, path := create(t, Options{})
	for i := range 10 {
		appendAll(t, r, aSample(time.Duration(i)*time.Minute, aPool("10.0.0.5:443", 100+i)))
	}
	// Nine minutes become four.
	for i := range 3 {
		appendAll(t, r, aSample(4*time.Minute+time.Duration(i)*time.Minute+time.Second, aPool("10.0.0.5:443", 200+i)))
	}
	rec := openRecord(t, path)
	for at, want := range map[time.Duration]int{
		3 * time.Minute:               103,
		4*time.Minute + time.Second:   200, // the later of the two
		5*time.Minute + 2*time.Second: 201,
		9*time.Minute + time.Second:   109, // only before it was set back
	} {
		m, err := rec.At(began.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Namespaces[0].Pools[0].Held; got != want {
			t.Errorf("at %v: %d held, want %d", at, got, want)
		}
	}
	story, err := rec.Story(Query{})
	if err != nil {
		t.Fatal(err)
	}
	if len(story.Events) != 1 || story.Events[0].Kind != EventClock || story.Events[0].Text != "the clock was set back by 4m59s, from 2026-11-23T03:09:00Z: this time occurs twice" {
		t.Errorf("events %+v", story.Events)
	}
	if story.Samples != 13 || story.Pools[0].Peak.Held != 202 {
		t.Errorf("%d samples, peak %d", story.Samples, story.Pools[0].Peak.Held)
	}
}

func TestAFileThatIsNoRecordIsRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte("this is a text of more than a few words, and no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	db, conn, err := connect(other, "mode=rwc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "CREATE TABLE t (a)"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	db.Close()
	for _, path := range []string{text, other} {
		if _, err := Create(path, Options{}); !errors.Is(err, ErrNoRecord) {
			t.Errorf("create %s: %v", path, err)
		}
		if _, err := Open(path); !errors.Is(err, ErrNoRecord) {
			t.Errorf("open %s: %v", path, err)
		}
	}
	if got, _ := os.ReadFile(text); string(got[:14]) != "this is a text" {
		t.Error("the file was changed")
	}
	if _, err := Open(filepath.Join(dir, "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := Create(filepath.Join(dir, "no", "such", "folder.db"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestARecordOfALaterPortroomIsRefused(t *testing.T) {
	r, path := create(t, Options{})
	if err := r.pragmas("user_version = 9"); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.conn = nil
	want := "its schema is version 9 and this portroom knows 1: a later portroom wrote it"
	for _, err := range []error{second(Create(path, Options{})), second(Open(path))} {
		if err == nil || !containsText(err, want) {
			t.Errorf("%v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func containsText(err error, text string) bool {
	return err != nil && strings.HasSuffix(err.Error(), text)
}

func TestARecordIsForItsOwnerOnly(t *testing.T) {
	r, path := create(t, Options{})
	appendAll(t, r, aSample(0))
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		i, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", filepath.Base(name), i.Mode())
		}
	}
}

func sortPools(list []pool.Pool) { slices.SortFunc(list, pool.Tighter) }
