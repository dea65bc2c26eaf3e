package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// removeRows is how many exchanges are removed in one transaction: traffic waits no longer than for that.
const removeRows = 500

// Delete removes the exchanges that match, but for those that still run. It returns how many.
func (s *Store) Delete(ctx context.Context, f *filter.Filter) (int64, error) {
	return s.remove(ctx, f, s.ids.Load(), "")
}

// Windows of ids that removals go through.
const (
	leastRemoved = 1 << 13
	mostRemoved  = 1 << 20
)

// remove removes what matches, of what was recorded up to now with ids up to one, and of that only what a further
// condition is true of. It goes through windows of ids, so that what finds candidates is asked once for each, wider ones
// where there is little to be found.
func (s *Store) remove(ctx context.Context, f *filter.Filter, upTo int64, further string) (removed int64, err error) {
	if err := s.Flush(ctx); err != nil && !s.health.failing() {
		return 0, err
	}
	first, err := s.ids64(ctx, "SELECT id FROM exchanges ORDER BY id LIMIT 1", nil)
	if err != nil || len(first) == 0 {
		return 0, err
	}
	now := time.Now()
	for lo, width := first[0], int64(leastRemoved); lo <= upTo; {
		hi := min(lo+width-1, upTo)
		var ids []int64
		err := s.pool.use(ctx, func(c *conn) (err error) {
			sel := s.selection(f, bodySearch{s.index, lo, hi, heads(c, s.index != nil), ctx}, now)
			where := append([]string{"x.id >= ?", "x.id <= ?", "x.state <> 'open'"}, sel.where...)
			if further != "" {
				where = append(where, further)
			}
			ids, err = c.integers(ctx, "SELECT x.id FROM "+sel.from+clause(where)+" ORDER BY x.id", append([]any{lo, hi}, sel.args...)...)
			return err
		})
		if err != nil {
			return removed, err
		}
		for some := range slices.Chunk(ids, removeRows) {
			n, err := s.removeIDs(ctx, some)
			removed += n
			if err != nil {
				return removed, err
			}
		}
		lo = hi + 1
		if len(ids) < leastRemoved/4 {
			width = min(2*width, mostRemoved)
		} else {
			width = leastRemoved
		}
	}
	return removed, nil
}

// ids64 reads a column of numbers.
func (s *Store) ids64(ctx context.Context, sql string, args []any) (ids []int64, err error) {
	err = s.pool.use(ctx, func(c *conn) (err error) {
		ids, err = c.integers(ctx, sql, args...)
		return err
	})
	return ids, err
}

func (c *conn) integers(ctx context.Context, sql string, args ...any) (numbers []int64, err error) {
	var dest [1]driver.Value
	err = c.each(ctx, sql, named(args), dest[:], func() error {
		numbers = append(numbers, asInt(dest[0]))
		return nil
	})
	return numbers, err
}

// removeIDs removes exchanges with all that belongs to them, in one transaction.
func (s *Store) removeIDs(ctx context.Context, ids []int64) (int64, error) {
	var removed []int64
	var unused []digest
	err := s.do(ctx, &task{
		run: func(w *writer) (_ []int64, err error) {
			removed, unused, err = w.remove(ids)
			return removed, err
		},
		after: func() {
			s.count.Add(-int64(len(removed)))
			if s.index != nil {
				s.index.forget(removed)
			}
			for _, d := range unused {
				if err := remove(s.files.path(d)); err != nil {
					s.health.body(err)
				}
			}
		},
	})
	if err != nil {
		return 0, err
	}
	return int64(len(removed)), nil
}

// remove removes rows, and returns which there were and which files nobody names any more.
func (w *writer) remove(ids []int64) (removed []int64, unused []digest, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	const these = " IN (SELECT value FROM json_each(?))"
	var dest [1]driver.Value
	err = w.conn.each(ctx, "DELETE FROM exchanges WHERE id"+these+" AND state <> 'open' RETURNING id", named([]any{string(list)}), dest[:], func() error {
		removed = append(removed, asInt(dest[0]))
		return nil
	})
	if err != nil || len(removed) == 0 {
		return nil, nil, err
	}
	if list, err = json.Marshal(removed); err != nil {
		return nil, nil, err
	}
	refs := make(map[digest]int64)
	for _, column := range []string{"req_file FROM details WHERE id", "resp_file FROM details WHERE id", "file FROM messages WHERE exchange"} {
		err := w.conn.each(ctx, "SELECT "+column+these, named([]any{string(list)}), dest[:], func() error {
			if hash := asBytes(dest[0]); len(hash) == len(digest{}) {
				refs[digest(hash)]++
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	for _, sql := range []string{"DELETE FROM details WHERE id", "DELETE FROM messages WHERE exchange"} {
		if err := w.conn.exec(sql+these, string(list)); err != nil {
			return nil, nil, err
		}
	}
	for d, n := range refs {
		left, err := w.conn.integer(ctx, "UPDATE files SET refs = refs - ? WHERE hash = ? RETURNING refs", n, d[:])
		if err != nil {
			return nil, nil, err
		}
		if left <= 0 {
			if err := w.conn.exec("DELETE FROM files WHERE hash = ?", d[:]); err != nil {
				return nil, nil, err
			}
			unused = append(unused, d)
		}
	}
	if len(removed) > 0 {
		// Receipts are few and shared; they go when nothing is left to share them.
		if left, err := w.conn.integer(ctx, "SELECT EXISTS (SELECT 1 FROM exchanges)"); err != nil {
			return nil, nil, err
		} else if left == 0 {
			w.receipts.forget()
			if err := w.conn.exec("DELETE FROM receipts"); err != nil {
				return nil, nil, err
			}
		}
	}
	return removed, unused, nil
}

// Prune says what is to go. Age and size take the oldest first and spare what is marked; a filter takes what it names.
// The zero value stands for the retention.
type Prune struct {
	Filter    *filter.Filter // nil: all
	OlderThan time.Duration  // 0: of any age
	MaxSize   int64          // 0: whatever the size; else until the store is no larger
}

// PruneResult says what went.
type PruneResult struct {
	Exchanges int64
	// Bytes is what was given back to the disk.
	Bytes int64
}

func empty(f *filter.Filter) bool { return f == nil || f.Empty() }

// Prune removes exchanges and gives their space back to the disk.
func (s *Store) Prune(ctx context.Context, p Prune) (PruneResult, error) {
	var result PruneResult
	before, err := s.size(ctx)
	if err != nil {
		return result, err
	}
	if empty(p.Filter) && p.OlderThan <= 0 && p.MaxSize <= 0 {
		r := s.retention.Load()
		p.OlderThan, p.MaxSize = r.MaxAge, r.MaxSize
	}
	if !empty(p.Filter) || p.OlderThan > 0 {
		n, err := s.pruneAge(ctx, p.Filter, p.OlderThan)
		result.Exchanges += n
		if err != nil {
			return result, err
		}
	}
	if p.MaxSize > 0 {
		n, err := s.pruneSize(ctx, p.MaxSize)
		result.Exchanges += n
		if err != nil {
			return result, err
		}
	}
	if err := s.vacuum(ctx, 0); err != nil {
		return result, err
	}
	after, err := s.size(ctx)
	result.Bytes = max(before.total()-after.total(), 0)
	return result, err
}

// pruneAge removes what matches and was recorded longer ago than age. The age of what was imported is that of what was
// recorded after it.
func (s *Store) pruneAge(ctx context.Context, f *filter.Filter, age time.Duration) (int64, error) {
	upTo, further := s.ids.Load(), ""
	if age > 0 {
		var boundary int64
		since := time.Now().Add(-age).UnixMicro()
		err := s.pool.use(ctx, func(c *conn) error {
			var dest [3]driver.Value
			return c.each(ctx, "SELECT id, source, started FROM exchanges ORDER BY id", nil, dest[:], func() error {
				if asString(dest[1]) == string(capture.SourceImport) {
					return nil
				}
				if asInt(dest[2]) >= since {
					return errStop
				}
				boundary = asInt(dest[0])
				return nil
			})
		})
		if err != nil || boundary == 0 {
			return 0, err
		}
		upTo = boundary
		if empty(f) {
			further = "x.mark IS NULL"
		}
	}
	return s.remove(ctx, f, upTo, further)
}

// pruneSize removes the oldest unmarked exchanges until the store is no larger than limit.
func (s *Store) pruneSize(ctx context.Context, limit int64) (int64, error) {
	removed := int64(0)
	for {
		size, err := s.size(ctx)
		if err != nil {
			return removed, err
		}
		over := size.used() - limit
		if over <= 0 {
			return removed, nil
		}
		// As many as should do, going by the average, but never more at a time than traffic can wait for.
		n := min(over/max(size.used()/max(s.count.Load(), 1), 1)+1, removeRows)
		ids, err := s.ids64(ctx, "SELECT id FROM exchanges WHERE mark IS NULL AND state <> 'open' ORDER BY id LIMIT ?", []any{n})
		if err != nil || len(ids) == 0 {
			return removed, err
		}
		n, err = s.removeIDs(ctx, ids)
		removed += n
		if err != nil {
			return removed, err
		}
	}
}

// storeSize is what a store takes on the disk.
type storeSize struct {
	database, free, bodies, files int64
}

func (z storeSize) total() int64 { return z.database + z.bodies }
func (z storeSize) used() int64  { return z.database - z.free + z.bodies }

func (s *Store) size(ctx context.Context) (z storeSize, err error) {
	err = s.pool.use(ctx, func(c *conn) error {
		var dest [4]driver.Value
		err := c.row(ctx, `SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size),
			(SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size),
			(SELECT coalesce(sum(size), 0) FROM files), (SELECT count(*) FROM files)`, nil, dest[:])
		z = storeSize{asInt(dest[0]), asInt(dest[1]), asInt(dest[2]), asInt(dest[3])}
		return err
	})
	return z, err
}

// vacuumPages is how many pages are given back at a time.
const vacuumPages = 500

// vacuum gives free pages of the database back to the disk, all but spare bytes.
func (s *Store) vacuum(ctx context.Context, spare int64) error {
	for {
		size, err := s.size(ctx)
		if err != nil {
			return err
		}
		if size.free <= spare {
			break
		}
		err = s.do(ctx, &task{outside: true, run: func(w *writer) ([]int64, error) {
			return nil, w.conn.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
		}})
		if err != nil {
			return err
		}
	}
	// The file itself shrinks when the log is brought into it, all of it, which readers may be in the way of.
	for range 20 {
		var whole bool
		err := s.do(ctx, &task{outside: true, run: func(w *writer) ([]int64, error) {
			var dest [3]driver.Value // busy, pages in the log, pages brought over
			err := w.conn.row(ctx, "PRAGMA wal_checkpoint(PASSIVE)", nil, dest[:])
			whole = asInt(dest[1]) == asInt(dest[2])
			return nil, err
		}})
		if err != nil || whole {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// Annotate sets an exchange's mark and comment, where they are given.
func (s *Store) Annotate(ctx context.Context, id int64, mark, comment *string) error {
	if r := s.open.get(id); r != nil {
		r.Update(func(x *capture.Exchange) {
			if mark != nil {
				x.Mark = *mark
			}
			if comment != nil {
				x.Comment = *comment
			}
		})
		r.settle()
	}
	return s.do(ctx, &task{run: func(w *writer) ([]int64, error) { return nil, w.annotate(id, mark, comment) }})
}

func (w *writer) annotate(id int64, mark, comment *string) error {
	for _, set := range []struct {
		column string
		value  *string
	}{{"mark", mark}, {"comment", comment}} {
		if set.value != nil {
			if err := w.conn.exec("UPDATE exchanges SET "+set.column+" = ? WHERE id = ?", text(new(any), *set.value), id); err != nil {
				return err
			}
		}
	}
	return w.republish(id)
}

// republish gives an exchange that was changed in its row a new revision.
func (w *writer) republish(id int64) error {
	w.seq++
	if err := w.conn.exec("UPDATE exchanges SET seq = ? WHERE id = ?", w.seq, id); err != nil {
		return err
	}
	dest := make([]driver.Value, summaryWidth+detailWidth)
	err := w.conn.row(context.Background(), selectWhole+" WHERE x.id = ?", []any{id}, dest)
	if err == io.EOF {
		return capture.ErrNotFound
	}
	if err != nil {
		return err
	}
	x := decodeSummary(dest)
	if err := decodeDetails(x, dest[summaryWidth:]); err != nil {
		return err
	}
	w.published = append(w.published, capture.Change{Seq: w.seq, Exchange: x})
	w.sizes = append(w.sizes, 4*rowOverhead)
	return nil
}

// Stats are a store's figures.
type Stats struct {
	Exchanges int64 `json:"exchanges"`
	Open      int64 `json:"open"`
	Seq       int64 `json:"seq"`
	// Queued is what waits for the writer.
	Queued      int64 `json:"queued"`
	QueuedBytes int64 `json:"queuedBytes"`
	// DatabaseBytes is the database's size, FreeBytes what of it is not used; BodyBytes and BodyFiles are bodies that are
	// files.
	DatabaseBytes int64 `json:"databaseBytes"`
	FreeBytes     int64 `json:"freeBytes"`
	BodyBytes     int64 `json:"bodyBytes"`
	BodyFiles     int64 `json:"bodyFiles"`
	// FullText says whether texts of bodies are indexed; Unindexed counts the revisions that still have to be.
	FullText  bool  `json:"fullText"`
	Unindexed int64 `json:"unindexed"`
	// SQLite is the version that is compiled in.
	SQLite string `json:"sqlite"`
}

// Stats returns the store's figures.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	size, err := s.size(ctx)
	stats := Stats{Exchanges: s.count.Load(), Open: s.open.n.Load(), Seq: s.Seq(), Queued: int64(s.queue.len()), QueuedBytes: s.queue.bytes.Load(),
		DatabaseBytes: size.database, FreeBytes: size.free, BodyBytes: size.bodies, BodyFiles: size.files, SQLite: sqliteVersion()}
	if s.index != nil {
		stats.FullText, stats.Unindexed = true, max(stats.Seq-s.index.cursor.Load(), 0)
	}
	return stats, err
}
