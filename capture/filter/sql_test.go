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

// gen makes random exchanges and filters that have something to do with each other.
type gen struct{ *rand.Rand }

func pick[T any](g gen, values ...T) T { return values[g.IntN(len(values))] }

func (g gen) maybe() bool { return g.IntN(2) == 0 }

// text is something that may stand anywhere.
func (g gen) text() string {
	return pick(g, "", "a", "A", "bank", "Bank", "Ärzte", "ärzte", "STRASSE", "straße", "İ", "i", "K", "k", "K", "ſ", "s", "100%", "a_b", "a\\b", "x*y", `say "hi"`, "a b", "(a)",
		"caf\xe9", "café", "nul\x00l", "nul", "7", "3.5", "1e3", "NaN", "line\nfeed", "TLS 1.2", "not", "or", "ς", "Σ", "日本")
}

func (g gen) host() string {
	return pick(g, "a.test", "A.Test", "api.bank.test", "bank.test", "xbank.test", "10.0.0.7", "10.1.2.3", "[2001:db8::1]", "[::ffff:10.0.0.7]", "localhost", "bücher.test",
		"xn--bcher-kva.test", "a_b.test", "axb.test", ".bank.test", "a.test..", "[[::1].]", "ｂücher。test。", "", "10.0.0.7.evil.test", "3128")
}

func (g gen) number() int64 {
	return pick[int64](g, -1, 0, 1, 7, 80, 200, 204, 399, 400, 404, 499, 500, 1023, 1024, 1025, 1<<20, 1<<40)
}

func (g gen) ms() float64 { return pick[float64](g, -1, 0, 0.5, 1, 12.3, 799.999, 800, 1000, 60000) }

func (g gen) header() capture.Header {
	var h capture.Header
	if g.maybe() {
		h = capture.Header{}
	}
	for range g.IntN(4) {
		h = append(h, capture.Field{Name: pick(g, "X-A", "x-a", "Content-Length", "X-ü", "x<a", "Via"), Value: g.text()})
	}
	return h
}

func (g gen) time(now time.Time) time.Time {
	return now.Add(pick[time.Duration](g, 0, time.Microsecond, -time.Microsecond, time.Minute, -time.Minute, -10*time.Minute, -10*time.Minute-time.Microsecond, time.Hour, -24*time.Hour, 24*time.Hour, 400*24*time.Hour))
}

func (g gen) exchange(id int64, now time.Time) *capture.Exchange {
	x := &capture.Exchange{
		ID: id, Kind: pick(g, capture.KindHTTP, capture.KindWebSocket, capture.KindTunnel), State: pick(g, capture.StateOpen, capture.StateDone, capture.StateFailed),
		Source: pick(g, capture.SourceProxy, capture.SourceReplay, capture.SourceImport), Started: g.time(now), Time: g.ms(),
		Client: capture.Client{Address: pick(g, "", "127.0.0.1:5000", "[::1]:80", "10.0.0.7:443", g.text()), Run: g.text()},
		Request: capture.Request{Method: pick(g, "GET", "get", "POST", "PÖST", g.text()), HTTPVersion: pick(g, "", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "HTTP/2.0", "h2", "http/1.1"),
			URL:    pick(g, "http", "HTTPS", "ws", "tcp", "x") + "://" + pick(g, "", "user:pw@") + g.host() + pick(g, "", ":80", ":443", ":8443", ":x", ":") + pick(g, "", "/", "/"+g.text()) + pick(g, "", "?", "?"+g.text()) + pick(g, "", "#f"),
			Header: g.header(), BodySize: g.number()},
		Timings: capture.Timings{Blocked: g.ms(), DNS: g.ms(), Connect: g.ms(), Send: g.ms(), Wait: g.ms()}, AnsweredBy: pick(g, "", capture.AnsweredByOrigin, capture.AnsweredByProxy, capture.AnsweredByEaves),
		ReplayOf: pick[int64](g, 0, 1, 7), Mark: pick(g, "", g.text()), Comment: pick(g, "", g.text()),
	}
	if g.IntN(8) == 0 {
		x.Request.URL = g.text()
	}
	if g.maybe() {
		x.Response = &capture.Response{Status: int(pick(g, 0, 101, 200, 204, 400, 403, 499, 500)), BodySize: g.number(), Header: g.header(), Content: capture.Content{MimeType: pick(g, "", "text/html; charset=x", "Application/JSON", g.text())}}
	}
	if g.maybe() {
		x.Route = &capture.Route{Source: pick(g, "custom", "direct"), Reason: pick(g, "", "bypass *.corp.test", "bypass ", g.text())}
		for range g.IntN(3) {
			x.Route.Hops = append(x.Route.Hops, capture.Hop{Kind: pick(g, "http", "origin"), Address: g.host() + pick(g, "", ":3128", ":443"), Status: pick(g, 0, 200, 407)})
		}
	}
	if g.maybe() {
		x.TLS = &capture.TLS{Version: pick(g, "", "TLS 1.2", "tls 1.3", "TLS 1.0", g.text()), CipherSuite: g.text(), ALPN: pick(g, "", "h2", "http/1.1"), ServerName: g.host(), Verified: g.maybe()}
		if g.maybe() {
			x.TLS.ClientCertificate = &capture.ClientCertificate{Requested: g.maybe(), Rule: pick(g, "", "*.bank.test"), Verdict: pick(g, "", "accepted", "Rejected", "no-rule", "odd"), Alert: pick(g, "", "unknown_ca", g.text())}
			if g.maybe() {
				x.TLS.ClientCertificate.Sent = &capture.Certificate{Subject: g.text(), NotAfter: pick(g, time.Time{}, g.time(now))}
			}
		}
	}
	if g.maybe() {
		x.Error = &capture.Error{Stage: pick(g, "", capture.StageTLS, "TLS", "odd"), Message: g.text()}
	}
	return x
}

// filter writes a random filter, most of them without mistakes.
func (g gen) filter(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return g.filter(depth-1) + pick(g, " ", " and ", " AND ") + g.filter(depth-1)
		case 1:
			return "(" + g.filter(depth-1) + " or " + g.filter(depth-1) + ")"
		case 2:
			return pick(g, "not ", "-") + g.filter(depth-1)
		case 3:
			return "not (" + g.filter(depth-1) + ")"
		}
	}
	if g.IntN(10) == 0 {
		return g.operand(fieldNamed("url"))
	}
	f := &fields[g.IntN(len(fields))]
	name := f.name
	if f.class == classHeader {
		name += "[" + pick(g, "x-a", "X-A", "content-length", "x-ü", "x<a", "nope") + "]"
	}
	if f.class != classIs && g.IntN(6) == 0 {
		return name
	}
	var ops []string
	switch f.class {
	case classNumber, classStatus, classDuration, classSize, classTime:
		ops = []string{":", "=", "!=", "<", "<=", ">", ">=", "in"}
	case classBool, classIs:
		ops = []string{":", "=", "!=", "in"}
	case classHeader:
		ops = []string{":", "=", "!=", "in", "~", "<", ">="}
	default:
		ops = []string{":", "=", "!=", "in", "~"}
		if f.ordered {
			ops = append(ops, "<", "<=", ">", ">=")
		}
	}
	switch o := pick(g, ops...); o {
	case "in":
		return name + " in (" + g.operand(f) + pick(g, "", ", "+g.operand(f), ","+g.operand(f)+","+g.operand(f)) + ")"
	case "~":
		return name + "~" + pick(g, "^a", "ä", "[a-k]", "^$", "(a|b)", "é$", ".", `\d+`, "ſ", "k")
	case "<", ">=":
		if f.class == classHeader {
			return name + o + pick(g, "7", "3.5", "100")
		}
		return name + o + g.operand(f)
	default:
		return name + o + g.operand(f)
	}
}

func (g gen) operand(f *field) string {
	switch f.class {
	case classEnum, classIs, classError:
		if len(f.choices) > 0 && g.IntN(4) > 0 {
			return pick(g, f.choices...)
		}
		if f.class == classIs || f.class == classEnum && len(f.choices) > 0 {
			return "*e*"
		}
		return g.word()
	case classNumber:
		return pick(g, "7", "1", "80", "1..100", "..443", "200..", "12.5")
	case classStatus:
		return pick(g, "200", "4xx", "40x", "2xx..4xx", "403..", "..204")
	case classDuration:
		return pick(g, "0", "800", "800ms", "0.8s", "1s..", "..12.3", "1ms..1m", "799999us")
	case classSize:
		return pick(g, "0", "1k", "1k..", "..1025b", "1m", "0.5k..1g")
	case classTime:
		return pick(g, "10m", "10m..", "..10m", "1h..1m", "1d", "2026-01-31", "2026-01-31T10:00:00Z", "2026-01-01..2026-01-31", "2026-01-31T10:08Z..")
	case classHost, classAddress:
		pattern := pick(g, "a.test", "*.bank.test", "bank.test", "10.0.0.0/8", "10.0.0.7", "*", "2001:db8::/32", "bücher.test", "A_b.test", "localhost", "*.b_nk.test")
		if (f.name == "sni" || g.maybe()) || strings.Contains(pattern, "::") {
			return pattern
		}
		return pattern + pick(g, ":80", ":443", ":*")
	case classBool:
		return pick(g, "yes", "no")
	}
	return g.word()
}

func (g gen) word() string {
	s := strings.ToValidUTF8(strings.ReplaceAll(g.text(), "\x00", ""), "?")
	if g.maybe() && s != "" && !strings.ContainsAny(s, " \n\"()") && s != "not" && s != "or" {
		return pick(g, s, "*"+s, s+"*", s[:1]+"*"+s)
	}
	return value{text: s, quoted: true}.String()
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
