package record

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// A Record is open to be read. It may be written meanwhile: what is read is what had
// been appended when it was opened.
type Record struct {
	path string
	db   *sql.DB
	conn *sql.Conn

	names    map[int64]named   // of namespaces, by their row
	process  map[int64]Process // by row
	poolRows map[int64]poolName
}

type named struct {
	inode uint64
	label string
}

// poolName is a row of pool.
type poolName struct {
	netns           int64
	proto, src, dst string
	ifindex         uint32
}

// key reads the name of a pool.
func (n *poolName) key() (pool.Key, error) {
	k := pool.Key{Proto: socket.TCP, Ifindex: n.ifindex}
	if n.proto == socket.UDP.String() {
		k.Proto = socket.UDP
	}
	var err error
	if k.Src, err = netip.ParseAddr(n.src); err != nil {
		return k, err
	}
	if n.dst != "*" {
		k.Dst, err = netip.ParseAddrPort(n.dst)
	}
	return k, err
}

// Open opens a record to read.
func Open(path string) (*Record, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	r, err := open(path, "mode=ro")
	if err == nil {
		return r, nil
	}
	// Where not even the log's index may be written, a file without a log is read as
	// it is.
	if i, err2 := os.Stat(path + "-wal"); errors.Is(err2, os.ErrNotExist) || err2 == nil && i.Size() == 0 {
		if r, err := open(path, "mode=ro&immutable=1"); err == nil {
			return r, nil
		}
	}
	return nil, fmt.Errorf("read the record %s: %w", path, explain(err))
}

func open(path, mode string) (*Record, error) {
	db, conn, err := connect(path, mode, "busy_timeout(2000)", "cache_size(-8192)", "temp_store(memory)")
	if err != nil {
		return nil, err
	}
	r := &Record{path: path, db: db, conn: conn}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// begin takes the snapshot that everything is read from, and the names.
func (r *Record) begin() error {
	if _, err := r.conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return err
	}
	fresh, err := checkVersion(r.conn)
	if err != nil {
		return err
	}
	if fresh {
		return fmt.Errorf("%w: it is empty", ErrNoRecord)
	}
	r.names, r.process, r.poolRows = make(map[int64]named), make(map[int64]Process), make(map[int64]poolName)
	if err := r.each("SELECT id, inode, label FROM netns", func(row *sql.Rows) error {
		var id, inode int64
		var label string
		err := row.Scan(&id, &inode, &label)
		r.names[id] = named{uint64(inode), label}
		return err
	}); err != nil {
		return err
	}
	if err := r.each("SELECT id, pid, command, cgroup FROM process", func(row *sql.Rows) error {
		var id int64
		var p Process
		err := row.Scan(&id, &p.PID, &p.Command, &p.Cgroup)
		r.process[id] = p
		return err
	}); err != nil {
		return err
	}
	return r.each("SELECT id, netns, proto, src, dst, ifindex FROM pool", func(row *sql.Rows) error {
		var id int64
		var n poolName
		err := row.Scan(&id, &n.netns, &n.proto, &n.src, &n.dst, &n.ifindex)
		r.poolRows[id] = n
		return err
	})
}

// each calls fn for each row of an answer.
func (r *Record) each(text string, fn func(*sql.Rows) error, args ...any) error {
	rows, err := r.conn.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := fn(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Close lets the record go.
func (r *Record) Close() error { return errors.Join(r.conn.Close(), r.db.Close()) }

// Summary is what a record holds.
type Summary struct {
	First, Last  time.Time // the earliest and the latest sample; zero when there is none
	Samples      int
	Host, Kernel string // of the last run
	Bytes        int64  // of the file, without its log
}

// Summary returns what the record holds.
func (r *Record) Summary() (s Summary, err error) {
	var first, last sql.NullInt64
	if err := r.conn.QueryRowContext(ctx, "SELECT min(time), max(time), count(*) FROM sample").Scan(&first, &last, &s.Samples); err != nil {
		return s, r.failed(err)
	}
	if s.Samples > 0 {
		s.First, s.Last = time.UnixMilli(first.Int64), time.UnixMilli(last.Int64)
	}
	err = r.conn.QueryRowContext(ctx, "SELECT host, kernel FROM run ORDER BY id DESC LIMIT 1").Scan(&s.Host, &s.Kernel)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, r.failed(err)
	}
	i, err := os.Stat(r.path)
	if err != nil {
		return s, r.failed(err)
	}
	s.Bytes = i.Size()
	return s, nil
}

func (r *Record) failed(err error) error {
	return fmt.Errorf("read the record %s: %w", r.path, explain(err))
}

// poolOf returns the pool of a row.
func poolOf(k pool.Key, row *poolRow) pool.Pool {
	p := pool.Pool{
		Key: k, Range: row.rng, Capacity: row.capacity, Blocked: row.rng - row.capacity, Held: row.held, Reusable: row.reusable,
		Headroom: row.headroom, HeadroomMax: row.headroomMax, BindHeadroom: row.bind, BindHeadroomMax: row.bindMax,
		CeilingPerSecond: float64(row.ceiling) / 10, CeilingMax: float64(row.ceilingMax) / 10,
	}
	if k.Proto == socket.TCP && k.Dst.IsValid() {
		p.Knee = p.Capacity / 2
	}
	for _, reason := range strings.Fields(row.inexact) {
		p.Inexact = append(p.Inexact, pool.Reason(reason))
	}
	p.States[socket.Established], p.States[socket.TimeWait] = row.established, row.timeWait
	p.States[socket.CloseWait], p.States[socket.SynSent] = row.closeWait, row.synSent
	p.States[socket.FinWait2], p.States[socket.Closed] = row.finWait, row.other
	return p
}

// poolColumns are those of pool_sample in the order of scanPool.
const poolColumns = "sample, pool, present, range, capacity, held, reusable, headroom, headroom_max, bind, bind_max, inexact, ceiling, ceiling_max, established, time_wait, close_wait, syn_sent, fin_wait, other"

func scanPool(rows *sql.Rows) (sample, id int64, present bool, row poolRow, err error) {
	var inexact sql.NullString
	err = rows.Scan(&sample, &id, &present, &row.rng, &row.capacity, &row.held, &row.reusable, &row.headroom, &row.headroomMax,
		&row.bind, &row.bindMax, &inexact, &row.ceiling, &row.ceilingMax,
		&row.established, &row.timeWait, &row.closeWait, &row.synSent, &row.finWait, &row.other)
	row.inexact = inexact.String
	return sample, id, present, row, err
}
