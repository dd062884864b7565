package record

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/pool"
)

// childEnv names the file into which a child of the tests records until it is killed.
const childEnv = "PORTROOM_TEST_RECORD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, recordForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// numbered returns the sample with this number. So many pools are there that a record
// of the least size is soon full of them.
func numbered(n int64) *Sample {
	var pools []pool.Pool
	for i := range int64(ExactPools) {
		if (n+i)%11 != 0 {
			pools = append(pools, aPool(fmt.Sprintf("10.0.%d.%d:443", i/250, i%250), int(1+(n*31+i*7)%20000)))
		}
	}
	s := aSample(time.Duration(n)*time.Second, pools...)
	s.Namespaces[0].Settings = []Setting{{"number", strconv.FormatInt(n, 10)}}
	return s
}

// recordForever says the number of each sample once it is in the record.
func recordForever(path string) error {
	r, err := Create(path, Options{MaxSize: LeastSize})
	if err != nil {
		return err
	}
	for {
		if err := r.Append(numbered(r.Last() + 1)); err != nil {
			return err
		}
		if _, err := fmt.Println(r.Last()); err != nil {
			return err
		}
	}
}

func TestARecorderThatIsKilledLosesNoSample(t *testing.T) {
	const kills = 200
	path := filepath.Join(t.TempDir(), "record.db")
	acknowledged := int64(0)
	for kill := range kills {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The first samples are waited for as a rule, so that the kill meets one that
		// is being written; some kills come while the file is opened.
		lines := bufio.NewScanner(out)
		if kill%5 != 0 && !lines.Scan() {
			t.Fatalf("kill %d: the recorder ended: %s", kill, said.String())
		}
		done := make(chan struct{})
		go func() {
			time.Sleep(time.Duration(rand.Int64N(int64(60 * time.Millisecond))))
			cmd.Process.Kill()
			close(done)
		}()
		for {
			if text := lines.Text(); text != "" {
				if acknowledged, err = strconv.ParseInt(text, 10, 64); err != nil {
					t.Fatalf("kill %d: the recorder ended: %q %s", kill, text, said.String())
				}
			}
			if !lines.Scan() {
				break
			}
		}
		<-done
		_ = cmd.Wait() // it was killed
		cancel()
		if said.Len() > 0 {
			t.Fatalf("kill %d: %s", kill, said.String())
		}
		acknowledged = holdsAllUpTo(t, path, acknowledged, kill%20 == 0 || kill == kills-1)
		if t.Failed() {
			t.Fatalf("after kill %d", kill)
		}
	}
	r := openRecord(t, path)
	s, err := r.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if int64(s.Samples) >= acknowledged {
		t.Errorf("all of %d samples are there: the bound was not reached, so dropping was not tried", acknowledged)
	}
	t.Logf("%d kills, %d samples acknowledged, the last %d of them kept in %d KiB", kills, acknowledged, s.Samples, s.Bytes>>10)
}

// holdsAllUpTo checks that a record opens, has every sample up to the last that was
// acknowledged, and says of the last what it said. It returns the last that is there:
// it is known now, as if it had been acknowledged.
func holdsAllUpTo(t *testing.T, path string, acknowledged int64, thorough bool) (last int64) {
	t.Helper()
	if acknowledged == 0 {
		return 0
	}
	r, err := Open(path)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer r.Close()
	var first, n int64
	if err := r.conn.QueryRowContext(ctx, "SELECT min(id), max(id), count(*) FROM sample").Scan(&first, &last, &n); err != nil {
		t.Error(err)
		return 0
	}
	// One more may have been written and not been acknowledged.
	if last < acknowledged || last > acknowledged+1 || n != last-first+1 {
		t.Errorf("samples %d to %d, %d of them; %d was acknowledged", first, last, n, acknowledged)
	}
	want := numbered(last)
	m, err := r.At(want.Time)
	if err != nil {
		t.Error(err)
		return last
	}
	if d := same(want.Namespaces[0].Pools, m.Namespaces[0].Pools); d != "" {
		t.Errorf("sample %d (-want +got):\n%s", last, d)
	}
	if got := m.Namespaces[0].Settings; len(got) != 1 || got[0].Value != strconv.FormatInt(last, 10) {
		t.Errorf("sample %d: settings %v", last, got)
	}
	if thorough {
		var ok string
		if err := r.conn.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
			t.Errorf("integrity: %s %v", ok, err)
		}
	}
	return last
}
