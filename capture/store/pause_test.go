package store

import (
	"errors"
	"testing"
	"time"
)

func TestPauseWaitsForReaders(t *testing.T) {
	s := openStore(t, Config{})
	using, end := make(chan struct{}), make(chan struct{})
	read := make(chan error, 1)
	go func() {
		read <- s.pool.use(testContext(t), func(*conn) error {
			close(using)
			<-end
			return nil
		})
	}()
	<-using
	resume, quiet := s.pool.pause(10 * time.Millisecond)
	if quiet {
		t.Error("quiet while somebody reads")
	}
	resume()
	close(end)
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	resume, quiet = s.pool.pause(time.Minute)
	if !quiet {
		t.Error("not quiet though nobody reads")
	}
	// Who comes meanwhile waits.
	got := make(chan error, 1)
	go func() {
		_, err := s.List(testContext(t), Query{})
		got <- err
	}()
	select {
	case err := <-got:
		t.Errorf("read in a pause: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	// The log starts anew: what is written next is written to its beginning.
	record(s, 1, 200, "before")
	s.checkpoint.inWriter(s, "PRAGMA wal_checkpoint(RESTART)")
	var busy int64
	if err := s.do(testContext(t), &task{outside: true, run: func(w *writer) (_ []int64, err error) {
		busy, err = w.conn.integer(testContext(t), "PRAGMA wal_checkpoint(PASSIVE)")
		return nil, err
	}}); err != nil || busy != 0 {
		t.Errorf("busy %d, %v", busy, err)
	}
	resume()
	if err := <-got; err != nil {
		t.Error(err)
	}
	closeStore(t, s)
	if _, err := s.List(testContext(t), Query{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	resume, quiet = s.pool.pause(time.Minute)
	resume()
	if quiet {
		t.Error("a closed pool is quiet")
	}
}
