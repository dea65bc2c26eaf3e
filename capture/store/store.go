package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"eaves/capture"
)

// Config says where a store is and what it keeps.
type Config struct {
	// Dir is the data directory. The database is eaves.db in it, large bodies are in bodies.
	Dir string
	// Keep, MaxSize and MaxAge are the retention until SetRetention says otherwise.
	Keep, MaxSize int64
	MaxAge        time.Duration
	// Log is told, in one line each, what a person should know: that recording stands still, or goes on.
	Log func(string)
}

// The stages that an exchange's error can have beside those of traffic.
const (
	// StageEaves: eaves itself, not the traffic, is why an exchange is incomplete or missing.
	StageEaves capture.Stage = "eaves"
)

// ErrClosed says that the store is closed.
var ErrClosed = errors.New("the store is closed")

// Store keeps exchanges. It implements capture.Recorder.
type Store struct {
	cfg     Config
	id      string
	files   *bodyFiles
	buffers buffers
	open    openSet
	queue   queue
	feed    feed
	health  health
	pool    *pool
	writer  *writer
	index   *textIndex // nil without FTS5
	rollups rollups

	checkpoint checkpointer

	ids          atomic.Int64 // the last id given
	count        atomic.Int64 // exchanges in the database, once counted; before, since the start
	counted      atomic.Bool
	held         atomic.Int64 // bytes of running exchanges' bodies in memory
	seq          int64        // the last revision committed; the writer's
	busy         atomic.Bool  // there is traffic
	readingAhead atomic.Bool
	closing      atomic.Bool
	stop         chan struct{} // closed: the writer drains and ends
	drained      chan struct{} // closed: it has
	closed       chan struct{} // closed: nothing more is published

	opened     os.FileInfo        // the database file
	gone       atomic.Bool        // it is not there any more
	rest       context.CancelFunc // ends maintain
	maintained chan struct{}      // closed: it has ended

	retention atomic.Pointer[Retention]
	retained  chan struct{} // holds one: the retention has changed
}

// Open opens the store in a directory, making or migrating its database. The caller holds the directory's lock.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, retained: make(chan struct{}, 1), stop: make(chan struct{}), drained: make(chan struct{}), closed: make(chan struct{}), maintained: make(chan struct{})}
	s.health.now.State, s.health.broken = HealthOK, s.queue.setFree
	s.retention.Store(Retention{cfg.Keep, cfg.MaxSize, cfg.MaxAge}.settled())
	s.open.init()
	s.queue.init()
	left, err := s.acquire(ctx)
	if err != nil {
		s.release()
		return nil, opening(s.path(), err)
	}
	s.health.talk(cfg.Log)
	go s.writer.run()
	go s.checkpoint.run(s)
	ctx, s.rest = context.WithCancel(context.Background())
	go s.maintain(ctx, left)
	if s.index != nil {
		go s.index.run(ctx)
	}
	return s, nil
}

// acquire opens everything that release gives back, and lists what an earlier run left.
func (s *Store) acquire(ctx context.Context) (left []leftover, err error) {
	path := s.path()
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if s.files, err = openBodyFiles(filepath.Join(s.cfg.Dir, "bodies")); err != nil {
		return nil, fmt.Errorf("making the directory of bodies: %w", err)
	}
	c, err := openDatabase(ctx, path)
	if err != nil {
		return nil, err
	}
	s.writer = &writer{store: s, conn: c}
	if err := s.writer.prepare(); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if s.opened, err = os.Stat(path); err != nil {
		return nil, err
	}
	// Before the first exchange of this run makes a file there.
	if left, err = s.files.leftovers(); err != nil {
		return nil, err
	}
	if err := s.checkpoint.open(path); err != nil {
		return nil, err
	}
	s.index, err = s.openTextIndex(ctx)
	s.pool = newPool(readers, s.openReader, s.health.damage)
	if s.index != nil {
		if err = s.pool.fill(); err == nil {
			return left, nil
		}
		s.index.close()
		s.index = nil
	}
	if err != nil && s.cfg.Log != nil {
		s.cfg.Log("texts of bodies are searched without an index: " + err.Error())
	}
	return left, s.pool.fill()
}

// release closes what acquire opened.
func (s *Store) release() (err error) {
	if s.pool != nil {
		s.pool.close()
	}
	if s.index != nil {
		s.index.close()
	}
	s.checkpoint.close()
	if s.writer != nil {
		err = s.writer.close()
	}
	return err
}

func (s *Store) path() string { return filepath.Join(s.cfg.Dir, "eaves.db") }

func (s *Store) openReader() (*conn, error) {
	setup := []string{"PRAGMA temp_store = MEMORY"}
	if s.index != nil {
		setup = append(setup, "ATTACH '"+strings.ReplaceAll(dsn(s.index.path, "mode=ro"), "'", "''")+"' AS search")
	}
	return newConn(openConn(dsn(s.path(), "mode=ro&_query_only=1&_busy_timeout=10000&_stmt_cache_size=32"), s.functions(), setup...))
}

// start reads where the last run ended, completes what it had not committed, and ends what it left open.
func (s *Store) start(ctx context.Context) error {
	w := s.writer
	removed, err := s.resume(ctx)
	if err != nil {
		return err
	}
	var id [1]driver.Value
	if err := w.conn.row(ctx, "SELECT value FROM store WHERE key = 'id'", nil, id[:]); err == io.EOF {
		return &OpenError{s.path(), "the database is damaged: it has lost its identity", moveAway(s.path()), nil}
	} else if err != nil {
		return err
	}
	s.id = asString(id[0])
	replayed, err := w.replay(ctx)
	if err != nil && classify(err) != troubleOther {
		return err
	}
	if err != nil && s.cfg.Log != nil {
		s.cfg.Log(err.Error())
	}
	if err := w.tail.open(); err != nil {
		return err
	}
	if replayed > 0 {
		if removed, err = s.resume(ctx); err != nil {
			return err
		}
	}
	if err := s.countAtOnce(ctx); err != nil {
		return err
	}
	if err := w.endInterrupted(ctx); err != nil {
		return err
	}
	s.feed.init(s.seq, removed)
	return nil
}

// resume reads up to which id and revision the database has come, and the revision of the last removal.
func (s *Store) resume(ctx context.Context) (removed int64, err error) {
	w := s.writer
	numbers := make(map[string]int64)
	for _, key := range []string{"lease", "seq", "removed"} {
		n, err := w.conn.integer(ctx, "SELECT value FROM store WHERE key = ?", key)
		if err != nil {
			return 0, err
		}
		numbers[key] = n
	}
	for key, sql := range map[string]string{"lease": "SELECT max(id) FROM exchanges", "seq": "SELECT max(seq) FROM exchanges"} {
		n, err := w.conn.integer(ctx, sql)
		if err != nil {
			return 0, err
		}
		numbers[key] = max(numbers[key], n)
	}
	s.ids.Store(numbers["lease"])
	w.lease = numbers["lease"]
	s.seq, w.saved = numbers["seq"], numbers["seq"]
	return numbers["removed"], nil
}

// countAtOnce counts what can be counted at once; a million rows from a cold disk are counted beside the traffic.
func (s *Store) countAtOnce(ctx context.Context) error {
	counting, cancel := context.WithTimeout(ctx, countAtOnce)
	defer cancel()
	count, err := s.writer.conn.integer(counting, "SELECT count(*) FROM exchanges")
	s.counted.Store(err == nil)
	if counting.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	s.count.Store(count)
	return err
}

// ID is the store's identity. A cursor of another store means nothing here.
func (s *Store) ID() string { return s.id }

// Seq is the last revision that was published.
func (s *Store) Seq() int64 { return s.feed.last() }

// do has the writer run a task, and waits for its commit.
func (s *Store) do(ctx context.Context, t *task) error {
	t.done = make(chan error, 1)
	s.queue.add(entry{kind: entryTask, task: t})
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.drained:
		select {
		case err := <-t.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// barrier is a task that is done when everything queued before it is committed.
func barrier() *task {
	return &task{barrier: true, outside: true, run: func(*writer) ([]int64, error) { return nil, nil }}
}

// commit returns when recordings are committed as they are now.
func (s *Store) commit(ctx context.Context, rs []*recording) error {
	var again []*recording
	for _, r := range rs {
		if !r.settle() {
			again = append(again, r)
		}
	}
	if err := s.do(ctx, barrier()); err != nil || len(again) == 0 {
		return err
	}
	for _, r := range again {
		r.settle()
	}
	return s.do(ctx, barrier())
}

// Flush returns when everything begun so far is committed as it is now.
func (s *Store) Flush(ctx context.Context) error {
	return s.commit(ctx, s.open.all())
}

// Close ends what is still open as interrupted, writes everything, and closes the database. If ctx ends first, what is
// not written by then is lost.
func (s *Store) Close(ctx context.Context) error {
	if s.closing.Swap(true) {
		return ErrClosed
	}
	s.rest()
	for _, r := range s.open.all() {
		r.finish(interrupted)
	}
	close(s.stop)
	var err error
	select {
	case <-s.drained:
	case <-ctx.Done():
		return fmt.Errorf("closing the store: %d entries were not written: %w", s.queue.len(), ctx.Err())
	}
	s.health.mu.Lock()
	lost := s.health.lost
	s.health.mu.Unlock()
	if lost.n > 0 {
		err = fmt.Errorf("closing the store: %d exchanges were not recorded: %s", lost.n, lost.reason)
	}
	close(s.closed)
	<-s.maintained
	if s.index != nil {
		<-s.index.done
	}
	s.checkpoint.end()
	s.health.quiet()
	// What has not been given out is given out next time.
	s.writer.setNumber.with("lease", s.ids.Load())
	s.writer.tail.remove()
	if serr := s.writer.conn.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err == nil && serr != nil {
		err = opening(s.path(), serr)
	}
	if cerr := s.release(); err == nil {
		err = cerr
	}
	return err
}

// interrupted ends an exchange that eaves does not see the end of.
func interrupted(x *capture.Exchange) {
	x.State = capture.StateFailed
	if x.Error == nil {
		x.Error = &capture.Error{Stage: StageEaves, Message: interruptedMessage}
	}
}

const interruptedMessage = "interrupted: eaves stopped while this exchange ran"

// recordGap leaves a mark where exchanges are missing.
func (s *Store) recordGap(lost lostSpan) {
	x := &capture.Exchange{
		Kind: capture.KindTunnel, Source: capture.SourceProxy, Started: lost.first, Timings: capture.NoTimings(), AnsweredBy: capture.AnsweredByEaves,
		Request: capture.Request{Method: "GAP", URL: "eaves:gap", HeadersSize: -1, BodySize: -1},
	}
	s.begin(x).finish(func(x *capture.Exchange) {
		x.State = capture.StateFailed
		x.Time = capture.Milliseconds(lost.last.Sub(lost.first))
		x.Error = &capture.Error{Stage: StageEaves, Message: fmt.Sprintf("%d exchanges from %s to %s were not recorded: %s", lost.n,
			lost.first.UTC().Format(capture.TimeFormat), lost.last.UTC().Format(capture.TimeFormat), lost.reason), Hint: "their traffic was not disturbed"}
	})
}
