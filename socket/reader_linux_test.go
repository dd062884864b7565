package socket

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAPlainReaderIsLimited(t *testing.T) {
	r := newReader(t, Plain)
	none := func(*Socket) error { t.Error("a socket"); return nil }
	err := r.Limited()
	if err == nil {
		t.Fatal("it is not limited")
	}
	if _, got := r.Buckets(t.Context()); got != err {
		t.Errorf("Buckets: %v", got)
	}
	if got := r.IterateTCP(t.Context(), none); got != err {
		t.Errorf("IterateTCP: %v", got)
	}
	if _, got := r.UDP(t.Context(), true, none); got != err {
		t.Errorf("UDP: %v", got)
	}
}

func TestReadingEndsWhenCancelled(t *testing.T) {
	newWorld(t)
	r := newReader(t, Diag)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	none := func(*Socket) error { t.Error("a socket"); return nil }
	d, err := r.StartTCP(ctx, true)
	check(t, "StartTCP", err)
	if _, err := d.Each(none); !errors.Is(err, context.Canceled) {
		t.Errorf("Each: %v", err)
	}
	if _, err := r.UDP(ctx, false, none); !errors.Is(err, context.Canceled) {
		t.Errorf("UDP: %v", err)
	}
	if err := r.IterateTCP(ctx, none); !errors.Is(err, context.Canceled) {
		t.Errorf("IterateTCP: %v", err)
	}
	if _, err := r.Buckets(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Buckets: %v", err)
	}
	if _, err := r.Owners(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Owners: %v", err)
	}
}

func TestTheErrorOfTheCallbackEndsTheReading(t *testing.T) {
	newWorld(t)
	r := newReader(t, Diag)
	stop, calls := errors.New("enough"), 0
	once := func(*Socket) error { calls++; return stop }
	d, err := r.StartTCP(t.Context(), true)
	check(t, "StartTCP", err)
	if _, err := d.Each(once); err != stop || calls != 1 {
		t.Errorf("Each: %v after %d calls", err, calls)
	}
	if err := r.IterateTCP(t.Context(), once); err != stop || calls != 2 {
		t.Errorf("IterateTCP: %v after %d calls", err, calls)
	}
}

// The kernel fills the buffer that read() gives it, be it in the middle of a
// record (bpf_seq_read).
func TestARecordMayComeInTwoPieces(t *testing.T) {
	w := newWorld(t)
	r := newReader(t, Iterator)
	r.buf = make([]byte, ownedLen+1)
	fn, got := keep()
	check(t, "IterateTCP", r.IterateTCP(t.Context(), fn))
	same(t, "IterateTCP", *got, only(w.tcp, w.byIterator))
	buckets, err := r.Buckets(t.Context())
	check(t, "Buckets", err)
	for _, p := range w.buckets {
		if set := buckets[w.netns]; set == nil || !set.Contains(p) {
			t.Errorf("port %d is not among the bound ones", p)
		}
	}
	o, err := r.Owners(t.Context())
	check(t, "Owners", err)
	if i := o.Of(w.tcp[0].Inode); i == NoOwner || o.At(i).PID != os.Getpid() {
		t.Errorf("the listener has owner %d", i)
	}
}

func TestAnAnswerMayBeGivenUp(t *testing.T) {
	newWorld(t)
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		check(t, "list files", err)
		return len(names)
	}
	before := open()
	d, err := newReader(t, Plain).StartTCP(t.Context(), true)
	check(t, "StartTCP", err)
	d.Close()
	if after := open(); after != before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

func TestAnUnknownEngineIsNamedWithWhatIsAccepted(t *testing.T) {
	_, err := NewReader("nonsense")
	if err == nil || err.Error() != `unknown engine "nonsense": want iter, diag or plain` {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorThatHasACureNamesIt(t *testing.T) {
	for _, e := range []unix.Errno{unix.ENOENT, unix.EPROTONOSUPPORT, unix.EOPNOTSUPP} {
		if err := diagError(e); !errors.Is(err, e) || !strings.Contains(err.Error(), "load the modules tcp_diag and udp_diag") {
			t.Errorf("%v becomes %v", e, err)
		}
	}
	if err := diagError(unix.EPERM); err != unix.EPERM {
		t.Errorf("EPERM becomes %v", err)
	}
}
