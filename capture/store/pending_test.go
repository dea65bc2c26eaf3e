package store

import (
	"runtime"
	"testing"
	"time"
)

// What has ended is listed, also while its transaction is left open to take more.
func TestAListHasWhatIsPending(t *testing.T) {
	s := openStore(t, Config{})
	defer closeStore(t, s)
	met := 0
	for end := time.Now().Add(20 * time.Second); met < 3 && time.Now().Before(end); {
		loaded := &task{outside: true, run: func(w *writer) ([]int64, error) {
			w.loaded = true // as traffic makes it, until the next sweep
			return nil, nil
		}}
		if err := s.do(testContext(t), loaded); err != nil {
			t.Fatal(err)
		}
		last := record(s, 1, 200, "x")
		for soon := time.Now().Add(10 * time.Millisecond); !s.writer.waiting.Load() && time.Now().Before(soon); {
			runtime.Gosched()
		}
		pending := s.writer.waiting.Load()
		page, err := s.List(testContext(t), Query{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if pending {
			met++
			if len(page.Exchanges) == 0 || page.Exchanges[0].ID != last {
				t.Fatalf("%d has ended, listed is %v", last, page.Exchanges)
			}
		}
	}
	if met == 0 {
		t.Error("no transaction was left open")
	}
}
