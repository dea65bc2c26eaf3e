package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// Limits of a page.
const (
	defaultLimit = 100
	maxLimit     = 10_000
)

// Query asks for a page of exchanges: newest first, also with Before; oldest first with ByID, those after After; by
// revision with ByChange, those changed after ChangedAfter, each once and in its latest revision. After and ChangedAfter
// imply ByID and ByChange where they are not 0.
type Query struct {
	Filter *filter.Filter // nil: all
	Limit  int            // 0: 100; at most 10,000
	// Before is an id, 0: from the newest.
	Before int64

	ByID         bool
	After        int64
	ByChange     bool
	ChangedAfter int64
	// Total asks for the number of all exchanges that match, on all pages.
	Total bool
	// Sort is a column to sort by instead, the largest first unless Ascending: such a list has one page.
	Sort      Sort
	Ascending bool
}

// Sort is a column that a list can be sorted by.
type Sort string

// sorts says how lists are sorted.
var sorts = map[Sort]string{
	"started": "x.started", "took": "x.took", "size": "x.resp_size", "status": "x.status", "method": "x.method", "host": "x.host", "path": "x.path",
	"type": "x.type", "client": "x.client", "route": "x.route", "protocol": "x.proto",
}

func (q *Query) byChange() bool { return q.ByChange || q.ChangedAfter != 0 }

// Page is an answer to a Query. Total is -1 where it was not asked for.
type Page struct {
	Exchanges []*capture.Exchange // summaries
	Total     int64
}

// countFor is how long counting may take before a page goes without its total.
const countFor = 250 * time.Millisecond

// pendingWait bounds how long a list waits for what has ended and is not committed yet.
const pendingWait = 250 * time.Millisecond

// List returns a page of summaries: under load, too, of all that had ended when it was asked, unless the disk hangs. Total
// is left out where counting would take long.
func (s *Store) List(ctx context.Context, q Query) (page Page, err error) {
	if s.writer.waiting.Load() {
		brief, cancel := context.WithTimeout(ctx, pendingWait)
		_ = s.do(brief, barrier()) // why nothing can be written is said elsewhere
		cancel()
	}
	done := make(chan struct{})
	defer close(done)
	defer time.AfterFunc(coldAfter, func() { s.readAhead(done) }).Stop()
	if s.index != nil && !empty(q.Filter) {
		err = s.pool.lend(ctx, func(c *conn) (err error) {
			page, err = s.list(ctx, c, q, s.index)
			return err
		})
		if err == nil || classify(err) != troubleCorrupt {
			return page, err
		}
		// It may be the index that is damaged; without it nothing less is found, only later.
	}
	err = s.pool.use(ctx, func(c *conn) (err error) {
		page, err = s.list(ctx, c, q, nil)
		return err
	})
	return page, err
}

func (s *Store) list(ctx context.Context, c *conn, q Query, index *textIndex) (Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	page := Page{Total: -1}
	now := time.Now()
	windows, err := s.windows(ctx, c, q)
	if err != nil {
		return page, err
	}
	dest := make([]driver.Value, summaryWidth)
	probed := empty(q.Filter) || q.Sort != "" || q.Filter.NeedsBody() // which costs too much without the index
	for lo, hi := range windows {
		sel := s.selection(q.Filter, bodySearch{index: index, lo: lo, hi: hi, heads: heads(c, index != nil && probed && !q.byChange()), ctx: ctx}, now)
		probed = true
		where, args, order := sel.where, sel.args, "x.id DESC"
		if lo != 0 || hi != math.MaxInt64 {
			where, args = append(where, "x.id >= ?", "x.id <= ?"), append(args, lo, hi)
		}
		switch {
		case q.Sort != "":
			column, ok := sorts[q.Sort]
			if !ok {
				return page, fmt.Errorf("exchanges are not sorted by %s", q.Sort)
			}
			// What has no such thing comes last, and an index would be gone through row by row.
			order = "+" + column + " DESC NULLS LAST, x.id DESC"
			if q.Ascending {
				order = "+" + column + " NULLS LAST, x.id"
			}
		case q.byChange():
			where, args, order = append(where, "x.seq > ?"), append(args, q.ChangedAfter), "x.seq"
		case q.ByID || q.After != 0:
			where, args, order = append(where, "x.id > ?"), append(args, q.After), "x.id"
		}
		if q.Before != 0 {
			where, args = append(where, "x.id < ?"), append(args, q.Before)
		}
		args = append(args, limit-len(page.Exchanges))
		err := c.each(ctx, "SELECT "+summaryColumns+" FROM "+sel.from+clause(where)+" ORDER BY "+order+" LIMIT ?", named(args), dest, func() error {
			page.Exchanges = append(page.Exchanges, decodeSummary(dest))
			return nil
		})
		if err != nil {
			return page, err
		}
		if len(page.Exchanges) == limit {
			break
		}
	}
	if q.Total {
		page.Total, err = s.total(ctx, c, s.selection(q.Filter, bodySearch{index, 0, math.MaxInt64, heads(c, index != nil), ctx}, now))
	}
	return page, err
}

// heads is the connection, if the index of heads is to be asked.
func heads(c *conn, ask bool) *conn {
	if ask {
		return c
	}
	return nil
}

const (
	// coldAfter is how long a search may take before the database counts as not being in the system's cache.
	coldAfter = time.Second
	// readAheadBlock is how much is read ahead at a time.
	readAheadBlock = 4 << 20
)

// readAhead reads the database from its end until done is closed. A search that looks at every row reads a page here and
// a page there, in the order of the rows, newest first: from a cold disk that takes minutes for what can be read as a
// whole in seconds.
func (s *Store) readAhead(done <-chan struct{}) {
	if s.readingAhead.Swap(true) {
		return
	}
	defer s.readingAhead.Store(false)
	f, err := os.Open(s.path())
	if err != nil {
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return
	}
	block := make([]byte, readAheadBlock)
	for off := fi.Size() - 1; off >= 0; off -= readAheadBlock {
		select {
		case <-done:
			return
		default:
		}
		if _, err := f.ReadAt(block, off&^(readAheadBlock-1)); err != nil && err != io.EOF {
			return
		}
	}
}

// total counts what a selection finds, -1 where that would take long.
func (s *Store) total(ctx context.Context, c *conn, sel selection) (int64, error) {
	if len(sel.where) == 0 {
		if !s.counted.Load() {
			return -1, nil
		}
		return s.count.Load(), nil
	}
	counting, cancel := context.WithTimeout(ctx, countFor)
	defer cancel()
	n, err := c.integer(counting, "SELECT count(*) FROM "+sel.from+clause(sel.where), sel.args...)
	if err != nil && counting.Err() != nil && ctx.Err() == nil {
		return -1, nil
	}
	return n, err
}

// Windows of ids that a search goes through: what is everywhere fills its page from the first one, and only what is nowhere
// is asked for in all. The first window is looked at without the index of heads, which is quicker for what is common.
const (
	probeWindow = 2_000
	firstWindow = 10_000
	widen       = 4
)

// windows returns the ranges of ids to ask for, one after the other.
func (s *Store) windows(ctx context.Context, c *conn, q Query) (iter.Seq2[int64, int64], error) {
	one := func(yield func(lo, hi int64) bool) { yield(0, math.MaxInt64) }
	if empty(q.Filter) || q.Sort != "" || q.byChange() {
		return one, nil
	}
	first := int64(probeWindow)
	if q.Filter.NeedsBody() {
		first = firstWindow
	}
	least, err := c.integer(ctx, "SELECT min(id) FROM exchanges")
	if err != nil {
		return nil, err
	}
	most, err := c.integer(ctx, "SELECT max(id) FROM exchanges")
	if err != nil {
		return nil, err
	}
	if q.Before != 0 {
		most = min(most, q.Before-1)
	}
	if q.ByID || q.After != 0 {
		least = max(least, q.After+1)
		return func(yield func(lo, hi int64) bool) {
			for lo, width := least, first; lo <= most; lo, width = lo+width, width*widen {
				if !yield(lo, min(lo+width-1, most)) {
					return
				}
			}
		}, nil
	}
	return func(yield func(lo, hi int64) bool) {
		for hi, width := most, first; hi >= least; hi, width = hi-width, width*widen {
			if !yield(max(hi-width+1, least), hi) {
				return
			}
		}
	}, nil
}

// selection is a filter's part of a statement.
type selection struct {
	from  string
	where []string
	args  []any
}

// selection compiles a filter; what it finds by an index is limited to the ids that bodies is limited to.
func (s *Store) selection(f *filter.Filter, bodies bodySearch, now time.Time) selection {
	sel := selection{from: "exchanges AS x"}
	if empty(f) {
		return sel
	}
	if f.NeedsDetails() {
		sel.from += " LEFT JOIN details AS d ON d.id = x.id"
	}
	where, args := f.SQLAt(bodies, now)
	sel.where, sel.args = []string{"(" + where + ")"}, args
	return sel
}

func clause(where []string) string {
	if len(where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(where, " AND ")
}

// Get returns a whole exchange. One that runs is returned as it is now, once that is committed.
func (s *Store) Get(ctx context.Context, id int64) (*capture.Exchange, error) {
	if r := s.open.get(id); r != nil {
		if err := s.commit(ctx, []*recording{r}); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			// Nothing can be written, which Health says; then this is all there is of it.
			return r.snapshot(), nil
		}
	}
	var x *capture.Exchange
	err := s.pool.use(ctx, func(c *conn) error {
		dest := make([]driver.Value, summaryWidth+detailWidth)
		err := c.row(ctx, selectWhole+" WHERE x.id = ?", []any{id}, dest)
		if err == io.EOF {
			return capture.ErrNotFound
		}
		if err != nil {
			return err
		}
		x = decodeSummary(dest)
		return decodeDetails(x, dest[summaryWidth:])
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

var selectWhole = "SELECT " + summaryColumns + ", " + detailColumns + " FROM exchanges AS x LEFT JOIN details AS d ON d.id = x.id LEFT JOIN receipts AS c ON c.id = d.tls"

// changed returns the exchanges whose latest revision is after one seq and not after another, in order of it.
func (s *Store) changed(ctx context.Context, after, upTo int64, limit int) (changes []capture.Change, err error) {
	err = s.pool.use(ctx, func(c *conn) error {
		dest := make([]driver.Value, summaryWidth+detailWidth)
		return c.each(ctx, selectWhole+" WHERE x.seq > ? AND x.seq <= ? ORDER BY x.seq LIMIT ?", named([]any{after, upTo, limit}), dest, func() error {
			x := decodeSummary(dest)
			changes = append(changes, capture.Change{Seq: x.Seq, Exchange: x, Latest: true})
			return decodeDetails(x, dest[summaryWidth:])
		})
	})
	return changes, err
}
