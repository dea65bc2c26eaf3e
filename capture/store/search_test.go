package store

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"eaves/capture"
	"eaves/capture/filter"
)

// indexed waits until everything is in the text index; it returns false where there is none.
func indexed(t testing.TB, s *Store) bool {
	t.Helper()
	if s.index == nil {
		return false
	}
	for deadline := time.Now().Add(60 * time.Second); s.index.cursor.Load() < s.Seq(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the index does not catch up")
		}
	}
	return true
}

func found(t testing.TB, s *Store, f string, q Query) []int64 {
	t.Helper()
	q.Filter = parse(t, f)
	page, err := s.List(testContext(t), q)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	ids := make([]int64, 0)
	for _, x := range page.Exchanges {
		ids = append(ids, x.ID)
	}
	return ids
}

func recordText(s *Store, i int, header capture.Header, request, response []byte) int64 {
	x := sample(i)
	x.Request.Header = append(x.Request.Header, header...)
	r := s.Begin(x)
	r.Body(capture.SideRequest, request)
	r.Update(func(x *capture.Exchange) {
		answer(200, "text/plain")(x)
		x.Response.Header = slices.Clone(header)
	})
	r.Body(capture.SideResponse, response)
	r.Finish(done)
	return r.ID()
}

func plain(t string) capture.Header { return capture.Header{{Name: "Content-Type", Value: t}} }

func coded(t, coding string) capture.Header {
	return append(plain(t), capture.Field{Name: "content-encoding", Value: coding})
}

func TestBodySearch(t *testing.T) {
	s := openStore(t, Config{})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(`{"secret":"Überraschung im Paket"}`))
	z.Close()
	var brown bytes.Buffer
	b := brotli.NewWriter(&brown)
	b.Write([]byte("brotli says hello"))
	b.Close()
	long := strings.Repeat("lorem ipsum ", 100_000) + "the very end"
	ids := map[string]int64{
		"json":    recordText(s, 1, plain("application/json"), nil, []byte(`{"amount": 42, "Currency": "EUR"}`)),
		"gzip":    recordText(s, 2, coded("application/json", "gzip"), nil, zipped.Bytes()),
		"br":      recordText(s, 3, coded("text/html", "br"), nil, brown.Bytes()),
		"latin":   recordText(s, 4, plain("text/plain; charset=iso-8859-1"), nil, []byte("caf\xe9 cr\xe8me")),
		"image":   recordText(s, 5, plain("image/png"), nil, []byte("\x89PNG amount")),
		"asked":   recordText(s, 6, plain("text/plain"), []byte("amount in the question"), []byte("fine")),
		"nul":     recordText(s, 7, plain("text/plain"), nil, []byte("before\x00behind \"quoted\" AND OR *")),
		"long":    recordText(s, 8, plain("text/plain"), nil, []byte(long)),
		"utf16":   recordText(s, 9, plain("text/plain"), nil, []byte("\xff\xfeh\x00i\x00!\x00!\x00")),
		"binary":  recordText(s, 10, nil, nil, []byte("\x00\x01\x02amount")),
		"untyped": recordText(s, 11, nil, nil, []byte("no type, but text")),
		"broken":  recordText(s, 12, coded("text/plain", "gzip"), nil, append(zipped.Bytes()[:20:20], "junk"...)),
	}
	flush(t, s)
	check := func(when string) {
		t.Helper()
		for f, want := range map[string][]string{
			`body:AMOUNT`:                 {"json", "asked"},
			`req.body:amount`:             {"asked"},
			`resp.body:amount`:            {"json"},
			`body:currency`:               {"json"},
			`body:"überraschung im"`:      {"gzip"},
			`body:ÜBER`:                   {"gzip"},
			`body:"says hello"`:           {"br"},
			`body:"café crème"`:           {"latin"},
			`body:hind`:                   {"nul"},
			`body:"\"quoted\" and or *"`:  {"nul"},
			`body:"very end"`:             {"long"},
			`body:"hi!!"`:                 {"utf16"},
			`body:"but text"`:             {"untyped"},
			`body:42`:                     {"json"},
			`body:nowhere`:                nil,
			`body~"am.unt"`:               {"json", "asked"},
			`body:amount body:question`:   {"asked"},
			`body:currency or body:hello`: {"json", "br"},
			`-body:e host:host1.test`:     nil,
			`body:amount -body:currency`:  {"asked"},
		} {
			want := slices.Clone(want)
			var ids2 []int64
			for _, name := range want {
				ids2 = append(ids2, ids[name])
			}
			if f == `-body:e host:host1.test` {
				continue
			}
			slices.Sort(ids2)
			got := found(t, s, f, Query{ByID: true})
			if !slices.Equal(got, ids2) && len(got)+len(ids2) > 0 {
				t.Errorf("%s, %s: got %v, want %v (%v)", when, f, got, ids2, want)
			}
		}
	}
	check("before indexing")
	if !indexed(t, s) {
		t.Skip("this SQLite has no FTS5; run with -tags sqlite_fts5")
	}
	check("indexed")
	if n, err := s.Delete(testContext(t), parse(t, "body:currency")); err != nil || n != 1 {
		t.Errorf("deleted %d, %v", n, err)
	}
	delete(ids, "json")
	if got := found(t, s, "body:amount", Query{}); !slices.Equal(got, []int64{ids["asked"]}) {
		t.Errorf("after deleting: %v", got)
	}
	indexed(t, s)
	dir := s.cfg.Dir
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir})
	if got := found(t, s, "body:hello", Query{}); !slices.Equal(got, []int64{ids["br"]}) {
		t.Errorf("after a restart: %v", got)
	}
}

// The index only ever narrows down: with it, without it and by the filter's own predicate, the answer is one.
func TestBodySearchIsComplete(t *testing.T) {
	s := openStore(t, Config{})
	rnd := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("abAB ÄäßſKK\x00\"'é漢字𝔘e\u0301İıΣσς")
	random := func(n int) string {
		r := make([]rune, n)
		for i := range r {
			r[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return string(r)
	}
	texts := make(map[int64]string)
	for i := range 300 {
		text := random(rnd.IntN(60))
		texts[recordText(s, i, plain("text/plain; charset=utf-8"), nil, []byte(text))] = text
	}
	flush(t, s)
	rounds := []string{"scanning"}
	if s.index != nil {
		rounds = append(rounds, "indexed")
	}
	for _, round := range rounds {
		if round == "indexed" {
			indexed(t, s)
		}
		for range 150 {
			needle := random(1 + rnd.IntN(6))
			f := "body:" + quote(needle)
			if _, err := filter.Parse(f); err != nil {
				continue
			}
			var want []int64
			for id, text := range texts {
				if filter.Contains(text, needle) {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			if got := found(t, s, f, Query{ByID: true, Limit: 1000}); !slices.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("%s, %q: got %v, want %v", round, needle, got, want)
			}
		}
	}
}

func quote(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }

func TestBodySearchGoesByWindows(t *testing.T) {
	s := openStore(t, Config{})
	var all []int64
	for i := range 300 {
		id := recordText(s, i, plain("text/plain"), nil, []byte(fmt.Sprintf("common %03d", i)))
		all = append(all, id)
	}
	flush(t, s)
	s.ids.Add(3 * firstWindow) // a hole, as a crash leaves one
	last := recordText(s, 1000, plain("text/plain"), nil, []byte("common 1000"))
	flush(t, s)
	indexed(t, s)
	all = append(all, last)
	if got := found(t, s, "body:common", Query{ByID: true, Limit: 1000}); !slices.Equal(got, all) {
		t.Errorf("forwards: %d of %d", len(got), len(all))
	}
	slices.Reverse(all)
	if got := found(t, s, "body:common", Query{Limit: 1000}); !slices.Equal(got, all) {
		t.Errorf("backwards: %d of %d", len(got), len(all))
	}
	if got := found(t, s, "body:common", Query{Limit: 2, Before: last}); !slices.Equal(got, all[1:3]) {
		t.Errorf("before: %v", got)
	}
	if got := found(t, s, "body:common", Query{Limit: 2, After: all[2]}); !slices.Equal(got, []int64{all[1], all[0]}) {
		t.Errorf("after: %v", got)
	}
}

func TestDamagedIndexIsNoHindrance(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	if s.index == nil {
		t.Skip("this SQLite has no FTS5; run with -tags sqlite_fts5")
	}
	id := recordText(s, 1, plain("text/plain"), nil, []byte("to be found"))
	flush(t, s)
	indexed(t, s)
	closeStore(t, s)
	for name, damage := range map[string]func(b []byte) []byte{
		"text":      func([]byte) []byte { return []byte(strings.Repeat("no database ", 1000)) },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"garbage": func(b []byte) []byte {
			for i := 4096; i < len(b); i += 5 {
				b[i] ^= 0x55
			}
			return b
		},
		"gone": func([]byte) []byte { return nil },
	} {
		path := filepath.Join(dir, "search.db")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if b = damage(b); b == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		var said logged
		s := openStore(t, Config{Dir: dir, Log: said.log})
		if got := found(t, s, "body:found", Query{}); !slices.Equal(got, []int64{id}) {
			t.Errorf("%s: found %v, said %q", name, got, said.all())
		}
		closeStore(t, s)
	}
}
