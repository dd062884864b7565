package record

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/portroom/portroom/pool"
)

// A Recorder appends samples to a record. It is for one goroutine at a time.
type Recorder struct {
	path    string
	options Options
	lock    *os.File
	db      *sql.DB
	conn    *sql.Conn
	stmt    statements

	run      int64     // of this recorder
	last     int64     // number of the last sample that is in the record
	lastTime time.Time // of it
	rows     int       // written in the sample at hand
	span     span
	bounds   bounds

	// What the record says now. Forgotten when a transaction failed: the next
	// sample is whole.
	known state
}

// span is what was written since the last whole sample.
type span struct {
	began time.Time // of that sample, by this process's own clock
	rows  int
}

// wholeEvery is how often a sample is whole at least.
const wholeEvery = 10 * time.Minute

// bytesPerRow is about what a row takes.
const bytesPerRow = 64

// state is what the record says of the moment of the last sample.
type state struct {
	fresh      bool // nothing is known yet
	namespaces map[uint64]*namespaceState
	processes  map[Process]int64
}

type namespaceState struct {
	id       int64 // of the row in netns
	label    string
	row      namespaceRow
	pools    map[pool.Key]*poolState
	settings map[string]string
	findings map[string]*findingState
	seen     int64 // number of the sample in which it was last there
}

func (s *state) forget() {
	*s = state{fresh: true, namespaces: make(map[uint64]*namespaceState), processes: make(map[Process]int64)}
}

// begin notes that a run begins.
func (r *Recorder) begin() error {
	r.known.forget()
	var at sql.NullInt64
	err := r.conn.QueryRowContext(ctx, "SELECT id, time FROM sample ORDER BY id DESC LIMIT 1").Scan(&r.last, &at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if at.Valid {
		r.lastTime = time.UnixMilli(at.Int64)
	}
	return r.transaction(func() error {
		res, err := r.conn.ExecContext(ctx, "INSERT INTO run (started, host, kernel, version, pid) VALUES (?, ?, ?, ?, ?)",
			time.Now().UnixMilli(), r.options.Host, r.options.Kernel, r.options.Version, os.Getpid())
		if err != nil {
			return err
		}
		r.run, err = res.LastInsertId()
		return err
	})
}

// Append adds a sample: all of it, or nothing when there is an error. It wraps
// [ErrNoRoom] while the disk is full.
func (r *Recorder) Append(s *Sample) error {
	if err := r.makeRoom(); err != nil {
		return r.failed(err)
	}
	whole := r.last == 0 || r.known.fresh || time.Since(r.span.began) >= wholeEvery || r.span.rows > r.bounds.spanRows
	events := s.Events
	if back := r.lastTime.Sub(s.Time); back > 0 {
		// What follows is in order by its number, not by its time.
		whole = true
		events = append(events[:len(events):len(events)], Event{EventClock, fmt.Sprintf("the clock was set back by %v, from %s: this time occurs twice",
			back.Round(time.Millisecond), r.lastTime.UTC().Format(time.RFC3339))})
	}
	r.rows = 0
	err := r.transaction(func() error { return r.write(s, events, whole) })
	if err != nil {
		r.known.forget()
		return r.failed(err)
	}
	r.last++
	r.known.fresh = false
	r.lastTime = s.Time
	if whole {
		r.span = span{began: time.Now()}
	}
	r.span.rows += r.rows
	return nil
}

// failed says of an error which file it is about.
func (r *Recorder) failed(err error) error {
	return fmt.Errorf("record into %s: %w", r.path, explain(err))
}

// transaction runs fn as one: what it did is on the disk afterwards, or nothing is.
func (r *Recorder) transaction(fn func() error) error {
	if _, err := r.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		_, err = r.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		// SQLite has rolled back by itself after some errors; then this one fails.
		_, _ = r.conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

// write is the transaction of a sample.
func (r *Recorder) write(s *Sample, events []Event, whole bool) error {
	id := r.last + 1
	now := s.Time.UnixMilli()
	if err := r.insert(r.stmt.sample, id, r.run, now, whole, s.Took.Microseconds(), s.Interval.Milliseconds()); err != nil {
		return err
	}
	for _, e := range events {
		if err := r.insert(r.stmt.event, id, now, e.Kind, e.Text); err != nil {
			return err
		}
	}
	if r.known.fresh {
		// What was there when the record was last written may be there no longer.
		if _, err := r.conn.ExecContext(ctx, "UPDATE pool SET ended = ? WHERE ended = 0", r.last); err != nil {
			return err
		}
	}
	total := 0
	for i := range s.Namespaces {
		total += len(s.Namespaces[i].Pools)
	}
	w := writing{Recorder: r, id: id, now: now, whole: whole, exact: total <= ExactPools, most: r.bounds.poolsOf(len(s.Namespaces))}
	for i := range s.Namespaces {
		if err := w.namespace(&s.Namespaces[i]); err != nil {
			return err
		}
	}
	if err := w.vanished(); err != nil {
		return err
	}
	for i := range s.Refusals {
		if err := w.refusal(&s.Refusals[i]); err != nil {
			return err
		}
	}
	return nil
}

// insert runs a prepared statement and counts its row.
func (r *Recorder) insert(stmt *sql.Stmt, values ...any) error {
	r.rows++
	_, err := stmt.ExecContext(ctx, values...)
	return err
}

// Last returns the number of the last sample that is in the record, 0 for none.
func (r *Recorder) Last() int64 { return r.last }

// Close ends the recording. What was appended is on the disk already.
func (r *Recorder) Close() error {
	// The log goes into the file, so that a copy of the file alone is complete.
	_, err := r.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(truncate)")
	if err != nil {
		err = r.failed(err)
	}
	return errors.Join(err, r.release())
}

func (r *Recorder) release() (err error) {
	if r.conn != nil {
		err = errors.Join(r.stmt.close(), r.conn.Close(), r.db.Close())
	}
	return errors.Join(err, r.lock.Close())
}
