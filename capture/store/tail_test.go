package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// noted is a statement as the tail gives it back.
type noted struct {
	number uint8
	values []driver.Value
}

func readTail(t *testing.T, tl *tail, revision int64) (got []noted, err error) {
	t.Helper()
	err = tl.read(revision, func(number uint8, args []driver.NamedValue) error {
		n := noted{number: number}
		for i, a := range args {
			if a.Ordinal != i+1 {
				t.Errorf("argument %d has ordinal %d", i, a.Ordinal)
			}
			n.values = append(n.values, a.Value)
		}
		got = append(got, n)
		return nil
	})
	return got, err
}

func note(tl *tail, number uint8, values ...any) noted {
	tl.note(number, named(values))
	n := noted{number: number}
	for _, v := range named(values) {
		n.values = append(n.values, v.Value)
	}
	return n
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tail")
	tl := newTail(path, []string{"INSERT"})
	defer tl.remove()
	if err := tl.open(); err != nil {
		t.Fatal(err)
	}
	want := []noted{
		note(tl, 0, nil, int64(0), int64(-1), int64(math.MaxInt64), int64(math.MinInt64), 1.5, math.Inf(-1), "", "text\x00", []byte{}, []byte{0, 1, 255}),
		note(tl, 1),
	}
	if err := tl.write(7); err != nil {
		t.Fatal(err)
	}
	want = append(want, note(tl, 2, strings.Repeat("x", 100_000)))
	if err := tl.write(7); err != nil {
		t.Fatal(err)
	}
	fresh := func() *tail { return newTail(path, []string{"INSERT"}) }
	if got, err := readTail(t, fresh(), 7); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, other := range []struct {
		tail     *tail
		revision int64
	}{{fresh(), 8}, {newTail(path, []string{"REPLACE"}), 7}, {newTail(path+"-none", nil), 7}} {
		if got, err := readTail(t, other.tail, other.revision); len(got) != 0 || err != nil {
			t.Errorf("another database got %v, %v", got, err)
		}
	}
	// Cut anywhere, as by a disk that was full, it gives whole batches.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if n > 200 && n < len(whole)-200 && n%997 != 0 {
			continue
		}
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readTail(t, fresh(), 7)
		if err != nil || len(got) != 0 && len(got) != 2 || len(got) == 2 && !reflect.DeepEqual(got, want[:2]) {
			t.Fatalf("cut at %d: %d statements, %v", n, len(got), err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	// Written anew, what stands behind is of before.
	tl.reset()
	again := []noted{note(tl, 3, "a")}
	if err := tl.write(9); err != nil {
		t.Fatal(err)
	}
	if got, err := readTail(t, fresh(), 9); err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("got %v, %v", got, err)
	}
	tl.empty()
	if fi, err := os.Stat(path); err != nil || fi.Size() != 0 {
		t.Errorf("emptied, it is %v, %v", fi, err)
	}
}

func FuzzTail(f *testing.F) {
	tl := newTail(filepath.Join(f.TempDir(), "seed"), nil)
	note(tl, 0, nil, int64(5), 2.5, "text", []byte("bytes"))
	f.Add(tl.record[tailRecord:])
	f.Add([]byte{0, 1, 's', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		back := newTail("", nil)
		err := statements(b, func(number uint8, args []driver.NamedValue) error {
			back.note(number, args)
			return nil
		})
		if err != nil {
			return
		}
		// What can be read is written the same way, but for numbers that are longer than they need to be.
		var first, second []noted
		into := func(to *[]noted) func(uint8, []driver.NamedValue) error {
			return func(number uint8, args []driver.NamedValue) error {
				*to = append(*to, noted{number, []driver.Value{fmt.Sprintf("%#v", args)}})
				return nil
			}
		}
		_ = statements(b, into(&first))
		if err := statements(back.record[tailRecord:], into(&second)); err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%x became %x: %v", b, back.record, err)
		}
	})
}

// flood records until it is killed, as fast as the writer keeps up, and says after each thousand how many have ended.
func flood(dir string) {
	s, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for n := 1; ; n++ {
		record(s, n, 200, fmt.Sprintf("body %d", n))
		if n%10 == 0 {
			time.Sleep(time.Millisecond)
		}
		if n%1000 == 0 {
			fmt.Println(n)
		}
	}
}

func TestWhatATransactionHeldIsThereAfterAKill(t *testing.T) {
	recovered := 0
	for round := range 6 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir, floodChild+"=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		said := make([]byte, 0, 1<<10)
		for bytes.Count(said, []byte("\n")) < 3 {
			var p [64]byte
			n, err := out.Read(p[:])
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, p[:n]...)
		}
		cmd.Process.Kill()
		cmd.Wait()

		ctx := testContext(t)
		c, err := openDatabase(ctx, filepath.Join(dir, "eaves.db"))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := c.integer(ctx, "SELECT count(*) FROM exchanges")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		s := openStore(t, Config{Dir: dir})
		page, err := s.List(ctx, Query{Limit: 1, Total: true})
		if err != nil || page.Total < committed {
			t.Fatalf("round %d: %d were committed, now there are %d, %v", round, committed, page.Total, err)
		}
		if page.Total > committed {
			recovered++
			// The last of them are whole.
			x := get(t, s, page.Exchanges[0].ID)
			if b := readBody(t, s, x.ID, capture.SideResponse); !strings.HasPrefix(string(b), "body ") || x.State != capture.StateDone && x.State != capture.StateFailed {
				t.Errorf("round %d: exchange %d is %s with body %q", round, x.ID, x.State, b)
			}
		}
		t.Logf("round %d: %d committed, %d recovered", round, committed, page.Total-committed)
		checkIntegrity(t, s)
		if fi, err := os.Stat(filepath.Join(dir, "eaves.tail")); err != nil || fi.Size() != 0 {
			t.Errorf("the tail is %v, %v", fi, err)
		}
		// It goes on from there.
		if id := record(s, 1, 200, "x"); id <= page.Exchanges[0].ID {
			t.Errorf("round %d: id %d after %d", round, id, page.Exchanges[0].ID)
		}
	}
	if recovered == 0 {
		t.Error("no kill met an open transaction")
	}
}

// A start that is killed before it has emptied the tail has put into the database what stood there: the next one does not run
// it again.
func TestTailIsRunOnce(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	record(s, 1, 200, "body")
	flush(t, s)
	revision, number := s.Seq(), s.writer.countFile.number
	tl := &tail{path: filepath.Join(dir, "eaves.tail"), schema: s.writer.tail.schema, record: make([]byte, tailRecord)}
	closeStore(t, s)
	if err := tl.open(); err != nil {
		t.Fatal(err)
	}
	note(tl, number, bytes.Repeat([]byte{7}, len(digest{})), int64(5)) // of a message: no row of an exchange has its revision
	if err := tl.write(revision); err != nil {
		t.Fatal(err)
	}
	tl.shut()
	written, err := os.ReadFile(tl.path)
	if err != nil {
		t.Fatal(err)
	}
	for start := range 2 {
		if err := os.WriteFile(tl.path, written, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, Config{Dir: dir})
		refs, err := s.ids64(testContext(t), "SELECT sum(refs) FROM files", nil)
		if err != nil || len(refs) != 1 || refs[0] != 1 {
			t.Errorf("after start %d the file is named %v times, %v", start+1, refs, err)
		}
		if s.Seq() <= revision {
			t.Errorf("after start %d the last revision is %d", start+1, s.Seq())
		}
		closeStore(t, s)
	}
}

// What comes in the very moment in which the store closes is committed, not left in a transaction that nobody ends.
func TestCloseUnderLoadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	total := 0
	for round := range 8 {
		s := openStore(t, Config{Dir: dir})
		// Until the writer is loaded, and so gathers and leaves transactions open.
		for began := time.Now(); time.Since(began) < 2*sweepEvery+sweepEvery/2; total++ {
			record(s, total, 200, "body")
			if total%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		s.Begin(sample(total))
		total++
		if err := s.Close(testContext(t)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	s := openStore(t, Config{Dir: dir})
	page, err := s.List(testContext(t), Query{Limit: 1, Total: true})
	if err != nil || page.Total != int64(total) {
		t.Errorf("%d were recorded, %d are there, %v", total, page.Total, err)
	}
}
