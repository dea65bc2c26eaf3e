package store

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
	defer close(k.done)
	for range k.wake {
		if k.conn.exec("PRAGMA wal_checkpoint(PASSIVE)") != nil {
			continue
		}
		// What was written meanwhile is little. With that as well in the database, the next write starts the log anew;
		// otherwise it would grow as long as the load lasts. Two checkpoints at a time would be in each other's way.
		t := &task{outside: true, done: make(chan error, 1), run: func(w *writer) ([]int64, error) {
			return nil, w.conn.exec("PRAGMA wal_checkpoint(PASSIVE)")
		}}
		s.queue.add(entry{kind: entryTask, task: t})
		select {
		case <-t.done:
		case <-s.drained:
		}
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
