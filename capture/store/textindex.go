package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture/filter"
)

const (
	// indexVersion is raised when what is indexed, or how, changes: the index is then made anew.
	indexVersion = 2
	// indexedText is how much of one body's text is indexed. Bodies with more are always looked into.
	indexedText = 1 << 20
	// indexSlice is how long the indexer works before it looks whether it should rest, indexBatch for how long it
	// gathers before it commits.
	indexSlice = 2 * time.Millisecond
	indexBatch = 500 * time.Millisecond
	// indexRows and indexBytes are how much it reads at a time.
	indexRows  = 100
	indexBytes = 1 << 20
	// busyRows is from how many rows in a sweep on there is traffic.
	busyRows = 50
	// grams is how many trigrams of a needle are asked for at most.
	grams = 12
)

// textIndex finds exchanges whose bodies may contain a text. It is a database of its own, search.db: it can be made anew
// at any time, its writer is not in the way of the other, and whoever opens eaves.db with a SQLite of their own needs no
// FTS5 for it.
//
// It holds the trigrams of each exchange's text, without their positions: what it finds is looked into before it counts
// as found. So the index may say too much, but never too little; what it has not seen yet is looked into as well. The same
// goes for the heads of exchanges (see knownTerms).
type textIndex struct {
	store *Store
	path  string
	conn  *conn
	begin, commit, rollback, insert,
	remove, note, setState, insertHead, removeHead *statement
	statements []*statement // all of them

	wake    chan struct{}
	done    chan struct{}
	mu      sync.Mutex
	removed []int64
	cursor  atomic.Int64 // everything up to this seq has been indexed

	// What follows is the indexer's.
	known knownTerms
	load  load
	terms []string
	// Up to these ids there may be texts and heads in the index.
	lastText, lastHead int64
}

// openTextIndex opens or makes the index; nil where SQLite has no FTS5, or the index cannot be had.
func (s *Store) openTextIndex(ctx context.Context) (*textIndex, error) {
	if !hasFTS5(ctx, s.writer.conn) {
		return nil, nil
	}
	x := &textIndex{store: s, path: filepath.Join(s.cfg.Dir, "search.db"), wake: make(chan struct{}, 1), done: make(chan struct{})}
	err := x.open(ctx)
	if err != nil && classify(err) == troubleCorrupt {
		// Nothing in it is not in eaves.db.
		err = x.startOver(ctx)
	}
	if err != nil {
		x.close()
		return nil, fmt.Errorf("opening the text index: %w", err)
	}
	return x, nil
}

func hasFTS5(ctx context.Context, c *conn) bool {
	n, err := c.integer(ctx, "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'")
	return err == nil && n > 0
}

const indexSchema = `
	CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS partial (id INTEGER PRIMARY KEY) STRICT;
	CREATE VIRTUAL TABLE IF NOT EXISTS text USING fts5 (body, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram case_sensitive 1');
	CREATE VIRTUAL TABLE IF NOT EXISTS head USING fts5 (terms, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram case_sensitive 1');
`

func (x *textIndex) open(ctx context.Context) error {
	c, err := newConn(openConn(dsn(x.path, "_busy_timeout=5000&_txlock=immediate&_stmt_cache_size=16"), nil,
		"PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -4096", "PRAGMA journal_size_limit = 16777216"))
	if err != nil {
		return err
	}
	x.conn = c
	if err := c.script(indexSchema); err != nil {
		return err
	}
	for sql, into := range map[string]**statement{
		"BEGIN IMMEDIATE": &x.begin, "COMMIT": &x.commit, "ROLLBACK": &x.rollback,
		"INSERT INTO text (rowid, body) VALUES (?, ?)":                                                        &x.insert,
		"DELETE FROM text WHERE rowid = ?":                                                                    &x.remove,
		"INSERT OR IGNORE INTO partial (id) VALUES (?)":                                                       &x.note,
		"INSERT INTO head (rowid, terms) VALUES (?, ?)":                                                       &x.insertHead,
		"DELETE FROM head WHERE rowid = ?":                                                                    &x.removeHead,
		"INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value": &x.setState,
	} {
		if *into, err = c.prepare(sql); err != nil {
			return err
		}
		x.statements = append(x.statements, *into)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Chmod(x.path+suffix, 0o600)
	}
	var dest [1]driver.Value
	want := fmt.Sprint(indexVersion, " ", x.store.id)
	err = c.row(ctx, "SELECT value FROM state WHERE key = 'of'", nil, dest[:])
	if err != nil && err != io.EOF {
		return err
	}
	if asString(dest[0]) != want {
		// New, or of another store or another eaves.
		if err := x.clear(); err != nil {
			return err
		}
		return x.setState.with("of", want)
	}
	for sql, into := range map[string]*int64{"SELECT max(id) FROM text_docsize": &x.lastText, "SELECT max(id) FROM head_docsize": &x.lastHead} {
		if *into, err = c.integer(ctx, sql); err != nil {
			return err
		}
	}
	cursor, err := c.integer(ctx, "SELECT value FROM state WHERE key = 'cursor'")
	x.cursor.Store(cursor)
	return err
}

// clear empties the index.
func (x *textIndex) clear() error {
	x.known.forget()
	err := x.conn.script("INSERT INTO text (text) VALUES ('delete-all'); INSERT INTO head (head) VALUES ('delete-all'); DELETE FROM partial;")
	if err == nil {
		err = x.setState.with("cursor", int64(0))
	}
	if err == nil {
		x.cursor.Store(0)
		err = x.conn.exec("PRAGMA incremental_vacuum")
	}
	return err
}

// startOver makes the index anew in an empty file.
func (x *textIndex) startOver(ctx context.Context) error {
	x.close()
	x.known.forget()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := remove(x.path + suffix); err != nil {
			return err
		}
	}
	return x.open(ctx)
}

func (x *textIndex) close() {
	for _, st := range x.statements {
		st.finalize()
	}
	x.statements = nil
	if x.conn != nil {
		x.conn.Close()
		x.conn = nil
	}
}

// forget has the index drop exchanges that were removed. What it does not drop does no harm but for its space.
func (x *textIndex) forget(ids []int64) {
	x.mu.Lock()
	x.removed = append(x.removed, ids...)
	x.mu.Unlock()
}

// forgetOld forgets what was removed while the index was not told: an earlier run was killed in between.
func (x *textIndex) forgetOld(ctx context.Context) {
	least, err := x.store.ids64(ctx, "SELECT min(id) FROM exchanges", nil)
	if err != nil || len(least) == 0 {
		return
	}
	var old []int64
	for _, of := range []string{"text", "head"} {
		ids, _ := x.conn.integers(ctx, "SELECT id FROM "+of+"_docsize WHERE id < ? LIMIT 1000000", least[0])
		old = append(old, ids...)
	}
	x.forget(old)
}

// run is the indexer's goroutine.
func (x *textIndex) run(ctx context.Context) {
	yielding()
	defer close(x.done)
	defer x.close()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	x.forgetOld(ctx)
	for {
		worked, err := x.batch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// The store says what is wrong with the disk; what is not indexed is scanned.
			if classify(err) == troubleCorrupt {
				err = x.startOver(ctx)
			}
			worked = false
		}
		if worked && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// batch indexes for a while, in one transaction. It returns whether there may be more.
func (x *textIndex) batch(ctx context.Context) (worked bool, err error) {
	x.mu.Lock()
	removed := x.removed
	x.removed = nil
	x.mu.Unlock()
	from := x.cursor.Load()
	if len(removed) == 0 && x.store.Seq() == from {
		return false, nil
	}
	if x.store.counted.Load() && x.store.count.Load() == 0 && len(removed) > 0 {
		return false, x.clear()
	}
	if err := x.begin.run(); err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			x.rollback.run()
			x.known.forget()
		}
	}()
	pace := newPace(ctx, x.store, &x.load)
	for _, id := range removed {
		if err := x.drop(id); err != nil {
			return false, err
		}
		pace.rest()
	}
	if err := x.forgetHeads(ctx, removed, func() { pace.rest() }); err != nil {
		return false, err
	}
	cursor, more := from, true
	for more {
		upTo := x.store.Seq()
		rows, err := x.read(ctx, indexColumns, "x.seq > ? ORDER BY x.seq LIMIT ?", cursor, indexRows)
		if err != nil {
			return false, err
		}
		if len(rows) == 0 {
			// The last revisions were removals and messages.
			cursor, more = max(cursor, upTo), false
		}
		for _, row := range rows {
			// One that runs is indexed when it has ended, which is another revision.
			if asString(row[2]) != "open" {
				if err := x.add(asInt(row[1]), row[3:9]); err != nil {
					return false, err
				}
				if err := x.addHead(asInt(row[1]), row[3], row[6], row[9]); err != nil {
					return false, err
				}
			}
			cursor = asInt(row[0])
			if !pace.rest() {
				return true, x.keep(cursor)
			}
		}
	}
	return false, x.keep(cursor)
}

// keep commits what has been indexed.
func (x *textIndex) keep(cursor int64) error {
	if err := x.setState.with("cursor", cursor); err != nil {
		return err
	}
	if err := x.commit.run(); err != nil {
		return err
	}
	x.cursor.Store(cursor)
	return nil
}

// What is read of an exchange to index it, and to index only its head.
var (
	indexColumns = "x.seq, x.id, x.state, d.req_headers, d.req_file, d.req_body, d.resp_headers, d.resp_file, d.resp_body, " + headColumns
	headOnly     = "x.seq, x.id, x.state, d.req_headers, NULL, NULL, d.resp_headers, NULL, NULL, " + headColumns
)

// read reads exchanges to index, some of those that there are. They are few, and held in memory: whoever rests while reading
// keeps the write-ahead log from starting anew, which then grows as long as there is traffic.
func (x *textIndex) read(ctx context.Context, columns, where string, args ...any) (rows [][]driver.Value, err error) {
	began := time.Now()
	defer func() { x.load.reading += time.Since(began) }()
	err = x.store.pool.use(ctx, func(c *conn) error {
		bytes := 0
		dest := make([]driver.Value, 10)
		return c.each(ctx, "SELECT "+columns+" FROM exchanges AS x LEFT JOIN details AS d ON d.id = x.id WHERE "+where, named(args), dest, func() error {
			rows = append(rows, slices.Clone(dest))
			for _, v := range dest[3:9] {
				switch v := v.(type) {
				case []byte:
					bytes += len(v)
				case string:
					bytes += len(v)
				}
			}
			if bytes > indexBytes {
				return errStop
			}
			return nil
		})
	})
	if err != nil {
		// The other database's trouble is said elsewhere, and is no reason to make this one anew.
		return nil, fmt.Errorf("reading what is to be indexed: %v", err)
	}
	return rows, nil
}

// add indexes one exchange's bodies.
func (x *textIndex) add(id int64, v []driver.Value) error {
	var text strings.Builder
	partial := false
	for i := 0; i < len(v); i += 3 {
		t := x.store.bodyText(v[i], v[i+1], v[i+2], indexedText)
		if t == "" {
			continue
		}
		if len(t) >= indexedText/2 {
			// In UTF-8 or when folded a text may be of another length than it was.
			partial = true
		}
		t = folded(t)
		if text.Len() > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(t)
	}
	if err := x.drop(id); err != nil || text.Len() == 0 {
		return err
	}
	if partial {
		if err := x.note.with(id); err != nil {
			return err
		}
	}
	x.lastText = max(x.lastText, id)
	return x.insert.with(id, text.String())
}

// drop removes an exchange from the index if it is there.
func (x *textIndex) drop(id int64) error {
	if id > x.lastText {
		return nil
	}
	there, err := x.conn.integer(context.Background(), "SELECT 1 FROM text_docsize WHERE id = ?", id)
	if err != nil || there == 0 {
		return err
	}
	if err := x.remove.with(id); err != nil {
		return err
	}
	return x.conn.exec("DELETE FROM partial WHERE id = ?", id)
}

// folded is text as it is indexed and looked up: the tokenizer stops at a NUL.
func folded(s string) string { return strings.ReplaceAll(filter.Fold(s), "\x00", "\x01") }

// candidates is a condition on x.id that no exchange fails whose text contains the needle, folded as filters fold. It is
// limited to ids from lo to hi.
func (x *textIndex) candidates(needle string, lo, hi int64) (sql string, args []any, ok bool) {
	match := matchExpression(needle)
	if match == "" {
		return "", nil, false
	}
	return `x.id IN (SELECT rowid FROM search.text WHERE text MATCH ? AND rowid BETWEEN ? AND ?
		UNION ALL SELECT id FROM search.partial WHERE id BETWEEN ? AND ?
		UNION ALL SELECT id FROM exchanges INDEXED BY exchanges_seq WHERE seq > (SELECT coalesce((SELECT value FROM search.state WHERE key = 'cursor'), 0)) AND id BETWEEN ? AND ?)`,
		[]any{match, lo, hi, lo, hi, lo, hi}, true
}

// matchExpression asks FTS5 for trigrams of the needle, "" if it has none.
func matchExpression(needle string) string {
	runes := []rune(folded(needle))
	n := len(runes) - 2
	if n < 1 {
		return ""
	}
	seen := make(map[string]bool)
	var terms []string
	take := min(n, grams)
	for i := range take {
		// Evenly over the needle, its end included.
		at := 0
		if take > 1 {
			at = i * (n - 1) / (take - 1)
		}
		gram := string(runes[at : at+3])
		if !seen[gram] {
			seen[gram] = true
			terms = append(terms, `"`+strings.ReplaceAll(gram, `"`, `""`)+`"`)
		}
	}
	return strings.Join(terms, " AND ")
}
