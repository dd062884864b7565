package record

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// bounds is how a record is kept small. The file may take maxPages, the log what is
// left of [Options.MaxSize]; SQLite itself refuses a page more.
type bounds struct {
	maxPages int64
	log      int64 // bytes for the write-ahead log
	spanRows int   // a sample is whole after so many rows at the latest
	pools    int   // rows of pools in a sample at most
	aged     time.Time

	processes int // names that were perhaps made since the last sweep
}

// limit derives the bounds from the options and sets them.
func (r *Recorder) limit() error {
	size := r.options.MaxSize
	b := &r.bounds
	b.log = min(size/4, 16<<20)
	b.maxPages = (size - b.log) / pageSize
	// What is let go at a time, and what a sample writes at most, is a small part.
	b.spanRows = int(size / 32 / bytesPerRow)
	b.pools = int(min(size/2048, 4*MostPools))
	return r.pragmas(
		fmt.Sprintf("wal_autocheckpoint = %d", b.log/4/pageSize),
		fmt.Sprintf("journal_size_limit = %d", b.log/2),
		// Below what is there it has no effect until there is less.
		fmt.Sprintf("max_page_count = %d", b.maxPages),
	)
}

// poolsOf returns how many pools of each of n namespaces are kept apart.
func (b *bounds) poolsOf(n int) int {
	if n == 0 {
		return 0
	}
	return min(MostPools, max(10, b.pools/n))
}

// pragmas sets them; some answer with a row.
func (r *Recorder) pragmas(list ...string) error {
	for _, p := range list {
		if err := r.drain("PRAGMA " + p); err != nil {
			return err
		}
	}
	return nil
}

// drain runs a statement to its end.
func (r *Recorder) drain(text string) error {
	rows, err := r.conn.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	for rows.Next() {
		continue
	}
	return errors.Join(rows.Err(), rows.Close())
}

func (r *Recorder) number(text string) (n int64, err error) {
	err = r.conn.QueryRowContext(ctx, text).Scan(&n)
	return n, err
}

func (r *Recorder) logSize() (int64, error) {
	i, err := os.Stat(r.path + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

// makeRoom lets go what is too old and what is too much, before a sample is written.
func (r *Recorder) makeRoom() error {
	if err := r.trimLog(); err != nil {
		return err
	}
	if time.Since(r.bounds.aged) >= time.Minute {
		r.bounds.aged = time.Now()
		if err := r.expire(time.Now().Add(-r.options.Keep)); err != nil {
			return err
		}
	}
	pages, used, err := r.pages()
	if err != nil {
		return err
	}
	for used > r.bounds.maxPages*9/10 {
		more, err := r.dropOldest()
		if err != nil {
			return err
		}
		before := used
		if pages, used, err = r.pages(); err != nil {
			return err
		}
		if !more && used >= before {
			break
		}
	}
	// Pages that are free are used again; too many of them are given back.
	if free := pages - used; pages > r.bounds.maxPages || free > 1024 && free > pages/4 {
		n := max(256, pages-r.bounds.maxPages)
		if err := r.drain(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", n)); err != nil {
			return err
		}
		if err := r.pragmas("wal_checkpoint(passive)", fmt.Sprintf("max_page_count = %d", r.bounds.maxPages)); err != nil {
			return err
		}
	}
	return nil
}

// pages returns how many pages the file has, and how many of them are in use.
func (r *Recorder) pages() (all, used int64, err error) {
	all, err = r.number("PRAGMA page_count")
	if err != nil {
		return 0, 0, err
	}
	free, err := r.number("PRAGMA freelist_count")
	return all, all - free, err
}

// trimLog empties a log that has grown beyond half of its room. SQLite begins it anew
// by itself unless somebody reads all the time.
func (r *Recorder) trimLog() error {
	n, err := r.logSize()
	if err != nil || n <= r.bounds.log/2 {
		return err
	}
	if err := r.pragmas("wal_checkpoint(truncate)"); err != nil {
		return err
	}
	if n, err = r.logSize(); err != nil || n <= r.bounds.log*3/4 {
		return err
	}
	return fmt.Errorf("%w within the bound of %d MiB: somebody has been reading %s for long, so its log cannot be emptied",
		ErrNoRoom, r.options.MaxSize>>20, r.path)
}

// expire lets go what is older than a time. At most a few hours at once: a clock that
// was wrong for a moment must not cost the whole record.
func (r *Recorder) expire(before time.Time) error {
	const atOnce = 12
	for range atOnce {
		// The oldest span goes when the one after it has begun before that time.
		var next int64
		err := r.conn.QueryRowContext(ctx, "SELECT coalesce(min(id), 0) FROM sample WHERE whole AND id > (SELECT min(id) FROM sample) AND time <= ?", before.UnixMilli()).Scan(&next)
		if err != nil || next == 0 {
			return err
		}
		if err := r.dropBefore(next); err != nil {
			return err
		}
	}
	return nil
}

// dropOldest lets go the samples before the second whole one. It reports whether
// there was one; else the next sample is made whole, and the rest can go then.
func (r *Recorder) dropOldest() (bool, error) {
	next, err := r.number("SELECT coalesce(min(id), 0) FROM sample WHERE whole AND id > (SELECT min(id) FROM sample)")
	if err != nil {
		return false, err
	}
	if next == 0 {
		r.known.forget()
		return false, r.dropBefore(r.last + 1)
	}
	return true, r.dropBefore(next)
}

// dropBefore lets go what belongs to samples before this one, and what only they
// named. That the one that stays is whole makes it complete.
func (r *Recorder) dropBefore(id int64) error {
	return r.transaction(func() error {
		for _, q := range []string{
			"DELETE FROM pool_sample WHERE sample < ?", "DELETE FROM holder_sample WHERE sample < ?",
			"DELETE FROM netns_sample WHERE sample < ?", "DELETE FROM setting WHERE sample < ?",
			"DELETE FROM refusal WHERE sample < ?", "DELETE FROM finding_sample WHERE sample < ?",
			"DELETE FROM event WHERE sample < ?", "DELETE FROM sample WHERE id < ?",
		} {
			if _, err := r.conn.ExecContext(ctx, q, id); err != nil {
				return err
			}
		}
		return r.sweep(id)
	})
}

// sweep lets go of names that nothing refers to. Those of pools are found by
// themselves; for the others all that refers to them is read, so that is done when
// many may have come together.
func (r *Recorder) sweep(id int64) error {
	if _, err := r.conn.ExecContext(ctx, "DELETE FROM pool WHERE ended > 0 AND ended < ?", id); err != nil {
		return err
	}
	const bytesPerProcess = 200
	if r.bounds.processes < max(2048, int(r.options.MaxSize/64/bytesPerProcess)) {
		return nil
	}
	r.bounds.processes = 0
	clear(r.known.processes)
	for _, q := range []string{
		"DELETE FROM process WHERE id NOT IN (SELECT process FROM holder_sample UNION SELECT process FROM refusal)",
		"DELETE FROM netns WHERE id NOT IN (SELECT netns FROM netns_sample UNION SELECT netns FROM pool)",
		"DELETE FROM run WHERE id NOT IN (SELECT run FROM sample) AND id < (SELECT max(id) FROM run)",
	} {
		if _, err := r.conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
