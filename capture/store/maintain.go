package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"time"

	"eaves/capture"
)

const (
	// watchEvery is how often the writer and the file are looked at.
	watchEvery = time.Second
	// retainEvery is how often the retention is applied, beside when it changes.
	retainEvery = 15 * time.Second
	// stuckAfter is how long one commit may take before traffic stops waiting for it.
	stuckAfter = 5 * time.Second
)

// maintain is the goroutine of everything that has time.
func (s *Store) maintain(ctx context.Context, left []leftover) {
	defer close(s.maintained)
	s.countAll(ctx)
	s.sweepLeftovers(ctx, left)
	s.sweepOrphans(ctx)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	retained := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.retained:
			retained = time.Time{}
		case <-ticker.C:
		}
		s.watch()
		s.rollups.expire(time.Now())
		if time.Since(retained) >= retainEvery && !s.health.failing() {
			retained = time.Now()
			s.retain(ctx)
		}
	}
}

// countAll counts what is in the database, if the start had no time for it.
func (s *Store) countAll(ctx context.Context) {
	if s.counted.Load() {
		return
	}
	s.pool.use(ctx, func(c *conn) error {
		var since int64
		// Between two transactions of the writer, what it has counted and what a reader begins to see are one.
		err := s.do(ctx, &task{outside: true, run: func(*writer) ([]int64, error) {
			if err := c.exec("BEGIN"); err != nil {
				return nil, err
			}
			since = s.count.Load()
			_, err := c.integer(ctx, "SELECT 1 FROM exchanges LIMIT 1")
			return nil, err
		}})
		if err == nil {
			var n int64
			if n, err = c.integer(ctx, "SELECT count(*) FROM exchanges"); err == nil {
				s.count.Add(n - since)
				s.counted.Store(true)
			}
		}
		c.exec("COMMIT")
		return err
	})
}

// watch looks whether the writer is stuck, and whether the database is still the one that was opened.
func (s *Store) watch() {
	if since := s.writer.busySince.Load(); since != 0 && time.Since(time.UnixMicro(since)) > stuckAfter && !s.health.failing() {
		s.health.fail(errStuck)
	}
	fi, err := os.Stat(s.path())
	gone := errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(fi, s.opened)
	if s.gone.Store(gone); gone {
		// What is written now goes to a file without a name.
		s.health.fail(errReplaced)
	}
}

// retain applies the retention.
func (s *Store) retain(ctx context.Context) {
	var err error
	r := s.retention.Load()
	if r.MaxAge > 0 {
		_, err = s.pruneAge(ctx, nil, r.MaxAge)
	}
	if err == nil && r.MaxSize > 0 {
		var size storeSize
		if size, err = s.size(ctx); err == nil && size.used() > r.MaxSize {
			// A little more than has to be, so that it does not have to be again at once.
			_, err = s.pruneSize(ctx, r.MaxSize-r.MaxSize/32)
		}
	}
	if err == nil {
		// What is free is used again soon; only much of it is given back.
		var size storeSize
		if size, err = s.size(ctx); err == nil && size.free > 64<<20 && size.free > size.database/4 {
			err = s.vacuum(ctx, size.database/16)
		}
	}
	if err != nil && ctx.Err() == nil && !s.health.failing() {
		s.health.say("removing old exchanges failed: " + err.Error())
	}
}

// sweepLeftovers keeps what an earlier run had of the bodies of exchanges that it left open, and removes other files of
// its.
func (s *Store) sweepLeftovers(ctx context.Context, left []leftover) {
	for _, l := range left {
		if ctx.Err() != nil {
			return
		}
		if !s.keepLeftover(ctx, l) {
			remove(l.path)
		}
	}
}

// keepLeftover gives an interrupted exchange the part of its body that there is.
func (s *Store) keepLeftover(ctx context.Context, l leftover) bool {
	column := map[string]string{string(capture.SideRequest): "req", string(capture.SideResponse): "resp"}[l.side]
	if column == "" || l.id == 0 || l.size == 0 {
		return false
	}
	ids, err := s.ids64(ctx, "SELECT x.id FROM exchanges AS x JOIN details AS d ON d.id = x.id WHERE x.id = ? AND x.error = ? AND d."+column+"_file IS NULL", []any{l.id, interruptedMessage})
	if err != nil || len(ids) == 0 {
		return false
	}
	f, err := os.Open(l.path)
	if err != nil {
		return false
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	f.Close()
	if err != nil {
		return false
	}
	sum := digest(h.Sum(nil))
	bit := truncatedRequest
	if column == "resp" {
		bit = truncatedResponse
	}
	return s.do(ctx, &task{run: func(w *writer) ([]int64, error) {
		if err := s.files.adopt(l.path, sum, n); err != nil {
			return nil, &diskError{err}
		}
		if err := w.countFile.with(sum[:], n); err != nil {
			return nil, err
		}
		if err := w.conn.exec("UPDATE details SET "+column+"_file = ? WHERE id = ?", sum[:], l.id); err != nil {
			return nil, err
		}
		if err := w.conn.exec("UPDATE exchanges SET "+column+"_kept = ?1, "+column+"_size = max(coalesce("+column+"_size, 0), ?1), truncated = truncated | ?2 WHERE id = ?3", n, bit, l.id); err != nil {
			return nil, err
		}
		return nil, w.republish(l.id)
	}}) == nil
}

// sweepOrphans removes bodies that no row names: those of transactions that were never committed.
func (s *Store) sweepOrphans(ctx context.Context) {
	s.files.each(func(d digest) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		known := func(c *conn) (bool, error) {
			var dest [1]driver.Value
			err := c.row(ctx, "SELECT 1 FROM files WHERE hash = ?", []any{d[:]}, dest[:])
			if err == io.EOF {
				return false, nil
			}
			return true, err
		}
		named := true
		if err := s.pool.use(ctx, func(c *conn) (err error) {
			named, err = known(c)
			return err
		}); err != nil || named {
			return err
		}
		// The writer may have named it meanwhile.
		return s.do(ctx, &task{run: func(w *writer) ([]int64, error) {
			if named, err := known(w.conn); err != nil || named {
				return nil, err
			}
			return nil, remove(s.files.path(d))
		}})
	})
}
