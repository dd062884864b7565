package record

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/portroom/portroom/pool"
)

// onDisk is what the record takes, as du(1) would count it.
func onDisk(t *testing.T, path string) (total int64) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if i, err := os.Stat(path + suffix); err == nil {
			total += i.Size()
		}
	}
	return total
}

// A crawler comes to hundreds of new destinations in each sample, and each of its
// processes is a new one.
func TestTheSizeIsHeldUnderAFloodOfNewDestinations(t *testing.T) {
	r, path := create(t, Options{MaxSize: LeastSize})
	largest := int64(0)
	const each = 500
	var last *Sample
	for n := range 250 {
		var pools []pool.Pool
		for i := range each {
			p := aPool(fmt.Sprintf("[2001:db8:%x:%x::%x]:443", n, i/250, i%250), 120+i%50)
			p.Owners = []pool.Owner{{PID: 1000 + n*each + i, Command: "crawler", Cgroup: "/system.slice/crawler.service", Ports: 5}}
			pools = append(pools, p)
		}
		last = aSample(time.Duration(n)*time.Second, pools...)
		for i := range 100 {
			last.Refusals = append(last.Refusals, Refusal{Netns: 4026531840, Key: aPool(fmt.Sprintf("10.%d.%d.1:80", n, i), 0).Key,
				Process: Process{PID: 500_000 + n*each + i, Command: "crawler"}, Errno: "EADDRNOTAVAIL", Count: 3})
		}
		appendAll(t, r, last)
		largest = max(largest, onDisk(t, path))
	}
	if largest > LeastSize {
		t.Errorf("it grew to %d KiB, the bound is %d KiB", largest>>10, LeastSize>>10)
	}
	rec := openRecord(t, path)
	s, err := rec.Summary()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB at most, %d samples of 250 kept", largest>>10, s.Samples)
	if s.Samples < 5 || s.Samples == 250 {
		t.Errorf("%d samples are kept", s.Samples)
	}
	m, err := rec.At(last.Time)
	if err != nil {
		t.Fatal(err)
	}
	if d := same(last.Namespaces[0].Pools, m.Namespaces[0].Pools); d != "" {
		t.Errorf("the last sample (-want +got):\n%s", d)
	}
	for table, most := range map[string]int64{"pool": 40_000, "process": 40_000} {
		if n, err := r.number("SELECT count(*) FROM " + table); n > most || err != nil {
			t.Errorf("%d names in %s are kept, of which few are referred to (%v)", n, table, err)
		}
	}
}

func TestWhatIsTooOldIsLetGo(t *testing.T) {
	r, path := create(t, Options{Keep: time.Hour})
	for i := range 30 {
		r.known.forget() // each is whole, as one every ten minutes is
		s := aSample(0, aPool("10.0.0.5:443", 100+i))
		s.Time = time.Now().Add(time.Duration(i-30) * 10 * time.Minute)
		r.bounds.aged = time.Time{}
		appendAll(t, r, s)
	}
	s, err := openRecord(t, path).Summary()
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(s.First); age > time.Hour+11*time.Minute || age < 49*time.Minute {
		t.Errorf("the oldest sample is %v old, want about an hour", age)
	}
}

// A clock that is a year ahead for one sample must not empty the record.
func TestAWrongClockDoesNotCostTheRecord(t *testing.T) {
	r, path := create(t, Options{Keep: time.Hour})
	for i := range 100 {
		r.known.forget()
		s := aSample(0, aPool("10.0.0.5:443", 100+i))
		s.Time = time.Now().Add(time.Duration(i-110) * time.Minute / 2)
		appendAll(t, r, s)
	}
	if err := r.expire(time.Now().AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if s, err := openRecord(t, path).Summary(); err != nil || s.Samples < 80 {
		t.Errorf("%d of 100 samples are left, %v", s.Samples, err)
	}
}

func TestALoweredBoundIsReached(t *testing.T) {
	r, path := create(t, Options{MaxSize: 4 * LeastSize})
	for n := range int64(800) {
		appendAll(t, r, numbered(n))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.conn = nil
	if n := onDisk(t, path); n <= LeastSize {
		t.Fatalf("only %d bytes: too few to lower anything", n)
	}
	r, err := Create(path, Options{MaxSize: LeastSize})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	appendAll(t, r, numbered(800), numbered(801))
	if n := onDisk(t, path); n > LeastSize {
		t.Errorf("%d KiB with a bound of %d KiB", n>>10, LeastSize>>10)
	}
	if m, err := openRecord(t, path).At(numbered(801).Time); err != nil || same(numbered(801).Namespaces[0].Pools, m.Namespaces[0].Pools) != "" {
		t.Errorf("the last sample is not what was appended (%v)", err)
	}
}

// Who reads for long keeps the log from being emptied. Then samples are refused,
// rather than the bound broken, and taken again when the reader is gone.
func TestALongReaderDoesNotBreakTheBound(t *testing.T) {
	r, path := create(t, Options{MaxSize: LeastSize})
	appendAll(t, r, numbered(1))
	reader, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range int64(400) {
		if err := r.Append(numbered(2 + n)); err != nil {
			refused++
		}
		if size := onDisk(t, path); size > LeastSize {
			t.Fatalf("%d KiB with a bound of %d KiB", size>>10, LeastSize>>10)
		}
		if refused == 3 {
			break
		}
	}
	if refused == 0 {
		t.Fatal("no sample was refused: the log was emptied under the reader, or never grew")
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, r, numbered(1000))
}
