//go:build cgo

package store

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"eaves/capture"
)

// written is how many bytes the process has handed to the system in writes.
func written(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscanf(string(b[bytes.Index(b, []byte("wchar:")):]), "wchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// slowDisk lets commits take as long as a disk of so many bytes a second needs for all that the process has written, to
// the database, its log and files of bodies, until fast is called.
func slowDisk(t testing.TB, s *Store, rate float64) (fast func()) {
	t.Helper()
	var slow atomic.Bool
	slow.Store(true)
	start, began := time.Now(), written(t)
	hook := func() int {
		if slow.Load() {
			due := time.Duration(float64(written(t)-began) / rate * float64(time.Second))
			time.Sleep(due - time.Since(start))
		}
		return 0
	}
	// The writer's connection is the writer's: it is told between two transactions.
	if err := s.do(testContext(t), &task{outside: true, run: func(w *writer) ([]int64, error) {
		w.conn.Conn.(*sqlite3.SQLiteConn).RegisterCommitHook(hook)
		return nil, nil
	}}); err != nil {
		t.Fatal(err)
	}
	return func() { slow.Store(false) }
}

// TestSlowDisk offers many times what a disk takes: memory stays flat, no row is lost, bodies are whole or say that they
// are not, and when it is over, all is as before.
func TestSlowDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const rate, loadFor, limit = 20e6, 6 * time.Second, 200 << 20
	var said logged
	s := openStore(t, Config{Log: said.log})
	fast := slowDisk(t, s, rate)
	small, middle, large := bytes.Repeat([]byte("small "), 200), bytes.Repeat([]byte("middle "), 30_000), bytes.Repeat([]byte("large "), 100_000)
	var recorded, offered, cutShort atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(loadFor)
	for worker := range 8 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				r := s.Begin(sample(i))
				r.Update(answer(200, "text/plain"))
				body, times := small, 1
				switch {
				case i%200 == worker:
					body, times = large, 14 // 8 MiB
				case i%20 == worker:
					body = middle
				}
				for range times {
					// No two are the same, or there would be one file for all.
					r.Body(capture.SideResponse, fmt.Append(nil, worker, i))
					r.Body(capture.SideResponse, body)
					offered.Add(int64(len(body)))
				}
				r.Finish(done)
				recorded.Add(1)
			}
		})
	}
	var peak uint64
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.Sys-m.HeapReleased)
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	wg.Wait()
	took := time.Now()
	flush(t, s)
	drained := time.Since(took)
	close(stop)
	<-watched
	t.Logf("%d exchanges with %d MB offered in %v; memory up to %d MiB, written %v after the load; said %q", recorded.Load(), offered.Load()/1e6, loadFor, peak>>20, drained.Round(time.Millisecond), said.all())
	if offered.Load() < int64(2*rate*loadFor.Seconds()) {
		// Also traffic that waits is what is asked for; but then there has to be some that did.
		t.Logf("traffic was slowed to what the disk takes")
	}
	if peak > limit {
		t.Errorf("memory went up to %d MiB", peak>>20)
	}
	if n := s.count.Load(); n != recorded.Load() {
		t.Errorf("%d rows of %d exchanges", n, recorded.Load())
	}
	if h := s.Health(); h.State == HealthFailing || h.Lost > 0 {
		t.Errorf("health %+v", h)
	}
	for after := int64(0); ; {
		page, err := s.List(testContext(t), Query{After: after, ByID: true, Limit: maxLimit})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Exchanges {
			kept := x.Response.Content.Size
			if x.Response.Truncated != (kept < x.Response.BodySize) || x.Response.BodySize == 0 {
				t.Fatalf("exchange %d: kept %d of %d, truncated %v", x.ID, kept, x.Response.BodySize, x.Response.Truncated)
			}
			if x.Response.Truncated {
				cutShort.Add(1)
				if b := readBody(t, s, x.ID, capture.SideResponse); int64(len(b)) != kept {
					t.Fatalf("exchange %d: %d bytes are there, the row says %d", x.ID, len(b), kept)
				}
			}
			after = x.ID
		}
		if len(page.Exchanges) < maxLimit {
			break
		}
	}
	t.Logf("%d bodies were cut", cutShort.Load())
	fast()
	id := recordBody(s, 1, bytes.Repeat(large, 14))
	flush(t, s)
	if x := get(t, s, id); x.Response.Truncated || x.Response.Content.Size != int64(14*len(large)) {
		t.Errorf("after it: %+v", x.Response)
	}
	if h := s.Health(); h.State != HealthOK {
		t.Errorf("after it: health %+v", h)
	}
	if strings.Contains(strings.Join(said.all(), "\n"), "stands still") {
		t.Errorf("said %q", said.all())
	}
	checkIntegrity(t, s)
}
