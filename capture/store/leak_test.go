package store

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"

	"eaves/capture"
)

// openFiles counts the process's descriptors, -1 where the system does not say.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

func TestNothingLeaks(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), openFiles()
	s := openStore(t, Config{})
	large := bytes.Repeat([]byte("large "), 60_000)
	mix := func(n int) {
		var wg sync.WaitGroup
		for w := range 10 {
			wg.Go(func() {
				for i := range n / 10 {
					switch i % 10 {
					case 0:
						recordBody(s, i, large)
					case 1:
						r := s.Begin(sample(i))
						r.Message(capture.Message{Kind: "text", Data: []byte("hi")})
						if b, err := s.Body(testContext(t), r.ID(), capture.SideResponse); err == nil {
							b.Close()
						}
						r.Finish(done)
					case 2:
						sub, err := s.Changes(s.Seq())
						if err == nil {
							sub.Close()
						}
						record(s, i, 200, "x")
					default:
						record(s, i, 200, fmt.Sprint("body ", w, i))
					}
				}
			})
		}
		wg.Wait()
		flush(t, s)
		if _, err := s.List(testContext(t), Query{Filter: parse(t, "body:large"), Limit: 10}); err != nil {
			t.Fatal(err)
		}
	}
	mix(1000)
	runningGoroutines, runningFiles := runtime.NumGoroutine(), openFiles()
	mix(10_000)
	eventually(t, "using no more goroutines and files than before 10,000 exchanges", func() bool {
		return runtime.NumGoroutine() <= runningGoroutines && openFiles() <= runningFiles
	})
	if n, held := s.open.n.Load(), s.held.Load(); n != 0 || held != 0 {
		t.Errorf("%d recordings open, %d bytes held", n, held)
	}
	checkIntegrity(t, s)
	closeStore(t, s)
	eventually(t, "ending all goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	if f := openFiles(); f > files {
		t.Errorf("%d files, %d before", f, files)
	}
}
