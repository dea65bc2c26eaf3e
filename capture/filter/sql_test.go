//go:build cgo

package filter

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"eaves/capture"
)

// testBodies answers for bodies the slow way: with the functions that the store would use to verify.
type testBodies struct{}

func (testBodies) Contains(side capture.Side, needle string) (string, []any) {
	return "test_body(x.id, ?, 0, ?)", []any{string(side), needle}
}

func (testBodies) Matches(side capture.Side, pattern string) (string, []any) {
	return "test_body(x.id, ?, 1, ?)", []any{string(side), pattern}
}

type testStore struct {
	db        *sql.DB
	exchanges []*capture.Exchange
	bodies    map[int64]map[capture.Side]string
}

type connector struct {
	hook func(*sqlite3.SQLiteConn) error
}

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open("file::memory:")
}

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{ConnectHook: c.hook} }

func newTestStore(t testing.TB, exchanges []*capture.Exchange, bodies map[int64]map[capture.Side]string) *testStore {
	t.Helper()
	s := &testStore{exchanges: exchanges, bodies: bodies}
	s.db = sql.OpenDB(connector{func(c *sqlite3.SQLiteConn) error {
		for name, f := range Functions() {
			if err := c.RegisterFunc(name, f, true); err != nil {
				return err
			}
		}
		return c.RegisterFunc("test_body", func(id int64, side string, re int64, operand string) (bool, error) {
			m, err := newTextMatch([]mode{modeContains, modeRegexp}[re], operand)
			return bodyTest{capture.Side(side), m}.match(&subject{Subject: Subject{Body: s.body(id)}}), err
		}, true)
	}})
	s.db.SetMaxOpenConns(1)
	t.Cleanup(func() { s.db.Close() })
	schema, err := os.ReadFile("../../migrations/0001_exchanges.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(string(schema)); err != nil {
		t.Fatal(err)
	}
	names := Columns()
	insert := "INSERT INTO exchanges (seq, " + strings.Join(names, ", ") + ") VALUES (1" + strings.Repeat(", ?", len(names)) + ")"
	for _, x := range exchanges {
		if _, err := s.db.Exec(insert, Row(nil, x)...); err != nil {
			t.Fatal(err)
		}
		var resp any
		if x.Response != nil {
			resp = headerJSON(t, x.Response.Header)
		}
		if _, err := s.db.Exec("INSERT INTO details (id, req_headers, resp_headers) VALUES (?, ?, ?)", x.ID, headerJSON(t, x.Request.Header), resp); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func headerJSON(t testing.TB, h capture.Header) any {
	if h == nil {
		return nil
	}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *testStore) body(id int64) func(capture.Side) string {
	return func(side capture.Side) string { return s.bodies[id][side] }
}

// ids asks the database.
func (s *testStore) ids(f *Filter, now time.Time) (map[int64]bool, error) {
	where, args := f.SQLAt(testBodies{}, now)
	query := "SELECT x.id FROM exchanges AS x"
	if f.NeedsDetails() {
		query += " JOIN details AS d ON d.id = x.id"
	}
	rows, err := s.db.Query(query+" WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	defer rows.Close()
	found := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		found[id] = true
	}
	return found, rows.Err()
}

// compare reports whether both compilations of f agree on all exchanges, and on how many it is true.
func (s *testStore) compare(t testing.TB, f *Filter, now time.Time) int {
	t.Helper()
	found, err := s.ids(f, now)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	for _, x := range s.exchanges {
		if got := f.Match(Subject{Exchange: x, Body: s.body(x.ID), Now: now}); got != found[x.ID] {
			where, args := f.SQLAt(testBodies{}, now)
			j, _ := json.Marshal(x)
			t.Fatalf("%s: the predicate says %v, SQL %v\nSQL: %s %q\n%s", f, got, found[x.ID], where, args, j)
		}
	}
	return len(found)
}

func (g gen) store(t testing.TB, n int, now time.Time) *testStore {
	var exchanges []*capture.Exchange
	bodies := map[int64]map[capture.Side]string{}
	for id := int64(1); id <= int64(n); id++ {
		exchanges = append(exchanges, g.exchange(id, now))
		bodies[id] = map[capture.Side]string{capture.SideRequest: g.text(), capture.SideResponse: g.text() + "\n" + g.text()}
	}
	return newTestStore(t, exchanges, bodies)
}

func TestBothCompilationsAgree(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := gen{rand.New(rand.NewPCG(seed, 1))}
	s := g.store(t, 300, exampleNow)
	asked, mistaken, some := 0, 0, map[string]bool{}
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	for range rounds {
		text := strings.ToValidUTF8(g.filter(g.IntN(4)), "?")
		f, err := Parse(text)
		if err != nil {
			mistaken++
			continue
		}
		asked++
		if n := s.compare(t, f, exampleNow); n > 0 && n < len(s.exchanges) {
			f.any(func(a *atom) bool { some[a.field.name] = true; return false })
		}
	}
	if mistaken > asked/5 {
		t.Errorf("%d of %d filters had a mistake: the test asks too little", mistaken, mistaken+asked)
	}
	for _, f := range fields {
		if !some[f.name] && !testing.Short() {
			t.Errorf("no filter with %s told exchanges apart", f.name)
		}
	}
}

func TestExamplesAgree(t *testing.T) {
	x := example()
	s := newTestStore(t, []*capture.Exchange{x}, map[int64]map[capture.Side]string{x.ID: {capture.SideRequest: bodyOf(capture.SideRequest), capture.SideResponse: bodyOf(capture.SideResponse)}})
	for _, text := range []string{"", "at:10m..", "took>=..5", "took>100..", "took<..5", "cert.expires:30d", "*a*e*i*o*u*", strings.Repeat("é", 2000), strings.Repeat("x", 2000), "bank*x*"} {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		s.compare(t, f, exampleNow)
	}
}

// What the language allows, SQLite has to take.
func TestSQLiteTakesTheLargestFilters(t *testing.T) {
	s := newTestStore(t, []*capture.Exchange{example()}, nil)
	var many []string
	for i := range maxOperand {
		many = append(many, fmt.Sprint("w", i))
	}
	for name, text := range map[string]string{
		"deepest":     strings.Repeat("(x or not ", maxDepth/2) + "y" + strings.Repeat(")", maxDepth/2),
		"most words":  strings.Repeat("xy ", maxAtoms),
		"most or":     "a" + strings.Repeat(" or xy", maxAtoms-1),
		"longest set": "path in (" + strings.Join(many, ",") + ")",
		"most ids":    "id in (" + strings.Join(strings.Split(strings.Repeat("1 ", maxOperand-1)+"2", " "), ",") + ")",
	} {
		f, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.compare(t, f, exampleNow)
	}
	for _, text := range []string{strings.Repeat("(", maxDepth+1), strings.Repeat("-", maxDepth+2) + "x", strings.Repeat("xy ", maxAtoms+1), strings.Repeat("x", maxBytes+1), strings.Repeat("not ", maxDepth+1) + "x"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%.10s… was taken", text)
		}
	}
}

func TestAnIndexServes(t *testing.T) {
	s := newTestStore(t, nil, nil)
	if _, err := s.db.Exec(`CREATE INDEX i_host ON exchanges(host); CREATE INDEX i_status ON exchanges(status); CREATE INDEX i_state ON exchanges(state); CREATE INDEX i_method ON exchanges(method COLLATE NOCASE)`); err != nil {
		t.Fatal(err)
	}
	for text, index := range map[string]string{"host:a.test": "i_host", "host in (a.test,b.test)": "i_host", "host:a.test:443 path:x": "i_host", "status:404": "i_status", "status:4xx": "i_status", "is:open": "i_state", "method:GET": "i_method", "id:7": "INTEGER PRIMARY KEY"} {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		where, args := f.SQL(nil)
		var id, parent, unused int
		var plan string
		if err := s.db.QueryRow("EXPLAIN QUERY PLAN SELECT x.id FROM exchanges AS x WHERE "+where, args...).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, "SEARCH") || !strings.Contains(plan, index) {
			t.Errorf("%s: %s", text, plan)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "host:*.bank.test cert.asked -cert.sent", `method in (POST, PUT) body:"amount" took>800ms`, "error:tls at:10m..", "/a(b|c)/ or not (x y)", `header[x-a]~"\d+"`, "a(b", "path~(a|b)", "took> =5", "x in (1)", "error and in and (x)", "--x", "-", "url://x"} {
		f.Add(s)
	}
	g := gen{rand.New(rand.NewPCG(1, 1))}
	for range 50 {
		f.Add(g.filter(3))
	}
	s := g.store(f, 40, exampleNow)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(filter.String())
		if err != nil {
			t.Fatalf("%q is written %q, and that: %v", text, filter.String(), err)
		}
		if again.String() != filter.String() {
			t.Fatalf("%q is written %q, and that %q", text, filter.String(), again.String())
		}
		where, args := filter.SQLAt(testBodies{}, exampleNow)
		againWhere, againArgs := again.SQLAt(testBodies{}, exampleNow)
		if where != againWhere || fmt.Sprint(args...) != fmt.Sprint(againArgs...) {
			t.Fatalf("%q and %q mean different things: %s %v, %s %v", text, filter.String(), where, args, againWhere, againArgs)
		}
		s.compare(t, filter, exampleNow)
		_ = filter.RequestOnly()
	})
}
