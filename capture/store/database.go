package store

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"eaves/capture"
	"eaves/migrations"
)

// applicationID marks a database as eaves's own: "eavs".
const applicationID = 0x65617673

// OpenError says why a database cannot be used, and what to do next.
type OpenError struct {
	Path    string
	Message string
	Hint    string
	Err     error
}

func (e *OpenError) Error() string { return "opening " + e.Path + ": " + e.Message }
func (e *OpenError) Unwrap() error { return e.Err }

// opening names the database in an error.
func opening(path string, err error) error {
	var o *OpenError
	if errors.As(err, &o) {
		return err
	}
	message, hint := explain(err)
	if classify(err) == troubleCorrupt {
		hint = moveAway(path)
	}
	return &OpenError{path, message, hint, err}
}

// openDatabase opens the database for writing, made or brought to the present schema.
func openDatabase(ctx context.Context, path string) (*conn, error) {
	if err := precheck(path); err != nil {
		return nil, err
	}
	steps, err := migrations.Steps()
	if err != nil {
		return nil, err
	}
	c, err := newConn(openConn(dsn(path, "_busy_timeout=5000&_txlock=immediate"), nil))
	if err != nil {
		return nil, opening(path, err)
	}
	// Before anything is changed.
	version, err := schemaVersion(ctx, c, path, len(steps))
	if err == nil && version == 0 {
		err = c.set(fmt.Sprintf("page_size = %d", pageSize), "auto_vacuum = INCREMENTAL")
	}
	if err == nil {
		err = c.set("journal_mode = WAL", "synchronous = NORMAL", "temp_store = MEMORY", "cache_size = -4096", "wal_autocheckpoint = 0", "journal_size_limit = 67108864")
	}
	if err == nil && version < len(steps) {
		err = migrate(c, path, version, steps)
	}
	if err == nil && version == 0 {
		err = c.exec("INSERT INTO store (key, value) VALUES ('id', ?)", newID())
	}
	if err != nil {
		c.Close()
		return nil, opening(path, err)
	}
	// The database is the user's alone, whatever the umask.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Chmod(path+suffix, 0o600)
	}
	return c, nil
}

// precheck refuses what SQLite would take for an empty database, or would find damaged only later.
func precheck(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return opening(path, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return opening(path, err)
	}
	if fi.Size() == 0 {
		return nil
	}
	var head [100]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:16]) != "SQLite format 3\x00" {
		return &OpenError{path, "this is no SQLite database", moveAway(path), err}
	}
	// The header says how many pages there are. As long as there is a log, some may be only there.
	size := int64(binary.BigEndian.Uint16(head[16:]))
	if size == 1 {
		size = 65536
	}
	log, err := os.Stat(path + "-wal")
	if pages := int64(binary.BigEndian.Uint32(head[28:])); pages*size > fi.Size() && (err != nil || log.Size() == 0) {
		return &OpenError{path, fmt.Sprintf("the database is damaged: it has %d bytes of %d", fi.Size(), pages*size), moveAway(path), nil}
	}
	return nil
}

func moveAway(path string) string {
	return fmt.Sprintf("mv %s %s-damaged; eaves then starts with an empty one", path, path)
}

// script runs statements that return nothing.
func (c *conn) script(sql string) error {
	e, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return errors.New("the SQLite driver has no ExecContext")
	}
	_, err := e.ExecContext(context.Background(), sql, nil)
	return err
}

// set runs pragmas.
func (c *conn) set(pragmas ...string) error {
	for _, p := range pragmas {
		if err := c.exec("PRAGMA " + p); err != nil {
			return err
		}
	}
	return nil
}

// schemaVersion is the version of the database's schema, 0 where it is empty. It refuses databases that are not eaves's,
// or of a later version than the latest known.
func schemaVersion(ctx context.Context, c *conn, path string, latest int) (int, error) {
	var numbers [3]int64
	for i, sql := range []string{"PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema"} {
		n, err := c.integer(ctx, sql)
		if err != nil {
			return 0, err
		}
		numbers[i] = n
	}
	version, application, tables := int(numbers[0]), numbers[1], numbers[2]
	switch {
	case tables > 0 && application != applicationID:
		return 0, &OpenError{path, "this is a database of another program", "give another directory with --data", nil}
	case version > latest:
		return 0, &OpenError{path, fmt.Sprintf("it was made by a newer eaves (schema %d; this one knows %d)", version, latest), "upgrade eaves, or give another directory with --data", nil}
	case tables == 0:
		return 0, nil
	}
	return version, nil
}

// migrate brings the schema forward, all steps in one transaction, after a copy of the database was made.
func migrate(c *conn, path string, version int, steps []migrations.Step) error {
	if version > 0 {
		backup := fmt.Sprintf("%s.v%d.bak", path, version)
		if _, err := os.Stat(backup); err == nil {
			backup = fmt.Sprintf("%s.v%d.%d.bak", path, version, time.Now().Unix())
		}
		if err := c.exec("VACUUM INTO ?", backup); err != nil {
			message, hint := explain(err)
			return &OpenError{path, "the copy before migrating could not be made: " + message, hint, err}
		}
	}
	sql := "BEGIN IMMEDIATE;\n"
	for _, step := range steps[version:] {
		sql += step.SQL + "\n;"
	}
	sql += fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", applicationID, len(steps))
	if err := c.script(sql); err != nil {
		c.script("ROLLBACK")
		return fmt.Errorf("migrating from schema %d to %d: %w", version, len(steps), err)
	}
	return nil
}

// newID returns a random UUID (RFC 9562, 5.4).
func newID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// endInterrupted marks what an earlier run left open.
func (w *writer) endInterrupted(ctx context.Context) error {
	var ids []int64
	var dest [1]driver.Value
	err := w.conn.each(ctx, "SELECT id FROM exchanges WHERE state = 'open' ORDER BY id", nil, dest[:], func() error {
		ids = append(ids, asInt(dest[0]))
		return nil
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := w.begin.run(); err != nil {
		return err
	}
	seq := w.store.seq
	update, err := w.conn.prepare("UPDATE exchanges SET seq = ?, state = ?, error_stage = coalesce(error_stage, ?), error = coalesce(error, ?) WHERE id = ?")
	for _, id := range ids {
		if err != nil {
			break
		}
		seq++
		err = update.with(seq, string(capture.StateFailed), string(StageEaves), interruptedMessage, id)
	}
	update.finalize()
	if err == nil {
		err = w.commit.run()
	}
	if err != nil {
		w.rollback.run()
		return err
	}
	w.store.seq, w.saved = seq, seq
	return nil
}

// close closes the connection.
func (w *writer) close() error {
	for _, st := range w.statements {
		st.finalize()
	}
	if w.tail != nil {
		w.tail.shut()
	}
	return w.conn.Close()
}
