package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"eaves/capture"
)

// logged collects what a store says.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) log(m string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, m)
}

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// eventually waits for something that the store does by itself.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// outside has the writer do something between its transactions.
func outside(t testing.TB, s *Store, f func(w *writer) error) {
	t.Helper()
	if err := s.do(testContext(t), &task{outside: true, run: func(w *writer) ([]int64, error) { return nil, f(w) }}); err != nil {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	var said logged
	s := openStore(t, Config{Log: said.log})
	record(s, 0, 200, "before")
	flush(t, s)
	outside(t, s, func(w *writer) error {
		n, err := w.conn.integer(testContext(t), "PRAGMA page_count")
		if err == nil {
			err = w.conn.exec(fmt.Sprintf("PRAGMA max_page_count = %d", n+50))
		}
		return err
	})
	// More than fits, and than is kept in memory meanwhile. Nobody waits for the disk.
	const total = failingRows + 3000
	body := strings.Repeat("x", 4000)
	began := time.Now()
	open := s.Begin(sample(1))
	for i := range total {
		record(s, i, 200, body)
		if i == 500 {
			eventually(t, "failing", func() bool { return s.Health().State == HealthFailing })
		}
	}
	open.Body(capture.SideResponse, []byte("more"))
	open.Finish(done)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("traffic took %v", took)
	}
	if h := s.Health(); h.State != HealthFailing || !strings.Contains(h.Message, "disk is full") || h.Hint == "" || h.Since.IsZero() {
		t.Errorf("health %+v", h)
	}
	eventually(t, "counting what is lost", func() bool { return s.Health().Lost > 0 })
	if n := s.queue.bytes.Load(); n > 2*failingRows*rowOverhead {
		t.Errorf("%d bytes wait", n)
	}
	if err := s.Flush(testContext(t)); err == nil {
		t.Error("Flush does not say that nothing can be written")
	}
	eventually(t, "saying so", func() bool { return len(said.all()) > 0 })
	if lines := said.all(); len(lines) != 1 || !strings.Contains(lines[0], "disk is full") {
		t.Errorf("said %q", lines)
	}
	// What is there can be read.
	if got := found(t, s, "is:done", Query{Limit: 1}); len(got) != 1 {
		t.Errorf("reading: %v", got)
	}
	// Space returns.
	eventually(t, "making room", func() bool {
		s.queue.add(entry{kind: entryTask, task: &task{outside: true, done: make(chan error, 1), run: func(w *writer) ([]int64, error) {
			return nil, w.conn.exec("PRAGMA max_page_count = 1000000")
		}}})
		return s.Health().State == HealthOK
	})
	flush(t, s)
	page, err := s.List(testContext(t), Query{Filter: parse(t, "method:GAP"), Limit: 10})
	if err != nil || len(page.Exchanges) != 1 {
		t.Fatalf("gaps: %+v, %v", page, err)
	}
	gap := page.Exchanges[0]
	var lost int64
	if _, err := fmt.Sscanf(gap.Error.Message, "%d exchanges", &lost); err != nil || lost <= 0 || !strings.Contains(gap.Error.Message, "disk is full") {
		t.Errorf("gap: %+v", gap.Error)
	}
	if n := s.count.Load() - 1; n+lost != total+2 {
		t.Errorf("%d recorded and %d lost of %d", n, lost, total+2)
	}
	// A machine under load may have more to say: of a disk that did not answer for a while.
	eventually(t, "saying how much is lost", func() bool {
		return slices.ContainsFunc(said.all(), func(line string) bool {
			return strings.Contains(line, "goes on") && strings.Contains(line, fmt.Sprint(lost))
		})
	})
	record(s, 1, 200, "after")
	flush(t, s)
	checkIntegrity(t, s)
}

// TestLostSpan: what is lost ends in another order than it began in.
func TestLostSpan(t *testing.T) {
	var said logged
	h := &health{broken: func(bool) {}}
	h.talk(said.log)
	h.fail(syscall.ENOSPC)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.Local)
	for _, at := range []time.Duration{7, 0, 9, 3} {
		h.lose(noon.Add(at * time.Second))
	}
	if lost := h.recover(); !lost.first.Equal(noon) || !lost.last.Equal(noon.Add(9*time.Second)) || lost.n != 4 {
		t.Errorf("got %+v", lost)
	}
	h.quiet()
	lines := said.all()
	if last := lines[len(lines)-1]; !strings.Contains(last, "4 exchanges were not recorded between 12:00:00 and 12:00:09") {
		t.Errorf("said %q", lines)
	}
}

func TestBodiesThatCannotBeWrittenAreCut(t *testing.T) {
	var said logged
	s := openStore(t, Config{Log: said.log})
	tmp := s.files.tmpDir()
	if err := os.Remove(tmp); err != nil {
		t.Fatal(err)
	}
	r := s.Begin(sample(1))
	r.Update(answer(200, "text/plain"))
	large := bytes.Repeat([]byte("0123456789"), 100_000)
	for i := 0; i < len(large); i += 10_000 {
		r.Body(capture.SideResponse, large[i:i+10_000])
	}
	r.Finish(done)
	flush(t, s)
	x := get(t, s, r.ID())
	if !x.Response.Truncated || x.Response.BodySize != int64(len(large)) || x.Response.Content.Size == 0 || x.Response.Content.Size > inlineLimit {
		t.Errorf("got %+v", x.Response)
	}
	if b := readBody(t, s, r.ID(), capture.SideResponse); int64(len(b)) != x.Response.Content.Size || !bytes.HasPrefix(large, b) {
		t.Errorf("kept %d", len(b))
	}
	if h := s.Health(); h.State != HealthDegraded || h.Message == "" {
		t.Errorf("health %+v", h)
	}
	eventually(t, "saying so", func() bool { return len(said.all()) > 0 })
	if lines := said.all(); len(lines) != 1 || !strings.Contains(lines[0], "cut") {
		t.Errorf("said %q", lines)
	}
}

func TestReplacedDatabaseIsSaid(t *testing.T) {
	s := openStore(t, Config{})
	if err := os.Rename(s.path(), s.path()+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "failing", func() bool { return s.Health().State == HealthFailing })
	record(s, 1, 200, "x")
	if h := s.Health(); !strings.Contains(h.Message, "removed or replaced") {
		t.Errorf("health %+v", h)
	}
	if err := os.Rename(s.path()+".away", s.path()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "going on", func() bool { return s.Health().State == HealthOK })
	flush(t, s)
	if n := s.count.Load(); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

func TestBackPressure(t *testing.T) {
	s := openStore(t, Config{})
	hold, held := make(chan struct{}), make(chan struct{})
	s.queue.add(entry{kind: entryTask, task: &task{outside: true, done: make(chan error, 1), run: func(*writer) ([]int64, error) {
		close(held)
		<-hold
		return nil, nil
	}}})
	<-held
	// The writer stands still: large bodies are cut, then who records waits.
	large := s.Begin(sample(1))
	large.Update(answer(200, "text/plain"))
	chunk := bytes.Repeat([]byte("y"), 64<<10)
	for range 2 * pressedKeep / len(chunk) {
		large.Body(capture.SideResponse, chunk)
	}
	waits := make(chan int)
	go func() {
		body := strings.Repeat("x", 200_000)
		for i := range 1000 {
			record(s, i, 200, body)
			if s.queue.bytes.Load() >= queueLimit {
				waits <- i
				for range 10 {
					record(s, i, 200, body)
				}
				break
			}
		}
		close(waits)
	}()
	n := <-waits
	if got := s.queue.bytes.Load(); got < queueLimit || got > queueLimit+(1<<20) {
		t.Errorf("%d bytes wait", got)
	}
	select {
	case <-waits:
		t.Error("nobody waits")
	case <-time.After(50 * time.Millisecond):
	}
	close(hold)
	<-waits
	large.Finish(done)
	flush(t, s)
	if got := s.count.Load(); got != int64(n+1+10+1) {
		t.Errorf("%d exchanges, want %d", got, n+12)
	}
	if bytes := s.queue.bytes.Load(); bytes != 0 {
		t.Errorf("%d bytes wait at the end", bytes)
	}
	if held := s.held.Load(); held != 0 {
		t.Errorf("%d bytes held at the end", held)
	}
}

// A writer that hangs in one commit holds up nobody for long, and memory stays bounded.
func TestHangingDisk(t *testing.T) {
	var said logged
	s := openStore(t, Config{Log: said.log})
	hold, held := make(chan struct{}), make(chan struct{})
	s.queue.add(entry{kind: entryTask, task: &task{outside: true, done: make(chan error, 1), run: func(*writer) ([]int64, error) {
		close(held)
		<-hold
		return nil, nil
	}}})
	<-held
	s.writer.busySince.Store(time.Now().Add(-time.Hour).UnixMicro())
	eventually(t, "failing", func() bool { return s.Health().State == HealthFailing })
	const total = 10_000
	body := strings.Repeat("x", 8000)
	for i := range total {
		record(s, i, 200, body)
	}
	if n := s.queue.bytes.Load(); n > 2*queueLimit {
		t.Errorf("%d bytes wait", n)
	}
	lost := s.Health().Lost
	if lost == 0 || s.open.n.Load() != total-lost {
		t.Errorf("%d lost, %d in memory", lost, s.open.n.Load())
	}
	close(hold)
	eventually(t, "going on", func() bool {
		record(s, 1, 200, "again")
		return s.Health().State == HealthOK
	})
	flush(t, s)
	if got := found(t, s, "method:GAP", Query{}); len(got) != 1 {
		t.Errorf("gaps: %v", got)
	}
	if n := s.count.Load(); n < total-lost+2 {
		t.Errorf("%d recorded, %d lost of %d", n, lost, total)
	}
	checkIntegrity(t, s)
}

func TestLargeBodiesAreCutUnderPressure(t *testing.T) {
	s := openStore(t, Config{})
	r := s.Begin(sample(1))
	r.Update(answer(200, "text/plain"))
	chunk := bytes.Repeat([]byte("y"), 64<<10)
	for range pressedKeep/len(chunk) + 1 {
		r.Body(capture.SideResponse, chunk)
	}
	s.queue.bytes.Add(queueLimit / 2)
	s.writer.slow.Store(true)
	r.Body(capture.SideResponse, chunk)
	s.queue.bytes.Add(-queueLimit / 2)
	r.Body(capture.SideResponse, chunk)
	r.Finish(done)
	flush(t, s)
	x := get(t, s, r.ID())
	if want := int64(pressedKeep + len(chunk)); !x.Response.Truncated || x.Response.Content.Size != want || x.Response.BodySize != want+2*int64(len(chunk)) {
		t.Errorf("got %+v", x.Response)
	}
}

func TestDamagedDatabases(t *testing.T) {
	whole := t.TempDir()
	s := openStore(t, Config{Dir: whole})
	for i := range 500 {
		record(s, i, 200, strings.Repeat("text ", 500))
	}
	closeStore(t, s)
	good, err := os.ReadFile(filepath.Join(whole, "eaves.db"))
	if err != nil {
		t.Fatal(err)
	}
	damage := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for name, c := range map[string]struct {
		content []byte
		want    string // in the error; "" where it may be found later
	}{
		"no database":    {[]byte(strings.Repeat("this is a text file\n", 1000)), "no SQLite database"},
		"short":          {good[:50], "no SQLite database"},
		"truncated":      {good[:len(good)/2], "damaged"},
		"truncated odd":  {good[:len(good)-1000], "damaged"},
		"schema zeroed":  {damage(func(b []byte) []byte { clear(b[100:pageSize]); return b }), "damaged"},
		"schema garbage": {damage(func(b []byte) []byte { copy(b[100:], bytes.Repeat([]byte{0xa5}, pageSize-100)); return b }), "damaged"},
		"pages zeroed":   {damage(func(b []byte) []byte { clear(b[3*pageSize : 40*pageSize]); return b }), ""},
		"pages garbage": {damage(func(b []byte) []byte {
			for i := 2 * pageSize; i < len(b); i += 3 {
				b[i] ^= 0x5a
			}
			return b
		}), ""},
		"empty file": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "eaves.db")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			var said logged
			s, err := Open(testContext(t), Config{Dir: dir, Log: said.log})
			if err != nil {
				var o *OpenError
				if !errors.As(err, &o) || o.Hint == "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
					t.Errorf("refused with %v", err)
				}
				if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, c.content) {
					t.Errorf("what was refused was changed: %v", err)
				}
				return
			}
			if c.want != "" {
				t.Errorf("not refused")
			}
			// Damage that is found later: traffic goes on, and it is said.
			for i := range 300 {
				record(s, i, 200, strings.Repeat("more ", 500))
			}
			ferr := s.Flush(testContext(t))
			_, lerr := s.List(testContext(t), Query{Limit: maxLimit})
			if name != "empty file" && ferr == nil && lerr == nil && s.Health().State == HealthOK {
				t.Errorf("nobody is told of the damage")
			}
			state := s.Health().State
			s.Close(testContext(t))
			if ferr != nil && (state != HealthFailing || len(said.all()) == 0) {
				t.Errorf("%v, health %s, said %q", ferr, state, said.all())
			}
		})
	}
}

// Damage that only readers meet is said as loudly as damage that stops the writer.
func TestDamageThatReadersMeetIsSaid(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	for i := range 500 {
		s.Begin(sample(i)).Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
	}
	closeStore(t, s)
	path := filepath.Join(dir, "eaves.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 8192
	var said logged
	// Some pages are read on start, and damage in them is said there.
	for n := len(b)/page - 1; ; n-- {
		if n < 1 {
			t.Fatal("no page could be spoiled without being noticed on start")
		}
		spoiled := bytes.Clone(b)
		copy(spoiled[n*page:], bytes.Repeat([]byte{0xa5}, page))
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(testContext(t), Config{Dir: dir, Log: said.log}); err != nil {
			continue
		}
		if _, err := s.List(testContext(t), Query{Filter: parse(t, "path:nowhere"), Limit: 500}); err != nil {
			break
		}
		closeStore(t, s)
	}
	defer s.Close(testContext(t)) // what is damaged need not close in order
	eventually(t, "damage to be said", func() bool { return strings.Contains(strings.Join(said.all(), "\n"), "the database is damaged") })
	if h := s.Health(); h.State == HealthOK || h.Hint == "" {
		t.Errorf("health %+v", h)
	}
}
