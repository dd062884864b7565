package record

import (
	"database/sql"
	"errors"
)

// statements are prepared once: a sample runs them by the thousand.
type statements struct {
	sample, event, namespace, pool, holder, setting, refusal, finding *sql.Stmt
	netnsID, poolID, processID, ended                                 *sql.Stmt

	all []*sql.Stmt
}

func (r *Recorder) prepare() error {
	s := &r.stmt
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&s.sample, "INSERT INTO sample VALUES (?, ?, ?, ?, ?, ?)"},
		{&s.event, "INSERT INTO event (sample, time, kind, text) VALUES (?, ?, ?, ?)"},
		{&s.namespace, "INSERT INTO netns_sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.pool, "INSERT INTO pool_sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.holder, "INSERT INTO holder_sample VALUES (?, ?, ?, ?, ?)"},
		{&s.setting, "INSERT INTO setting VALUES (?, ?, ?, ?, ?)"},
		// Two rows of a tracer may be of one flow.
		{&s.refusal, "INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"},
		{&s.finding, "INSERT INTO finding_sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		// A row that is there is updated to what it is, to have its id returned.
		{&s.netnsID, "INSERT INTO netns (inode, label) VALUES (?, ?) ON CONFLICT DO UPDATE SET label = label RETURNING id"},
		{&s.poolID, "INSERT INTO pool (netns, proto, src, dst, ifindex) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ended = 0 RETURNING id"},
		{&s.ended, "UPDATE pool SET ended = ? WHERE id = ?"},
		{&s.processID, "INSERT INTO process (pid, command, cgroup) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET pid = pid RETURNING id"},
	} {
		var err error
		if *p.to, err = r.conn.PrepareContext(ctx, p.text); err != nil {
			return err
		}
		s.all = append(s.all, *p.to)
	}
	return nil
}

func (s *statements) close() (err error) {
	for _, stmt := range s.all {
		err = errors.Join(err, stmt.Close())
	}
	return err
}

// idOf returns the id of a row that is made if it is not there.
func (r *Recorder) idOf(stmt *sql.Stmt, key ...any) (id int64, err error) {
	err = stmt.QueryRowContext(ctx, key...).Scan(&id)
	return id, err
}
