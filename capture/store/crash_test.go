package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eaves/capture"
)

const (
	childDir   = "EAVES_STORE_TEST_CHILD"
	floodChild = "EAVES_STORE_TEST_FLOOD"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if os.Getenv(floodChild) != "" {
			flood(dir)
		}
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child records under load until it is killed. It prints what a subscriber was shown, and which exchanges ended when.
func child(dir string) {
	s, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format+"\n", args...)
		out.Flush()
	}
	sub, err := s.Changes(s.Seq())
	if err != nil {
		say("error %v", err)
		os.Exit(1)
	}
	for i := range 8 {
		go func() {
			for n := 0; ; n++ {
				id := record(s, n, 200, fmt.Sprintf("body %d %d %s", i, n, strings.Repeat("x", n%3000)))
				say("ended %d %d", id, time.Now().UnixMilli())
				time.Sleep(time.Millisecond) // a load, not a flood: the parent has to read what is said
			}
		}()
	}
	go func() {
		// One that stays open, with a body in a file.
		r := s.Begin(sample(0))
		r.Update(answer(200, "text/plain"))
		for range 100 {
			r.Body(capture.SideResponse, []byte(strings.Repeat("y", 10_000)))
		}
		say("open %d 0", r.ID())
	}()
	for {
		changes, err := sub.Next(context.Background())
		if err != nil {
			say("gap %v", err)
			continue
		}
		for _, c := range changes {
			if c.Exchange != nil {
				say("shown %d %d %s", c.Exchange.ID, c.Seq, c.Exchange.State)
			}
		}
	}
}

func TestKilledUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var last atomic.Int64 // ids given so far
	rounds, kept := 4, 0
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var timer *time.Timer
		var killedAt atomic.Int64
		shown, ended := make(map[int64]int64), make(map[int64]int64)
		var open int64
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				if err != io.EOF && !errors.Is(err, os.ErrClosed) {
					t.Fatal(err)
				}
				break
			}
			if timer == nil {
				timer = time.AfterFunc(time.Duration(600+round*150)*time.Millisecond, func() {
					killedAt.Store(time.Now().UnixMilli())
					cmd.Process.Kill()
				})
			}
			w := strings.Fields(line)
			if w[0] == "error" || len(w) < 3 {
				t.Fatal(line)
			}
			id, _ := strconv.ParseInt(w[1], 10, 64)
			n, _ := strconv.ParseInt(w[2], 10, 64)
			if round > 0 && id <= last.Load() {
				t.Fatalf("id %d was given in the round before, which ended with %d", id, last.Load())
			}
			switch w[0] {
			case "shown":
				shown[id] = n
			case "ended":
				ended[id] = n
			case "open":
				open = id
			}
		}
		cmd.Wait()
		killed := killedAt.Load()
		start := time.Now()
		s := openStore(t, Config{Dir: dir})
		if took := time.Since(start); took > time.Second {
			t.Errorf("round %d: opened in %v", round, took)
		}
		if len(shown) == 0 || len(ended) < 100 {
			t.Fatalf("round %d: %d shown, %d ended", round, len(shown), len(ended))
		}
		stored := make(map[int64]int64)
		for last := int64(0); ; {
			page, err := s.List(testContext(t), Query{ByID: true, After: last, Limit: maxLimit})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page.Exchanges {
				stored[x.ID], last = x.Seq, x.ID
			}
			if len(page.Exchanges) < maxLimit {
				break
			}
		}
		for id, seq := range shown {
			if stored[id] < seq {
				t.Fatalf("round %d: exchange %d was shown with seq %d, now %d", round, id, seq, stored[id])
			}
		}
		missing := 0
		for id, at := range ended {
			if stored[id] == 0 {
				missing++
				if killed-at > 500 {
					t.Fatalf("round %d: exchange %d ended %d ms before the kill and is gone", round, id, killed-at)
				}
			}
		}
		t.Logf("round %d: %d shown, %d ended, %d of them missing", round, len(shown), len(ended), missing)
		page, err := s.List(testContext(t), Query{Filter: parse(t, "is:open"), Total: true})
		if err != nil || page.Total != 0 {
			t.Errorf("round %d: %d still open, %v", round, page.Total, err)
		}
		if _, err := s.Get(testContext(t), open); err == nil {
			kept++
			// Its body is kept as far as it came.
			sub := subscribe(t, s, 0)
			for {
				x := get(t, s, open)
				if x.State != capture.StateFailed || x.Error == nil || !strings.Contains(x.Error.Message, "interrupted") {
					t.Fatalf("round %d: left open: %+v", round, x)
				}
				if x.Response != nil && x.Response.Content.Size >= 900_000 && x.Response.Truncated {
					if b := readBody(t, s, open, capture.SideResponse); int64(len(b)) != x.Response.Content.Size || b[len(b)-1] != 'y' {
						t.Errorf("round %d: kept %d of the body, row says %d", round, len(b), x.Response.Content.Size)
					}
					break
				}
				if _, err := sub.Next(testContext(t)); err != nil {
					t.Fatalf("round %d: the body of %d is not kept: %v", round, open, err)
				}
			}
		}
		checkIntegrity(t, s)
		last.Store(max(last.Load(), s.ids.Load()-leaseSize))
		for id := range ended {
			last.Store(max(last.Load(), id))
		}
		closeStore(t, s)
		if left, _ := filepath.Glob(filepath.Join(dir, "bodies", "tmp", "*")); len(left) > 0 {
			t.Errorf("round %d: left in tmp: %v", round, left)
		}
	}
	if kept == 0 {
		t.Error("no exchange was left open")
	}
}

// checkIntegrity holds the database against itself and the files against the database.
func checkIntegrity(t *testing.T, s *Store) {
	t.Helper()
	err := s.pool.use(testContext(t), func(c *conn) error {
		for sql, want := range map[string]string{
			"PRAGMA integrity_check": "ok",
			"SELECT count(*) FROM exchanges WHERE id NOT IN (SELECT id FROM details)":                     "0",
			"SELECT count(*) FROM details WHERE id NOT IN (SELECT id FROM exchanges)":                     "0",
			"SELECT count(*) FROM messages WHERE exchange NOT IN (SELECT id FROM exchanges)":              "0",
			"SELECT count(*) FROM details WHERE tls IS NOT NULL AND tls NOT IN (SELECT id FROM receipts)": "0",
			"SELECT count(*) - (SELECT count(DISTINCT seq) FROM exchanges) FROM exchanges":                "0",
			filesSQL + "SELECT count(*) FROM files LEFT JOIN named USING (hash) WHERE refs IS NOT n":      "0",
			filesSQL + "SELECT count(*) FROM named LEFT JOIN files USING (hash) WHERE refs IS NULL":       "0",
		} {
			row, err := oneText(c, sql)
			if err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
			if row != want {
				t.Errorf("%s: %s, want %s", sql, row, want)
			}
		}
		count, err := c.integer(testContext(t), "SELECT count(*) FROM exchanges")
		if err == nil && count != s.count.Load() {
			t.Errorf("%d exchanges, counted %d", count, s.count.Load())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = s.files.each(func(d digest) error {
		b, err := s.files.open(d[:])
		if err == nil {
			b.Close()
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

const filesSQL = `WITH named AS (SELECT hash, count(*) AS n FROM (SELECT req_file AS hash FROM details UNION ALL SELECT resp_file FROM details UNION ALL SELECT file FROM messages) WHERE hash IS NOT NULL GROUP BY hash) `
