package store

import (
	"testing"
	"time"
)

// What has ended is listed, also while its transaction is left open to take more.
func TestAListHasWhatIsPending(t *testing.T) {
	s := openStore(t, Config{})
	defer closeStore(t, s)
	met := 0
	for end := time.Now().Add(20 * time.Second); met < 3 && time.Now().Before(end); {
		var last int64
		for n := range 200 {
			last = record(s, n, 200, "x")
		}
		pending := s.writer.waiting.Load()
		page, err := s.List(testContext(t), Query{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if pending {
			met++
			if page.Exchanges[0].ID != last {
				t.Fatalf("%d has ended, the newest listed is %d", last, page.Exchanges[0].ID)
			}
		}
	}
	if met == 0 {
		t.Error("no transaction was left open")
	}
}
