package store

import (
	"context"
	"database/sql/driver"
	"io"
	"strings"

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
}

// Page is an answer to a Query. Total is -1 where it was not asked for.
type Page struct {
	Exchanges []*capture.Exchange // summaries
	Total     int64
}

// List returns a page of summaries.
func (s *Store) List(ctx context.Context, q Query) (Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	page := Page{Total: -1}
	err := s.pool.use(ctx, func(c *conn) error {
		sel := s.selection(q.Filter)
		from, where, args := sel.from, sel.where, sel.args
		order := "x.id DESC"
		switch {
		case q.ByChange || q.ChangedAfter != 0:
			where, order = append(where, "x.seq > ?"), "x.seq"
			args = append(args, q.ChangedAfter)
		case q.ByID || q.After != 0:
			where, order = append(where, "x.id > ?"), "x.id"
			args = append(args, q.After)
		}
		if q.Before != 0 {
			where = append(where, "x.id < ?")
			args = append(args, q.Before)
		}
		dest := make([]driver.Value, summaryWidth)
		err := c.each(ctx, "SELECT "+summaryColumns+" FROM "+from+clause(where)+" ORDER BY "+order+" LIMIT ?", named(append(args, limit)), dest, func() error {
			page.Exchanges = append(page.Exchanges, decodeSummary(dest))
			return nil
		})
		if err != nil || !q.Total {
			return err
		}
		if len(sel.where) == 0 {
			page.Total = s.count.Load()
			return nil
		}
		page.Total, err = c.integer(ctx, "SELECT count(*) FROM "+sel.from+clause(sel.where), sel.args...)
		return err
	})
	return page, err
}

// selection is a filter's part of a statement.
type selection struct {
	from  string
	where []string
	args  []any
}

func (s *Store) selection(f *filter.Filter) selection {
	sel := selection{from: "exchanges AS x"}
	if empty(f) {
		return sel
	}
	if f.NeedsDetails() {
		sel.from += " LEFT JOIN details AS d ON d.id = x.id"
	}
	where, args := f.SQL(bodySearch{})
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
		r.settle()
		if err := s.do(ctx, &task{run: func(*writer) ([]int64, error) { return nil, nil }}); err != nil && ctx.Err() != nil {
			return nil, err
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
			changes = append(changes, capture.Change{Seq: x.Seq, Exchange: x})
			return decodeDetails(x, dest[summaryWidth:])
		})
	})
	return changes, err
}
