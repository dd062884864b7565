package record

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

//go:embed schema.sql
var schema string

// Version is the version of the schema, PRAGMA user_version of a record. A record
// with a later one is not read.
const Version = 1

// application marks the file, PRAGMA application_id: "prrm" in ASCII.
const application = 0x7072726d

// pageSize of a record in bytes.
const pageSize = 4096

// connect opens the file and hands out its one connection.
func connect(path, mode string, pragmas ...string) (*sql.DB, *sql.Conn, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	name := filepath.ToSlash(abs)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // C:/… in a URI
	}
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	u := url.URL{Scheme: "file", Path: name, RawQuery: mode + "&" + q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, conn, nil
}

// Create opens a record to write, and makes it if there is none. Its directory must
// be there. The error is a [*BusyError] when another recorder has it.
func Create(path string, opt Options) (*Recorder, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	r := &Recorder{path: path, options: opt, lock: lock}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("record into %s: %w", path, explain(err)), r.release())
	}
	return r, nil
}

func (r *Recorder) open() error {
	// SQLite would make the file readable for everyone: it names processes.
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	r.db, r.conn, err = connect(r.path, "mode=rw",
		"busy_timeout(200)", "page_size("+strconv.Itoa(pageSize)+")", "auto_vacuum(incremental)",
		"journal_mode(wal)", "synchronous(full)", "cache_size(-2048)", "temp_store(memory)")
	if err != nil {
		return err
	}
	fresh, err := checkVersion(r.conn)
	if err != nil {
		return err
	}
	if fresh {
		err := r.transaction(func() error {
			_, err := r.conn.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", schema, application, Version))
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := r.limit(); err != nil {
		return err
	}
	if err := r.prepare(); err != nil {
		return err
	}
	return r.begin()
}

// ctx is that of statements: each ends by itself, and a sample that is half written
// helps nobody.
var ctx = context.Background()

// checkVersion reports whether the file is empty, and refuses what is no record or
// one of a later version.
func checkVersion(conn *sql.Conn) (fresh bool, err error) {
	var app, version, tables int
	for _, q := range []struct {
		text string
		to   *int
	}{
		{"PRAGMA application_id", &app}, {"PRAGMA user_version", &version}, {"SELECT count(*) FROM sqlite_schema", &tables},
	} {
		if err := conn.QueryRowContext(ctx, q.text).Scan(q.to); err != nil {
			return false, err
		}
	}
	switch {
	case tables == 0:
		return true, nil
	case app != application:
		return false, fmt.Errorf("%w: it is another SQLite database", ErrNoRecord)
	case version > Version:
		return false, fmt.Errorf("its schema is version %d and this portroom knows %d: a later portroom wrote it", version, Version)
	}
	return false, nil
}

// explain puts into words what SQLite says of a file that is none of its own or
// damaged, or of a full disk.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: not an SQLite database", ErrNoRecord)
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("the file is damaged; move it away to begin a new one (%w)", err)
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w (%w)", ErrNoRoom, err)
	case lib.SQLITE_IOERR:
		// Where a disk is full some file systems say so only when a file is synced or
		// its shared memory grows.
		switch e.Code() {
		case lib.SQLITE_IOERR_WRITE, lib.SQLITE_IOERR_FSYNC, lib.SQLITE_IOERR_SHMSIZE, lib.SQLITE_IOERR_SHMMAP, lib.SQLITE_IOERR_TRUNCATE:
			return fmt.Errorf("%w, or the disk is failing (%w)", ErrNoRoom, err)
		}
	case lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return err
}
