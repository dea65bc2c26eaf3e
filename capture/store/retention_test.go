package store

import (
	"bytes"
	"testing"
	"time"

	"eaves/capture"
)

func TestRetentionChangesWhileRunning(t *testing.T) {
	s := openStore(t, Config{})
	old := sample(0)
	old.Started = time.Now().Add(-2 * time.Hour)
	r := s.Begin(old)
	r.Finish(done)
	body := bytes.Repeat([]byte("x"), 1000)
	whole := recordBody(s, 1, body)
	s.SetRetention(Retention{Keep: 10})
	cut := recordBody(s, 2, body)
	flush(t, s)
	if n := len(readBody(t, s, whole, capture.SideResponse)); n != 1000 {
		t.Errorf("what was kept before is %d long", n)
	}
	if n := len(readBody(t, s, cut, capture.SideResponse)); n != 10 {
		t.Errorf("what was kept after is %d long", n)
	}
	get(t, s, r.ID())
	// What is too old already goes at once, not at the next turn.
	start := time.Now()
	s.SetRetention(Retention{MaxAge: time.Hour})
	for _, err := s.Get(testContext(t), r.ID()); err == nil; _, err = s.Get(testContext(t), r.ID()) {
		if time.Since(start) > retainEvery {
			t.Fatal("the old one is still there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	get(t, s, cut)
}
