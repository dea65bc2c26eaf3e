package store

import (
	"os"
	"strings"
	"testing"
)

// However long the load lasts, the write-ahead log starts anew, also while somebody reads and texts are indexed.
func TestTheLogStartsAnew(t *testing.T) {
	if testing.Short() {
		t.Skip("writes much")
	}
	s := openStore(t, Config{})
	body := strings.Repeat("0123456789", 1200)
	var peak int64
	for i := range 25_000 {
		record(s, i, 200, body)
		if i%500 == 0 {
			if _, err := s.List(testContext(t), Query{}); err != nil {
				t.Fatal(err)
			}
			if fi, err := os.Stat(s.path() + "-wal"); err == nil {
				peak = max(peak, fi.Size())
			}
		}
	}
	if written := int64(25_000 * len(body)); peak > written*3/4 {
		t.Errorf("of %d MB written the log took up to %d MB", written/1e6, peak/1e6)
	}
}
