package store

import (
	"context"
	"os"
	"time"
)

// pageSize is the database's. With smaller pages a row's neighbours are rewritten less often, with larger ones bodies
// take fewer; see bench/store.
const pageSize = 8192

// logPages is roughly how many pages of the log a transaction takes: its bytes, half a leaf for each row, and the ends of
// the tables and indexes.
func logPages(rows int, bytes int64) int64 {
	return int64(rows)/2 + max(bytes-int64(rows)*rowOverhead, 0)/pageSize + 5
}

// checkpointer brings the write-ahead log into the database beside the writer. In the writer itself, each checkpoint's
// wait for the disk would hold up every commit: what is shown later is what kill -9 loses, and then traffic waits.
type checkpointer struct {
	conn *conn
	wake chan struct{}
	done chan struct{}
}

func (k *checkpointer) open(path string) (err error) {
	k.wake, k.done = make(chan struct{}, 1), make(chan struct{})
	k.conn, err = newConn(openConn(dsn(path, "mode=rw&_busy_timeout=1000"), nil, "PRAGMA wal_autocheckpoint = 0"))
	return err
}

// due asks for a checkpoint.
func (k *checkpointer) due() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run is the checkpointer's goroutine. Whatever fails here fails in the writer as well, which is where it is said.
func (k *checkpointer) run(s *Store) {
	yielding()
	defer close(k.done)
	for range k.wake {
		if k.conn.exec("PRAGMA wal_checkpoint(PASSIVE)") != nil {
			continue
		}
		if fi, err := os.Stat(s.path() + "-wal"); err == nil && fi.Size() > logLimit {
			k.startAnew(s)
			continue
		}
		// What was written meanwhile is little. With that as well in the database, the next write starts the log anew;
		// otherwise it would grow as long as the load lasts. Two checkpoints at a time would be in each other's way.
		k.inWriter(s, "PRAGMA wal_checkpoint(PASSIVE)")
	}
}

// inWriter has the writer run a statement.
func (k *checkpointer) inWriter(s *Store, sql string) {
	_ = s.do(context.Background(), &task{outside: true, run: func(w *writer) ([]int64, error) { return nil, w.conn.exec(sql) }})
}

const (
	// logLimit is from where on the log is made to start anew.
	logLimit = 256 << 20
	// quietFor is how long readers may take to end for that, while no others begin.
	quietFor = time.Second
)

// startAnew lets no reader begin for a moment. The log can only start anew while nobody reads from it, and where one
// question follows the other somebody always does.
func (k *checkpointer) startAnew(s *Store) {
	resume, quiet := s.pool.pause(quietFor)
	defer resume()
	if quiet {
		k.inWriter(s, "PRAGMA wal_checkpoint(RESTART)")
	}
}

// end ends the goroutine.
func (k *checkpointer) end() {
	close(k.wake)
	<-k.done
}

func (k *checkpointer) close() {
	if k.conn != nil {
		k.conn.Close()
	}
}
