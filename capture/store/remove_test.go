package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// bodyCount counts the files of bodies.
func bodyCount(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.files.each(func(digest) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func recordBody(s *Store, i int, body []byte) int64 {
	r := s.Begin(sample(i))
	r.Update(answer(200, "application/octet-stream"))
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 50_000)
		r.Body(capture.SideResponse, rest[:n])
		rest = rest[n:]
	}
	r.Finish(done)
	return r.ID()
}

func TestEqualLargeBodiesAreStoredOnce(t *testing.T) {
	s := openStore(t, Config{})
	large := bytes.Repeat([]byte("large "), 100_000)
	a, b := recordBody(s, 1, large), recordBody(s, 2, large)
	c := recordBody(s, 3, append(large, 'x'))
	flush(t, s)
	if n := bodyCount(t, s); n != 2 {
		t.Errorf("%d files", n)
	}
	checkIntegrity(t, s)
	remove := func(id int64, left int) {
		t.Helper()
		open, err := s.Body(testContext(t), id, capture.SideResponse)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		if n, err := s.Delete(testContext(t), parse(t, fmt.Sprint("id:", id))); err != nil || n != 1 {
			t.Errorf("removed %d, %v", n, err)
		}
		if n := bodyCount(t, s); n != left {
			t.Errorf("%d files left, want %d", n, left)
		}
		// Who reads goes on reading.
		p := make([]byte, 6)
		if _, err := open.ReadAt(p, 0); err != nil || string(p) != "large " {
			t.Errorf("read %q, %v", p, err)
		}
		checkIntegrity(t, s)
	}
	remove(a, 2)
	if got := readBody(t, s, b, capture.SideResponse); !bytes.Equal(got, large) {
		t.Errorf("the other one's body: %d bytes", len(got))
	}
	remove(b, 1)
	remove(c, 0)
}

func TestKeepLimit(t *testing.T) {
	for _, keep := range []int64{1, 1000, inlineLimit, inlineLimit + 1, 1 << 20} {
		s := openStore(t, Config{Keep: keep})
		for _, n := range []int64{keep - 1, keep, keep + 1, 2*keep + 70_000} {
			body := bytes.Repeat([]byte("0123456789"), int(n)/10+1)[:n]
			id := recordBody(s, 1, body)
			flush(t, s)
			x := get(t, s, id)
			if x.Response.BodySize != n || x.Response.Content.Size != min(n, keep) || x.Response.Truncated != (n > keep) {
				t.Errorf("keep %d of %d: %+v", keep, n, x.Response)
			}
			if got := readBody(t, s, id, capture.SideResponse); !bytes.Equal(got, body[:min(n, keep)]) {
				t.Errorf("keep %d of %d: kept %d", keep, n, len(got))
			}
		}
		closeStore(t, s)
	}
}

func TestDeleteSparesWhatRuns(t *testing.T) {
	s := openStore(t, Config{})
	for i := range 2*removeRows + 10 {
		record(s, i, 200+i%2, "x")
	}
	open := s.Begin(sample(1))
	if n, err := s.Delete(testContext(t), parse(t, "status:201")); err != nil || n != removeRows+5 {
		t.Errorf("deleted %d, %v", n, err)
	}
	if n, err := s.Delete(testContext(t), nil); err != nil || n != removeRows+5 {
		t.Errorf("deleted %d, %v", n, err)
	}
	open.Finish(done)
	flush(t, s)
	page, err := s.List(testContext(t), Query{Total: true})
	if err != nil || page.Total != 1 || len(page.Exchanges) != 1 || page.Exchanges[0].ID != open.ID() {
		t.Errorf("left %+v, %v", page, err)
	}
	checkIntegrity(t, s)
}

func TestIDsAreNeverGivenAgain(t *testing.T) {
	dir := t.TempDir()
	seen := make(map[int64]bool)
	var last int64
	for range 4 {
		s := openStore(t, Config{Dir: dir})
		for i := range 10 {
			id := record(s, i, 200, "x")
			if seen[id] || id <= last {
				t.Fatalf("id %d after %d", id, last)
			}
			if last != 0 && id != last+1 {
				t.Errorf("id %d after %d: an orderly stop leaves no hole", id, last)
			}
			seen[id], last = true, id
		}
		if _, err := s.Delete(testContext(t), nil); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
	}
}

func TestPrune(t *testing.T) {
	s := openStore(t, Config{})
	now := time.Now()
	at := func(i int, age time.Duration, source capture.Source) int64 {
		x := sample(i)
		x.Started, x.Source = now.Add(-age), source
		r := s.Begin(x)
		r.Update(answer(200, "text/plain"))
		r.Body(capture.SideResponse, bytes.Repeat([]byte{byte(i), 'x'}, 50_000))
		r.Finish(done)
		return r.ID()
	}
	var ids []int64
	for i := range 20 {
		ids = append(ids, at(i, time.Duration(20-i)*time.Hour, capture.SourceProxy))
	}
	imported := at(20, 1000*time.Hour, capture.SourceImport)
	mark := "keep"
	for _, i := range []int{2, 12} {
		if err := s.Annotate(testContext(t), ids[i], &mark, nil); err != nil {
			t.Fatal(err)
		}
	}
	left := func() []int64 { return found(t, s, "", Query{ByID: true, Limit: 100}) }
	want := append(slices.Clone(ids), imported)
	gone := func(is ...int) {
		want = slices.DeleteFunc(want, func(id int64) bool {
			return slices.ContainsFunc(is, func(i int) bool { return ids[i] == id })
		})
	}
	// By age: the marked stay, what was imported is as old as its neighbours.
	result, err := s.Prune(testContext(t), Prune{OlderThan: 15*time.Hour + time.Minute})
	gone(0, 1, 3, 4)
	if err != nil || result.Exchanges != 4 || result.Bytes <= 0 || !slices.Equal(left(), want) {
		t.Errorf("by age: %+v, %v, left %v, want %v", result, err, left(), want)
	}
	// By filter and age: what the filter names.
	result, err = s.Prune(testContext(t), Prune{Filter: parse(t, "is:marked"), OlderThan: 10 * time.Hour})
	gone(2)
	if err != nil || result.Exchanges != 1 || !slices.Equal(left(), want) {
		t.Errorf("by filter and age: %+v, %v, left %v, want %v", result, err, left(), want)
	}
	// By size: the oldest go, the marked stay, the space is given back.
	before := fileSize(s)
	result, err = s.Prune(testContext(t), Prune{MaxSize: 500_000})
	if err != nil || !slices.Contains(left(), ids[12]) || !slices.Contains(left(), imported) || slices.Contains(left(), ids[14]) {
		t.Errorf("by size: %+v, %v, left %v", result, err, left())
	}
	if size, err := s.size(testContext(t)); err != nil || size.total() > 600_000 || size.free > 0 {
		t.Errorf("by size: %+v, %v", size, err)
	}
	if after := fileSize(s); after >= before-500_000 {
		t.Errorf("the file had %d bytes, and has %d", before, after)
	}
	if result, err := s.Prune(testContext(t), Prune{}); err != nil || result.Exchanges != 0 {
		t.Errorf("the configured retention: %+v, %v", result, err)
	}
	checkIntegrity(t, s)
}

func fileSize(s *Store) int64 {
	fi, err := os.Stat(s.path())
	if err != nil {
		return -1
	}
	return fi.Size()
}

func TestRetentionIsApplied(t *testing.T) {
	s := openStore(t, Config{MaxSize: 2 << 20, MaxAge: time.Hour})
	old := sample(0)
	old.Started = time.Now().Add(-2 * time.Hour)
	r := s.Begin(old)
	r.Finish(done)
	for i := range 40 {
		recordBody(s, i, bytes.Repeat([]byte{byte(i)}, 300_000))
	}
	flush(t, s)
	s.retain(testContext(t))
	size, err := s.size(testContext(t))
	if err != nil || size.used() > 2<<20 || size.used() < 1<<20 {
		t.Errorf("%+v, %v", size, err)
	}
	if _, err := s.Get(testContext(t), r.ID()); err == nil {
		t.Error("the old one is still there")
	}
	checkIntegrity(t, s)
}

func TestOrphansAreSwept(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	id := recordBody(s, 1, bytes.Repeat([]byte("named "), 100_000))
	closeStore(t, s)
	orphan := filepath.Join(dir, "bodies", "ab", "ab"+strings.Repeat("0", 62))
	left := filepath.Join(dir, "bodies", "tmp", "1-response-9")
	for _, path := range []string{orphan, left} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("nobody's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = openStore(t, Config{Dir: dir})
	eventually(t, "sweeping", func() bool {
		_, err := os.Stat(orphan)
		_, lerr := os.Stat(left)
		return os.IsNotExist(err) && os.IsNotExist(lerr)
	})
	if n := len(readBody(t, s, id, capture.SideResponse)); n != 600_000 {
		t.Errorf("the named one has %d bytes", n)
	}
	checkIntegrity(t, s)
}

func TestAnnotate(t *testing.T) {
	s := openStore(t, Config{})
	running := s.Begin(sample(1))
	ended := record(s, 2, 200, "x")
	for _, id := range []int64{running.ID(), ended} {
		mark, comment := "red", "why?"
		if err := s.Annotate(testContext(t), id, &mark, nil); err != nil {
			t.Fatal(err)
		}
		seq := get(t, s, id).Seq
		if err := s.Annotate(testContext(t), id, nil, &comment); err != nil {
			t.Fatal(err)
		}
		if x := get(t, s, id); x.Mark != "red" || x.Comment != "why?" || x.Seq <= seq {
			t.Errorf("got %+v", x)
		}
	}
	running.Finish(done)
	flush(t, s)
	if x := get(t, s, running.ID()); x.Mark != "red" || x.Comment != "why?" || x.State != capture.StateDone {
		t.Errorf("got %+v", x)
	}
	none := ""
	if err := s.Annotate(testContext(t), ended, &none, &none); err != nil {
		t.Fatal(err)
	}
	if x := get(t, s, ended); x.Mark != "" || x.Comment != "" {
		t.Errorf("got %+v", x)
	}
	if err := s.Annotate(testContext(t), 999, &none, nil); err != capture.ErrNotFound {
		t.Errorf("unknown id: %v", err)
	}
}

func TestImport(t *testing.T) {
	s := openStore(t, Config{})
	x := sample(1)
	x.Source, x.Started, x.Time = capture.SourceImport, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), 42.5
	x.Request.BodySize = 77 // known, though it was not exported
	answer(200, "text/plain")(x)
	r := s.Begin(x)
	r.Body(capture.SideResponse, []byte("kept"))
	r.Message(capture.Message{Kind: "text", Direction: "sent", Time: x.Started, Data: []byte("hi")})
	r.Finish(done)
	flush(t, s)
	got := get(t, s, r.ID())
	if !got.Started.Equal(x.Started) || got.Time != 42.5 || got.Request.BodySize != 77 || got.Request.Truncated || got.Response.BodySize != 4 || got.State != capture.StateDone || got.Messages != 1 {
		t.Errorf("got %+v", got)
	}
	if ms, err := s.Messages(testContext(t), r.ID(), 0, 1); err != nil || len(ms) != 1 || !ms[0].Time.Equal(x.Started) {
		t.Errorf("got %+v, %v", ms, err)
	}
}
